namespace TreCr.Linux;

/// <summary>futex(2), shared between processes (no FUTEX_PRIVATE_FLAG: the words lie in the segment).</summary>
public static unsafe partial class Sys
{
    private const int FutexWaitOp = 0, FutexWakeOp = 1;

    /// <summary>Sleeps while <c>*word == expected</c>.</summary>
    /// <param name="timeoutNs">relative, nanoseconds; negative: no end</param>
    /// <returns>0 woken; -EAGAIN the word differed; -ETIMEDOUT; -EINTR</returns>
    public static long FutexWait(uint* word, uint expected, long timeoutNs = -1)
    {
        if (timeoutNs < 0) return Raw(SyscallNumber.Futex, (long)word, FutexWaitOp, expected);
        TimeSpec timeout = new() { Seconds = timeoutNs / 1_000_000_000, Nanoseconds = timeoutNs % 1_000_000_000 };
        return Raw(SyscallNumber.Futex, (long)word, FutexWaitOp, expected, (long)&timeout);
    }

    /// <summary>Wakes at most <paramref name="count"/> sleepers on the word. Does not block, no GC transition.</summary>
    public static void FutexWake(uint* word, int count = int.MaxValue) => RawShort(SyscallNumber.Futex, (long)word, FutexWakeOp, count);

    /// <summary>sched_yield(2), no GC transition.</summary>
    public static void Yield() => RawShort(SyscallNumber.SchedYield);
}

/// <summary>struct timespec.</summary>
public struct TimeSpec
{
    public long Seconds;
    public long Nanoseconds;
}
