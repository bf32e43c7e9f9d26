using TreCr.Calls.Cuda;

namespace TreCr.Delegator;

/// <summary>Which device a session uses.</summary>
internal static partial class Backends
{
    /// <summary>Back ends that this build has, in the order in which "auto" tries them. Each returns null and a reason where there is no such device.</summary>
    private delegate Func<IDeviceAllocator, ICudaBackend>? Try(out string? reason);

    /// <param name="device">auto, soft or cuda</param>
    /// <param name="reason">why there is none</param>
    public static Func<IDeviceAllocator, ICudaBackend>? Pick(string device, out string? reason)
    {
        List<string> reasons = [];
        foreach ((string name, Try attempt) in new (string, Try)[] { ("cuda", TryCuda), ("soft", TrySoft) })
        {
            if (device != "auto" && device != name) continue;
            if (attempt(out reason) is { } make) return make;
            reasons.Add(reason ?? name);
        }
        reason = string.Join("; ", reasons);
        return null;
    }

    private static Func<IDeviceAllocator, ICudaBackend>? TryCuda(out string? reason)
    {
        reason = "this build has no binding to NVIDIA's driver";
        return null;
    }
}
