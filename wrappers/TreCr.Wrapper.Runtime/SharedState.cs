using TreCr.Linux;

namespace TreCr.Wrapper.Runtime;

/// <summary>
/// Memory of the wrapper that a forked child sees as zeroes: one page of process state and the thread states. Reserved once, never given back.
/// </summary>
public static unsafe class SharedState
{
    private const int ThreadsPerBlock = 64;

    private struct Process
    {
        public SessionState State;
        public int Lock;
        public ProgramThread* Free;
    }

    private static Process* s_process;

    private static Process* Page
    {
        get
        {
            if (s_process == null)
            {
                Process* page = (Process*)Map(4096);
                // Two first callers: the loser's page stays unused.
                Interlocked.CompareExchange(ref *(nint*)AddressOf(ref s_process), (nint)page, 0);
            }
            return s_process;
        }
    }

    private static Process** AddressOf(ref Process* field)
    {
        fixed (Process** p = &field) return p;
    }

    /// <summary>Where the session stands; <see cref="SessionState.None"/> in a forked child.</summary>
    public static SessionState State
    {
        get => s_process == null ? SessionState.None : (SessionState)Volatile.Read(ref *(int*)&s_process->State);
        set => Volatile.Write(ref *(int*)&Page->State, (int)value);
    }

    /// <summary>A zeroed thread state, off any hot path.</summary>
    public static ProgramThread* AllocateThread()
    {
        Process* page = Page;
        Acquire(page);
        try
        {
            if (page->Free == null)
            {
                ProgramThread* block = (ProgramThread*)Map((ulong)sizeof(ProgramThread) * ThreadsPerBlock);
                for (int i = 0; i < ThreadsPerBlock; i++) (block + i)->NextFree = i + 1 < ThreadsPerBlock ? block + i + 1 : null;
                page->Free = block;
            }
            ProgramThread* state = page->Free;
            page->Free = state->NextFree;
            *state = default;
            return state;
        }
        finally { Volatile.Write(ref page->Lock, 0); }
    }

    /// <summary>Gives a thread state back at the end of its thread.</summary>
    public static void FreeThread(ProgramThread* state)
    {
        Process* page = Page;
        Acquire(page);
        *state = default;
        state->NextFree = page->Free;
        page->Free = state;
        Volatile.Write(ref page->Lock, 0);
    }

    // A word that a fork wipes instead of a Monitor: a child forked while a thread held it must not wait for a thread it does not have.
    private static void Acquire(Process* page)
    {
        while (Interlocked.CompareExchange(ref page->Lock, 1, 0) != 0) Sys.Yield();
    }

    private static byte* Map(ulong bytes)
    {
        bytes = (bytes + 4095) & ~4095UL;
        long address = Sys.Check(Sys.Mmap(0, bytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_PRIVATE | Sys.MAP_ANONYMOUS), "mmap", "wrapper state");
        Sys.Check(Sys.Madvise((ulong)address, bytes, Sys.MADV_WIPEONFORK), "madvise(MADV_WIPEONFORK)");
        return (byte*)address;
    }
}
