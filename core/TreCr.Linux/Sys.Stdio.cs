using System.Runtime.InteropServices;

namespace TreCr.Linux;

/// <summary>The C library's streams and symbols of loaded libraries: fwrite(3), dlsym(3).</summary>
public static unsafe partial class Sys
{
    [LibraryImport("libc", EntryPoint = "fwrite")]
    private static partial nuint LibcFwrite(void* from, nuint size, nuint count, void* file);

    [LibraryImport("libc", EntryPoint = "dlsym")]
    private static partial void* LibcDlsym(void* library, byte* name);

    /// <summary>Writes to libc's <c>stdout</c> stream, in the order of the program's own printf.</summary>
    public static void WriteStandardOutput(void* from, nuint bytes)
    {
        void** stream;
        fixed (byte* name = "stdout\0"u8) stream = (void**)LibcDlsym(null, name);
        if (stream != null && *stream != null) LibcFwrite(from, 1, bytes, *stream);
        else Write(1, from, (long)bytes);
    }
}
