using System.Runtime.InteropServices;

namespace TreCr.Backend.Cuda;

/// <summary>NVIDIA's driver library, opened by path (TRECR_LIBCUDA names another): by name one might get the wrapper of TreCr, whose soname is the same.</summary>
internal static unsafe class DriverLibrary
{
    /// <summary>Where distributions and NVIDIA's installer put it. Source: NVIDIA Linux driver README, "Installed Components"; Debian's libcuda1.</summary>
    private static readonly string[] Paths =
    [
        "/usr/lib/x86_64-linux-gnu/libcuda.so.1", "/usr/lib/x86_64-linux-gnu/nvidia/current/libcuda.so.1", "/usr/lib64/libcuda.so.1", "/usr/lib/libcuda.so.1",
        "/usr/local/nvidia/lib64/libcuda.so.1", "/usr/local/nvidia/lib/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "/usr/local/cuda/compat/libcuda.so.1",
    ];

    private static readonly Lazy<nint> Handle = new(Open);

    /// <summary>The library was found.</summary>
    public static bool IsPresent => Handle.Value != 0;

    /// <summary>Address of a function; null: no library, or it has no such name.</summary>
    public static void* Resolve(string name) => IsPresent && NativeLibrary.TryGetExport(Handle.Value, name, out nint address) ? (void*)address : null;

    private static nint Open()
    {
        string? given = Environment.GetEnvironmentVariable("TRECR_LIBCUDA");
        foreach (string path in given is { Length: > 0 } ? [given] : Paths)
        {
            FileInfo? target = (FileInfo?)(File.Exists(path) ? new FileInfo(path).ResolveLinkTarget(returnFinalTarget: true) ?? new FileInfo(path) : null);
            // TreCr's own library under the driver's name leads nowhere from here.
            if (target == null || target.Name.StartsWith("libtrecr", StringComparison.Ordinal)) continue;
            if (NativeLibrary.TryLoad(path, out nint handle)) return handle;
        }
        return 0;
    }
}
