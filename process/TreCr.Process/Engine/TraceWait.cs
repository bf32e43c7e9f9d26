using TreCr.Linux;

namespace TreCr.Process.Engine;

/// <summary>Waits for stops of traced threads, always with an explicit tid, __WALL and a deadline (process.md §1, §7).</summary>
internal static class TraceWait
{
    /// <summary>Longest wait for one stop of a thread that runs our code, ms.</summary>
    public const int StepMs = 5000;

    /// <summary>How long a wait spins, and from when on it sleeps longer, ns.</summary>
    private const long SpinNs = 30_000, ImpatientNs = 5_000_000;

    /// <summary>The thread's next stop or end.</summary>
    /// <exception cref="ProcessException">nothing within the deadline</exception>
    /// <exception cref="LinuxException">ECHILD: not our tracee, or gone.</exception>
    public static StopStatus Next(int tid, int timeoutMs = StepMs)
        => Try(tid, timeoutMs) ?? throw new ProcessException($"thread {tid} did not stop within {timeoutMs} ms");

    /// <returns>null on timeout</returns>
    public static StopStatus? Try(int tid, int timeoutMs)
    {
        // First spinning, because a step takes 4 to 10 us; then in short sleeps. Never sched_yield: where processors are short it gives a whole turn away, 80 times a capture.
        long start = Sys.ClockNs(1), end = start + timeoutMs * 1_000_000L;
        while (true)
        {
            int got = Sys.Wait(tid, Sys.WALL | Sys.WNOHANG, out int status);
            if (got == tid) return new StopStatus(status);
            Sys.Check(got, "wait4", $"thread {tid}");
            long now = Sys.ClockNs(1);
            if (now > end) return null;
            if (now - start < SpinNs) Thread.SpinWait(20);
            else Sys.SleepNs(now - start < ImpatientNs ? 5_000 : 50_000);
        }
    }
}
