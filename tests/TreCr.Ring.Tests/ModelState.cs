using TreCr.Linux;

namespace TreCr.Ring.Tests;

/// <summary>What the model delegator has done, in memory shared by all processes of a test: what a snapshot would hold.</summary>
internal unsafe struct ModelState
{
    public const int Threads = 4;

    /// <summary>Enqueued records issued, by program thread.</summary>
    public fixed ulong Issued[Threads];

    /// <summary>Device: work given and done; callbacks asked for.</summary>
    public ulong Submitted, Done, CallbacksAsked;

    /// <summary>First violation: 0 none.</summary>
    public int Error;
    public ulong ErrorA, ErrorB;

    public static ModelState* Map(int fd) => (ModelState*)Sys.Check(Sys.Mmap(0, 4096, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED, fd), "mmap");

    public static void Fail(ModelState* state, int error, ulong a, ulong b)
    {
        if (Interlocked.CompareExchange(ref state->Error, error, 0) != 0) return;
        state->ErrorA = a;
        state->ErrorB = b;
    }

    public static string Explain(int error) => error switch
    {
        1 => "a thread's records were issued out of order, twice or not at all (got, wanted)",
        2 => "a record was issued before one that had been published before it (needed, issued)",
        3 => "a query did not see the thread's own records (answer, own)",
        4 => "a wait ended before the work was done",
        5 => "an answer had another length",
        _ => "no violation",
    };
}
