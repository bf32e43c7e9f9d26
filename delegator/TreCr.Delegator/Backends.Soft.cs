using TreCr.Calls.Cuda;
#if TRECR_SOFT_DEVICE
using TreCr.SoftDevice.Backend;
using TreCr.SoftDevice.Cache;
using TreCr.Linux;
using TreCr.Zstd;
#endif

namespace TreCr.Delegator;

/// <summary>The one place that knows the software device: a build without it (gpu-check's NativeAOT delegator) leaves out TRECR_SOFT_DEVICE.</summary>
internal static partial class Backends
{
#if TRECR_SOFT_DEVICE
    /// <summary>First word of a command line, before a cache directory: compiles the kernels that wait there, with what is to be had of the processors, and ends.</summary>
    private const string CompileKernels = "--compile-kernels";

    private static string Crossgen => Path.Combine(AppContext.BaseDirectory, "crossgen2");

    /// <summary>Does what <see cref="CompileKernels"/> says.</summary>
    /// <returns>null: that is not what this process was started for</returns>
    public static int? TryCompileKernels(string[] arguments)
    {
        if (arguments is not [CompileKernels, { } directory]) return null;
        Sys.SetProcessName("trecr-kernels");
        return ImageCompiler.Run(directory, Crossgen, KernelCacheSettings.LimitFromEnvironment);
    }

    private static Func<IDeviceAllocator, ICudaBackend>? TrySoft(Options options, out string? reason)
    {
        reason = null;
        return allocator => new SoftBackend(allocator, Decompress, isChecked: Environment.GetEnvironmentVariable("TRECR_SOFT_UNCHECKED") != "1", meetingDirectory: options.Meetings, job: options.Job,
            kernelCache: File.Exists(Crossgen) && Environment.ProcessPath is { } self ? KernelCacheSettings.FromEnvironment(directory => [self, CompileKernels, directory]) : null);
    }

    private static int Decompress(ReadOnlySpan<byte> source, Span<byte> target)
    {
        using Decompressor decompressor = new();
        return decompressor.Unwrap(source, target);
    }
#else
    public static int? TryCompileKernels(string[] arguments) => null;

    private static Func<IDeviceAllocator, ICudaBackend>? TrySoft(Options options, out string? reason)
    {
        reason = "this build has no software device";
        return null;
    }
#endif
}
