using TreCr.Calls.Cuda;
#if TRECR_SOFT_DEVICE
using TreCr.SoftDevice.Backend;
using TreCr.Zstd;
#endif

namespace TreCr.Delegator;

/// <summary>The one place that knows the software device: a build without it (gpu-check's NativeAOT delegator) leaves out TRECR_SOFT_DEVICE.</summary>
internal static partial class Backends
{
#if TRECR_SOFT_DEVICE
    private static Func<IDeviceAllocator, ICudaBackend>? TrySoft(Options options, out string? reason)
    {
        reason = null;
        return allocator => new SoftBackend(allocator, Decompress, isChecked: Environment.GetEnvironmentVariable("TRECR_SOFT_UNCHECKED") != "1", meetingDirectory: options.Meetings, job: options.Job);
    }

    private static int Decompress(ReadOnlySpan<byte> source, Span<byte> target)
    {
        using Decompressor decompressor = new();
        return decompressor.Unwrap(source, target);
    }
#else
    private static Func<IDeviceAllocator, ICudaBackend>? TrySoft(Options options, out string? reason)
    {
        reason = "this build has no software device";
        return null;
    }
#endif
}
