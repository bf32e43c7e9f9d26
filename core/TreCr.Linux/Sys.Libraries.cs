using System.Runtime.InteropServices;

namespace TreCr.Linux;

/// <summary>dlopen(3) where the runtime's own way does not do.</summary>
public static unsafe partial class Sys
{
    private const int RTLD_NOW = 2, RTLD_NOLOAD = 4, RTLD_GLOBAL = 0x100;

    [LibraryImport("libc", EntryPoint = "dlopen", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint LibcDlopen(string path, int flags);

    [LibraryImport("libc", EntryPoint = "dlsym", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint LibcDlsym(nint library, string name);

    [LibraryImport("libc", EntryPoint = "dlerror")]
    private static partial byte* LibcDlerror();

    /// <summary>Loads a library whose names everything loaded later sees.</summary>
    /// <exception cref="DllNotFoundException">it is not there, or cannot be loaded; the message is the loader's</exception>
    public static nint LoadGlobally(string path)
    {
        nint library = LibcDlopen(path, RTLD_NOW | RTLD_GLOBAL);
        return library != 0 ? library : throw new DllNotFoundException(Marshal.PtrToStringUTF8((nint)LibcDlerror()) ?? path);
    }

    /// <summary>A library that is loaded already.</summary>
    /// <param name="name">soname</param>
    /// <returns>0: it is not</returns>
    public static nint FindLibrary(string name) => LibcDlopen(name, RTLD_NOW | RTLD_NOLOAD);

    /// <summary>The address that a name has for code of the program (RTLD_DEFAULT), or in one library.</summary>
    /// <returns>0: nothing loaded, or not this library, has it</returns>
    public static nint FindSymbol(string name, nint library = 0) => LibcDlsym(library, name);

    [LibraryImport("libc", EntryPoint = "__cxa_atexit")]
    private static partial int LibcAtExit(delegate* unmanaged[Cdecl]<void*, void> act, void* argument, void* library);

    /// <summary>Has a function run when the process calls exit(3), before those that were registered earlier.</summary>
    /// <remarks>atexit(3) is no name of the C library's own, but linked into each program; this is what it calls (Itanium C++ ABI, §3.3.6.3).</remarks>
    public static void AtExit(delegate* unmanaged[Cdecl]<void*, void> act) => LibcAtExit(act, null, null);
}
