using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Engine;

/// <summary>All processes of a job, every thread of each stopped. Only on the tracer thread. Source: process.md §1.</summary>
internal sealed class FrozenTree
{
    private const int RetryMs = 2, LongestRetryMs = 50;

    private FrozenTree(int root, IReadOnlyList<FrozenProcess> processes, IReadOnlyList<ProcStatus> zombies) => (Root, Processes, Zombies) = (root, processes, zombies);

    /// <summary>Pid of the program.</summary>
    public int Root { get; }

    /// <summary>The root first, then ascending.</summary>
    public IReadOnlyList<FrozenProcess> Processes { get; }

    /// <summary>Ended processes whose parents, in the tree, have not waited for them.</summary>
    public IReadOnlyList<ProcStatus> Zombies { get; }

    /// <summary>Stops everything. Children come only from processes that still run, so a pass that finds nothing new is the last.</summary>
    /// <exception cref="ProcessException">something did not stop in time, or may not be traced; everything runs on</exception>
    public static FrozenTree Freeze(int root, int deadlineMs) => Freeze(root, deadlineMs, []);

    /// <param name="kept">stopped already</param>
    private static FrozenTree Freeze(int root, int deadlineMs, IEnumerable<FrozenProcess> kept)
    {
        long end = Environment.TickCount64 + deadlineMs;
        HashSet<int> attached = [];
        for (int wait = RetryMs; ; wait = Math.Min(2 * wait, LongestRetryMs))
        {
            Dictionary<int, FrozenProcess> frozen = kept.ToDictionary(p => p.Pid);
            kept = [];
            try
            {
                while (true)
                {
                    List<ProcStatus> now = JobProcesses.List(root);
                    ProcStatus[] found = [.. now.Where(p => !p.IsZombie && !frozen.ContainsKey(p.Pid))];
                    foreach (ProcStatus process in found)
                    {
                        try { frozen[process.Pid] = FrozenProcess.Freeze(process.Pid, (int)Math.Max(1, end - Environment.TickCount64), patient: false, attached); }
                        catch (ProcessEndedException) when (process.Pid != root && Environment.TickCount64 < end) { } // the next pass sees what became of it
                    }
                    if (found.Length > 0) continue;
                    // Killed after it was stopped, by one that was stopped later; it may not have come to end yet.
                    int[] killed = [.. frozen.Keys.Except(now.Where(p => p.State is 't' or 'T').Select(p => p.Pid))];
                    foreach (int pid in killed)
                    {
                        frozen[pid].Release();
                        frozen.Remove(pid);
                    }
                    if (killed.Length > 0) continue;
                    // Attached by an earlier attempt, and ended since: its parent hears of that only when we have.
                    FrozenProcess.LetGo(attached.Except(frozen.Values.SelectMany(p => p.Threads).Select(t => t.Tid)).OrderDescending());
                    if (!frozen.TryGetValue(root, out FrozenProcess? first)) throw HasEnded(root) ? new ProcessException($"process {root} has ended") : new NotStoppedException($"process {root} is executing another program");
                    return new FrozenTree(root, [first, .. frozen.Values.Where(p => p.Pid != root).OrderBy(p => p.Pid)], [.. now.Where(p => p.IsZombie)]);
                }
            }
            catch (Exception e)
            {
                foreach (FrozenProcess process in frozen.Values) process.Release();
                // The parent in vfork waits, unstoppable, until its child has executed: which needs the child to run.
                if (e is not NotStoppedException || Environment.TickCount64 + wait >= end)
                {
                    FrozenProcess.LetGo(attached);
                    throw;
                }
                Sys.SleepNs(wait * 1_000_000L);
            }
        }
    }

    /// <summary>While a thread executes another program its process looks for a moment as if it had ended: the first thread, whose number it takes, has.</summary>
    private static bool HasEnded(int pid)
    {
        const int Looks = 3;
        for (int look = 0; look < Looks; look++)
        {
            try { if (!ProcStatus.Read(pid).IsZombie) return false; }
            catch (IOException) { return true; }
            Sys.SleepNs(1_000_000);
        }
        return true;
    }

    /// <summary>A process that SIGKILL has reached although it is stopped: it has ended, or is about to.</summary>
    /// <returns>pid; 0: all are alive</returns>
    public int FindKilled()
    {
        const ulong PF_EXITING = 4; // include/linux/sched.h
        const int Flags = 9;
        foreach (FrozenProcess process in Processes)
        {
            try
            {
                ProcStatus status = ProcStatus.Read(process.Pid);
                if (status.State is 'Z' or 'X' || ((ulong)status.Stat(Flags) & PF_EXITING) != 0 || ((status.Hex("SigPnd") | status.Hex("ShdPnd")) >> (Sys.SIGKILL - 1) & 1) != 0) return process.Pid;
            }
            catch (IOException) { return process.Pid; }
        }
        return 0;
    }

    /// <summary>Gives every borrowed thread back and lets everything run on.</summary>
    public void Resume()
    {
        try
        {
            foreach (FrozenProcess process in Processes)
                foreach (Tracee thread in process.Threads) StackInjector.GiveBack(thread);
        }
        finally { Detach(); }
    }

    /// <summary>Lets some processes run on for a moment, and stops them again with what they have begun meanwhile. The others stay stopped.</summary>
    /// <exception cref="ProcessException">as of <see cref="Freeze(int, int)"/>; everything runs on</exception>
    public FrozenTree LetRun(IReadOnlySet<int> pids, int runMs, int deadlineMs)
    {
        try { Detach(pids.Contains); }
        catch
        {
            Detach();
            throw;
        }
        Sys.SleepNs(runMs * 1_000_000L);
        return Freeze(Root, deadlineMs, Processes.Where(p => !pids.Contains(p.Pid)));
    }

    private void Detach(Predicate<int>? which = null)
    {
        Exception? failed = null;
        foreach (FrozenProcess process in Processes)
        {
            if (which is not null && !which(process.Pid)) continue;
            try { process.Detach(); }
            catch (Exception e) { failed = e; } // the others are let go all the same
        }
        if (failed is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failed);
    }

    /// <summary>Ends everything; init gets the root's status.</summary>
    public void Kill()
    {
        foreach (FrozenProcess process in Processes) Sys.Kill(process.Pid, Sys.SIGKILL);
        foreach (FrozenProcess process in Processes.Reverse()) process.Kill();
    }
}
