using TreCr.Linux;

namespace TreCr.Wrapper.Mpi;

/// <summary>Waits inside calls: a few pauses, then the processor is offered to others, then sleep until something arrives.</summary>
internal static unsafe class Waiting
{
    private const int Pauses = 20, Yields = 50;
    private const long LongestNs = 10_000_000, UnsentNs = 50_000;

    public static void Until(Request request)
    {
        if (request.IsDone) return;
        Until(static r => r.IsDone, request);
    }

    /// <summary>Brings everything on until the condition holds.</summary>
    public static void Until<T>(Func<T, bool> condition, T state)
    {
        Interlocked.Increment(ref Transport.Header->WaitingCalls);
        try
        {
            for (int empty = 0; !condition(state);)
            {
                if (Messages.Progress())
                {
                    empty = 0;
                    continue;
                }
                if (condition(state)) return;
                Library.Yield();
                if (++empty < Pauses) Thread.SpinWait(1);
                else if (empty < Pauses + Yields) Sys.Yield();
                else Library.Sleep(Messages.HasUnsent ? UnsentNs : LongestNs);
            }
        }
        finally { Interlocked.Decrement(ref Transport.Header->WaitingCalls); }
    }
}
