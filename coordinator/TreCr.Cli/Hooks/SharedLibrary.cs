using System.Runtime.InteropServices;

namespace TreCr.Cli;

/// <summary>
/// A hook that is a shared library: loaded in a process of its own (<c>trecr run-hook LIBRARY EVENT</c>), which calls the function of the event, where there is one.
/// </summary>
internal static unsafe class SharedLibrary
{
    public const string VerbName = "run-hook";
    private const int ET_DYN = 3;

    /// <summary>Whether the file is an ELF shared object that is not a program.</summary>
    public static bool Is(string path)
    {
        try
        {
            byte[] header = new byte[18];
            using (FileStream file = File.OpenRead(path))
                if (file.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) < header.Length) return false;
            // A static position-independent program has no interpreter either, but is not called like a library.
            return header.AsSpan(0, 4).SequenceEqual("\u007fELF"u8) && BitConverter.ToUInt16(header, 16) == ET_DYN && ProgramFile.IsStatic(path) && Path.GetFileName(path).Contains(".so", StringComparison.Ordinal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return false; }
    }

    /// <summary>The process: <c>int trecr_before_checkpoint(void)</c>, <c>trecr_after_checkpoint</c>, <c>trecr_after_restart</c>; 0 is success.</summary>
    /// <returns>exit code: what the function answered, 0 where the library has none for the event, 125 where it cannot be loaded</returns>
    public static int Run(Arguments arguments)
    {
        string path = arguments.Operands[0], function = "trecr_" + arguments.Operands[1].Replace('-', '_');
        if (!NativeLibrary.TryLoad(path, out nint library))
        {
            Output.Note($"the hook {path} cannot be loaded");
            return 125;
        }
        return NativeLibrary.TryGetExport(library, function, out nint address) ? Math.Clamp(((delegate* unmanaged<int>)address)(), 0, 124) : 0;
    }
}
