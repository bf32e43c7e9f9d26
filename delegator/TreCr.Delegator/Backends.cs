using TreCr.Backend.Cuda;
using TreCr.Calls.Cuda;

namespace TreCr.Delegator;

/// <summary>Which device a session uses.</summary>
internal static partial class Backends
{
    /// <summary>Back ends that this build has, in the order in which "auto" tries them. Each returns null and a reason where there is no such device.</summary>
    private delegate Func<IDeviceAllocator, ICudaBackend>? Try(Options options, out string? reason);

    /// <param name="reason">why there is none</param>
    public static Func<IDeviceAllocator, ICudaBackend>? Pick(Options options, out string? reason)
    {
        List<string> reasons = [];
        foreach ((string name, Try attempt) in new (string, Try)[] { ("cuda", TryCuda), ("soft", TrySoft) })
        {
            if (options.Device != "auto" && options.Device != name) continue;
            if (attempt(options, out reason) is { } make) return make;
            reasons.Add(reason ?? name);
        }
        reason = string.Join("; ", reasons);
        return null;
    }

    private static unsafe Func<IDeviceAllocator, ICudaBackend>? TryCuda(Options options, out string? reason)
    {
        reason = null;
        if (!CudaDriverBackend.IsDriverPresent)
        {
            reason = "NVIDIA's driver (libcuda.so.1) is not installed";
            return null;
        }
        CudaDriverBackend backend = new();
        int count = 0;
        CUresult result = backend.cuInit(0);
        if (result == CUresult.CUDA_SUCCESS) result = backend.cuDeviceGetCount(&count);
        if (result == CUresult.CUDA_SUCCESS && count > 0) return _ => backend;
        reason = $"NVIDIA's driver finds no device ({result})";
        return null;
    }
}
