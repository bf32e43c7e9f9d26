using System.Diagnostics;
using System.Runtime.Intrinsics.X86;
using TreCr.Linux;

namespace TreCr.SoftDevice.Streams;

/// <summary>Where one thread of the device waits until it is rung, and for what: each thread has its own, so that a change wakes only those that it concerns.</summary>
/// <remarks>
/// No ring is lost: who waits looks at the state under the scheduler's lock, enters itself where it will be rung, and then sleeps only while the word says that nobody rang since it last woke. A change is made and rung under the same
/// lock, so it is either seen by the look or rings after it, and a ring before the sleep lets the sleep end at once. A ring too many costs one look.
/// </remarks>
sealed unsafe class ThreadBell
{
    const uint Quiet = 0, Rung = 1, Asleep = 2;
    const int Pauses = 50;
    /// <summary>How long who just had work watches for more before it sleeps: the gap between two launches of which the program waits for each. A thread that sleeps is put on a core anew when it wakes, often on one that another worker has.</summary>
    static readonly long WatchTicks = Stopwatch.Frequency / 10_000;

    /// <summary>A yield that takes so long gave the core to somebody else's work, for a slice: then the next few times are slept at once, each time this happens twice as many.</summary>
    static readonly long SlowTicks = Stopwatch.Frequency / 5_000;
    const int MostSkips = 255;
    int skips, penalty;

    // Memory that does not move, freed with the object.
    readonly uint[] word = GC.AllocateArray<uint>(16, pinned: true);

    /// <summary>What the thread waits for, guarded by the scheduler's lock: so many items done of a stream, or a record of an event of several processes; null: not that.</summary>
    public SoftStream? Stream;
    public long Count;
    public SoftEvent? Event;

    /// <summary>how often it was rung, for tests; guarded by the scheduler's lock</summary>
    public int Rings;

    [ThreadStatic] static ThreadBell? mine;
    public static ThreadBell OfThisThread => mine ??= new();

    /// <summary>Wakes the thread. The scheduler's lock is held.</summary>
    public void Ring()
    {
        Rings++;
        fixed (uint* w = word)
            if (Interlocked.Exchange(ref *w, Rung) == Asleep) Sys.FutexWake(w, 1);
    }

    /// <summary>Until the bell was rung, or for so many milliseconds.</summary>
    /// <param name="watch">look for a moment, giving way to whoever can run, before sleeping</param>
    /// <param name="timeoutMs">negative: no end</param>
    public void Await(bool watch, long timeoutMs = -1)
    {
        fixed (uint* w = word)
        {
            if (watch && Watch(w)) return;
            if (Interlocked.CompareExchange(ref *w, Asleep, Quiet) == Quiet)
                while (Volatile.Read(ref *w) == Asleep)
                    // A signal (-EINTR) begins the time anew: callers look at the clock themselves.
                    if (Sys.FutexWait(w, Asleep, timeoutMs < 0 ? -1 : timeoutMs * 1_000_000) == -Errno.ETIMEDOUT) break;
            Interlocked.Exchange(ref *w, Quiet);
        }
    }

    bool Watch(uint* w)
    {
        if (skips > 0) { skips--; return false; }
        long now = Stopwatch.GetTimestamp(), end = now + WatchTicks;
        while (now < end)
        {
            for (int n = 0; n < Pauses; n++)
            {
                if (Volatile.Read(ref *w) == Rung)
                {
                    Interlocked.Exchange(ref *w, Quiet);
                    return true;
                }
                X86Base.Pause();
            }
            Sys.Yield();
            long before = now;
            now = Stopwatch.GetTimestamp();
            if (now - before <= SlowTicks) continue;
            skips = penalty = Math.Min(penalty * 2 + 1, MostSkips);
            return false;
        }
        penalty = 0;
        return false;
    }
}
