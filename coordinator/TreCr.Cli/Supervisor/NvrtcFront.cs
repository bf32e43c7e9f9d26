namespace TreCr.Cli;

/// <summary>
/// NVIDIA's run-time compiler (libnvrtc) on this machine, in front of which the wrapper library stands: on the software device it makes PTX where a program asks for machine code
/// (wrappers/TreCr.Wrapper.Cuda/Nvrtc). Only where the loader would find one: no program may find a compiler that is not there.
/// </summary>
internal static class NvrtcFront
{
    /// <summary>Tells the wrapper library in the program where NVIDIA's is.</summary>
    public const string Variable = "TRECR_NVRTC";

    private static readonly string[] Standard = ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/local/cuda/lib64", "/usr/lib64", "/usr/lib"];

    // Newest first: one process has one front.
    private static readonly string[] Names = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so.11.1", "libnvrtc.so.11.0"];

    /// <summary>Makes a directory with the one link beside the wrapper library.</summary>
    /// <param name="wrapperDirectory">holds libcuda.so.1</param>
    /// <param name="libraryPath">the program's LD_LIBRARY_PATH</param>
    /// <returns>the directory, for the front of the program's library path, and NVIDIA's library; null where there is none</returns>
    public static (string Directory, string Library)? Ensure(string wrapperDirectory, string? libraryPath)
    {
        string[] places = [.. (libraryPath ?? "").Split(':').Where(p => p.StartsWith('/')), .. Standard];
        foreach (string name in Names)
            foreach (string place in places)
            {
                string library = $"{place}/{name}";
                if (!File.Exists(library)) continue;
                string directory = $"{wrapperDirectory}/{name}.d", link = $"{directory}/{name}";
                Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
                try { File.CreateSymbolicLink(link, "../libcuda.so.1"); }
                catch (IOException) when (new FileInfo(link).LinkTarget is not null) { }
                return (directory, library);
            }
        return null;
    }
}
