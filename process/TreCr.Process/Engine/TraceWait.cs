using TreCr.Linux;

namespace TreCr.Process.Engine;

/// <summary>Waits for stops of traced threads, always with an explicit tid, __WALL and a deadline (process.md §1, §7).</summary>
internal static class TraceWait
{
    /// <summary>Longest wait for one stop of a thread that runs our code, ms.</summary>
    public const int StepMs = 5000;

    /// <summary>How long a wait spins, ns.</summary>
    private const long SpinNs = 30_000;

    /// <summary>The thread's next stop or end.</summary>
    /// <exception cref="ProcessException">nothing within the deadline</exception>
    /// <exception cref="LinuxException">ECHILD: not our tracee, or gone.</exception>
    public static StopStatus Next(int tid, int timeoutMs = StepMs)
        => Try(tid, timeoutMs) ?? throw new ProcessException($"thread {tid} did not stop within {timeoutMs} ms");

    /// <returns>null on timeout</returns>
    public static StopStatus? Try(int tid, int timeoutMs)
    {
        // First spinning, because a step takes 4 to 10 us; then in the kernel, which wakes this thread at once. Neither sched_yield, which gives a whole turn away where processors are short, nor sleeps,
        // after which one waits for a turn (300 threads at a load of 15: 3 times as long).
        long start = Sys.ClockNs(1);
        while (true)
        {
            int got = Sys.Wait(tid, Sys.WALL | Sys.WNOHANG, out int status);
            if (got == tid) return new StopStatus(status);
            Sys.Check(got, "wait4", $"thread {tid}");
            long past = Sys.ClockNs(1) - start;
            if (past > timeoutMs * 1_000_000L) return null;
            if (past < SpinNs)
            {
                Thread.SpinWait(20);
                continue;
            }
            got = Sys.Wait(tid, Sys.WALL, out status, timeoutMs * 1_000_000L - past);
            if (got == tid) return new StopStatus(status);
            Sys.Check(got, "wait4", $"thread {tid}");
            return null;
        }
    }
}
