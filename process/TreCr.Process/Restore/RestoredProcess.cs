using TreCr.Linux;
using TreCr.Process.Engine;

namespace TreCr.Process.Restore;

/// <summary>A process that is complete and stopped. It is killed with this engine until it is detached.</summary>
/// <param name="tids">the leader first</param>
internal sealed class RestoredProcess(int pid, IReadOnlyList<int> tids)
{
    public int Pid => pid;

    /// <summary>Lets it run, the leader last: a thread still attached takes the process with it if this engine dies in between.</summary>
    public void Detach()
    {
        for (int i = tids.Count - 1; i >= 0; i--)
        {
            if (i == 0 || i == tids.Count / 2) Fault.At(FaultPoint.RestoreDetach);
            Sys.Check(Sys.Ptrace(Sys.PTRACE_DETACH, tids[i]), "ptrace(DETACH)", $"thread {tids[i]}");
        }
    }

    public void Kill() => Kill(pid, tids);

    public static void Kill(int pid, IReadOnlyList<int> tids)
    {
        if (Sys.Kill(pid, Sys.SIGKILL) < 0) return;
        for (int i = tids.Count - 1; i >= 0; i--)
            for (int tries = 0; tries < 100; tries++)
            {
                try { if (TraceWait.Try(tids[i], 10_000) is not { Stopped: true }) break; }
                catch (LinuxException) { break; }
            }
    }
}
