using TreCr.Linux;
using TreCr.Process.Engine;

namespace TreCr.Process.Restore;

/// <summary>A process tree that is complete and stopped. It is killed with this engine until it is detached.</summary>
/// <param name="processes">thread ids of each, its leader first; the root's first</param>
internal sealed class RestoredTree(IReadOnlyList<IReadOnlyList<int>> processes)
{
    /// <summary>Pid of the root.</summary>
    public int Pid => processes[0][0];

    /// <summary>
    /// Lets everything run, the root's leader last: a thread still attached takes its process with it if this engine dies in between, and the end of the root ends the job.
    /// </summary>
    public void Detach()
    {
        int[] tids = [.. processes.Reverse().SelectMany(p => p.Reverse())];
        List<int> killed = [];
        for (int i = 0; i < tids.Length; i++)
        {
            if (i == tids.Length - 1 || i == (tids.Length - 1) / 2) Fault.At(FaultPoint.RestoreDetach);
            long result = Sys.Ptrace(Sys.PTRACE_DETACH, tids[i]);
            if (result == -Errno.ESRCH) killed.Add(tids[i]); // by one that runs already
            else Sys.Check(result, "ptrace(DETACH)", $"thread {tids[i]}");
        }
        FrozenProcess.LetGo(killed);
    }

    public void Kill() => Kill(processes);

    public static void Kill(IReadOnlyList<IReadOnlyList<int>> processes)
    {
        foreach (IReadOnlyList<int> process in processes) Sys.Kill(process[0], Sys.SIGKILL);
        foreach (IReadOnlyList<int> process in processes.Reverse())
            for (int i = process.Count - 1; i >= 0; i--)
                for (int tries = 0; tries < 100; tries++)
                {
                    try { if (TraceWait.Try(process[i], 10_000) is not { Stopped: true }) break; }
                    catch (LinuxException) { break; }
                }
    }
}
