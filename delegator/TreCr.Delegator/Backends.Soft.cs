using TreCr.Calls.Cuda;

namespace TreCr.Delegator;

/// <summary>The one place that knows the software device: a build without it (gpu-check's NativeAOT delegator) leaves out TRECR_SOFT_DEVICE.</summary>
internal static partial class Backends
{
#if TRECR_SOFT_DEVICE
    private static Func<IDeviceAllocator, ICudaBackend>? TrySoft(out string? reason)
    {
        reason = "the software device is not built yet";
        return null;
    }
#else
    private static Func<IDeviceAllocator, ICudaBackend>? TrySoft(out string? reason)
    {
        reason = "this build has no software device";
        return null;
    }
#endif
}
