using System.Runtime.InteropServices;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Nvrtc;

/// <summary>NVIDIA's run-time compiler, which <c>trecr run</c> found (TRECR_NVRTC) and put this library in front of.</summary>
internal static unsafe class NvrtcLibrary
{
    /// <summary>NVRTC_ERROR_INTERNAL_ERROR: what every function answers where the library or the function is missing.</summary>
    public const int Missing = 11;

    private static readonly Lock Gate = new();
    private static readonly Dictionary<string, nint> Found = [];
    private static nint s_library;
    private static int s_told;

    /// <summary>A function of the library.</summary>
    /// <returns>0: the library or the function is not there; said once on stderr</returns>
    public static nint Function(string name)
    {
        try
        {
            lock (Gate)
            {
                if (Found.TryGetValue(name, out nint known)) return known;
                if (s_library == 0)
                {
                    string? path = Environment.GetEnvironmentVariable("TRECR_NVRTC");
                    if (string.IsNullOrEmpty(path)) throw new DllNotFoundException("TRECR_NVRTC does not name NVIDIA's libnvrtc");
                    s_library = NativeLibrary.Load(path);
                }
                NativeLibrary.TryGetExport(s_library, name, out nint function);
                return Found[name] = function;
            }
        }
        catch (Exception e)
        {
            if (Interlocked.Exchange(ref s_told, 1) == 0) StandardError.Write("trecr: NVRTC: "u8, e.Message);
            return 0;
        }
    }
}
