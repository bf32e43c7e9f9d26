using TreCr.Ring;

namespace TreCr.Wrapper.Runtime;

/// <summary>
/// What the wrapper keeps of one program thread. Native memory that a forked child sees as zeroes (MADV_WIPEONFORK): a child finds no bound channel and
/// goes the slow way, which knows that it is a child. That makes the check free on the hot path.
/// </summary>
public unsafe struct ProgramThread
{
    /// <summary>Deepest stack of current contexts; cuCtxPushCurrent beyond it is CUDA_ERROR_OUT_OF_MEMORY.</summary>
    public const int MaxContexts = 64;

    public ProducerChannel Channel;

    /// <summary>Virtual handle of the current context; 0 none. Equals the top of the stack.</summary>
    public ulong Context;

    /// <summary>Contexts on the stack, the current one among them.</summary>
    public int Depth;

    /// <summary>Memory and handles with which work is sent without waiting for an answer.</summary>
    public Proven Proven;

    /// <summary>Next free state; used only while the thread that had it is gone.</summary>
    public ProgramThread* NextFree;

    /// <summary>The stack, bottom first.</summary>
    public fixed ulong Stack[MaxContexts];

    /// <summary>Makes a context current in place of the top of the stack; 0 pops it.</summary>
    public void SetCurrent(ulong context)
    {
        if (context == 0)
        {
            if (Depth > 0) Depth--;
            Context = Depth > 0 ? Stack[Depth - 1] : 0;
            return;
        }
        if (Depth == 0) Depth = 1;
        Stack[Depth - 1] = Context = context;
    }

    /// <summary>Pushes a context.</summary>
    /// <returns>false: the stack is full</returns>
    public bool Push(ulong context)
    {
        if (Depth == MaxContexts) return false;
        Stack[Depth++] = Context = context;
        return true;
    }

    /// <summary>Pops the current context.</summary>
    /// <returns>it, or 0: the stack was empty</returns>
    public ulong Pop()
    {
        if (Depth == 0) return 0;
        ulong top = Stack[--Depth];
        Context = Depth > 0 ? Stack[Depth - 1] : 0;
        return top;
    }
}
