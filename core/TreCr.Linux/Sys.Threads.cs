using System.Runtime.InteropServices;

namespace TreCr.Linux;

/// <summary>Threads of libc, signal masks and the end of a process: pthreads(7), __cxa_atexit.</summary>
public static unsafe partial class Sys
{
    public const int SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIG_SETMASK = 2, SIGFPE = 8, SIGSEGV = 11, SIGRTMIN = 34;

    [LibraryImport("libc", EntryPoint = "pthread_self"), SuppressGCTransition]
    private static partial ulong LibcPthreadSelf();

    [LibraryImport("libc", EntryPoint = "pthread_key_create")]
    private static partial int LibcPthreadKeyCreate(uint* key, delegate* unmanaged<void*, void> destructor);

    [LibraryImport("libc", EntryPoint = "pthread_setspecific")]
    private static partial int LibcPthreadSetspecific(uint key, void* value);

    [LibraryImport("libc", EntryPoint = "pthread_create")]
    private static partial int LibcPthreadCreate(ulong* thread, void* attributes, delegate* unmanaged<void*, void*> start, void* argument);

    [LibraryImport("libc", EntryPoint = "pthread_detach")]
    private static partial int LibcPthreadDetach(ulong thread);

    [LibraryImport("libc", EntryPoint = "pthread_getattr_np")]
    private static partial int LibcPthreadGetattr(ulong thread, void* attributes);

    [LibraryImport("libc", EntryPoint = "pthread_attr_getstack")]
    private static partial int LibcPthreadAttrGetstack(void* attributes, byte** lowest, nuint* bytes);

    [LibraryImport("libc", EntryPoint = "pthread_attr_destroy")]
    private static partial int LibcPthreadAttrDestroy(void* attributes);

    [LibraryImport("libc", EntryPoint = "pthread_sigmask")]
    private static partial int LibcPthreadSigmask(int how, ulong* set, ulong* old);

    [LibraryImport("libc", EntryPoint = "__cxa_atexit")]
    private static partial int LibcCxaAtexit(delegate* unmanaged<void*, void> function, void* argument, void* library);

    [LibraryImport("libc", EntryPoint = "getenv")]
    private static partial byte* LibcGetenv(byte* name);

    /// <summary>pthread_self(3). No GC transition.</summary>
    public static ulong PthreadSelf() => LibcPthreadSelf();

    /// <summary>pthread_key_create(3): the destructor runs at the end of each thread that has set a value.</summary>
    /// <exception cref="LinuxException">EAGAIN: no key left; ENOMEM</exception>
    public static uint PthreadKeyCreate(delegate* unmanaged<void*, void> destructor)
    {
        uint key;
        int error = LibcPthreadKeyCreate(&key, destructor);
        return error == 0 ? key : throw new LinuxException("pthread_key_create", error);
    }

    /// <summary>pthread_setspecific(3).</summary>
    public static void PthreadSetSpecific(uint key, void* value) => LibcPthreadSetspecific(key, value);

    /// <summary>Bytes of the stack that the calling thread was made with (pthread_getattr_np(3)).</summary>
    /// <returns>0: the process's first thread, which is not looked up, or one that runs on another stack now (a coroutine's)</returns>
    public static nuint ThreadStackBytes()
    {
        const int attributeBytes = 56; // pthread_attr_t, glibc on x86-64
        if (Gettid() == (int)RawShort(SyscallNumber.Getpid)) return 0;
        byte* attributes = stackalloc byte[attributeBytes], lowest;
        nuint bytes;
        if (LibcPthreadGetattr(LibcPthreadSelf(), attributes) != 0) return 0;
        int error = LibcPthreadAttrGetstack(attributes, &lowest, &bytes);
        LibcPthreadAttrDestroy(attributes);
        return error == 0 && attributes >= lowest && attributes < lowest + bytes ? bytes : 0;
    }

    /// <summary>A detached thread that is not the runtime's, with all signals blocked except those a fault raises.</summary>
    /// <exception cref="LinuxException">EAGAIN: no resources</exception>
    public static void PthreadStart(delegate* unmanaged<void*, void*> start, void* argument)
    {
        ulong old, thread, all = ~0UL & ~(1UL << (SIGSEGV - 1)) & ~(1UL << (SIGFPE - 1)) & ~(1UL << (SIGRTMIN - 1));
        // The new thread inherits the mask: set it around the creation, so that no signal of the program's can land there even once.
        LibcPthreadSigmask(SIG_BLOCK, &all, &old);
        int error = LibcPthreadCreate(&thread, null, start, argument);
        LibcPthreadSigmask(SIG_SETMASK, &old, null);
        if (error != 0) throw new LinuxException("pthread_create", error);
        LibcPthreadDetach(thread);
    }

    /// <summary>Blocks on this thread all signals but those that faults and the runtime raise (SEGV, FPE, RTMIN).</summary>
    public static void BlockProgramSignals()
    {
        ulong all = ~0UL & ~(1UL << (SIGSEGV - 1)) & ~(1UL << (SIGFPE - 1)) & ~(1UL << (SIGRTMIN - 1));
        LibcPthreadSigmask(SIG_BLOCK, &all, null);
    }

    /// <summary>Runs a function when the process exits, before functions registered earlier (__cxa_atexit with no library: also after dlclose).</summary>
    public static void AtExit(delegate* unmanaged<void*, void> function) => LibcCxaAtexit(function, null, null);

    /// <summary>getenv(3), read from libc and not from a copy the runtime made when it started.</summary>
    /// <returns>the program's own memory; null: not set</returns>
    public static byte* GetEnvironment(ReadOnlySpan<byte> nameWithNul)
    {
        fixed (byte* p = nameWithNul) return LibcGetenv(p);
    }
}
