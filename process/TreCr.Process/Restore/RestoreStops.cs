using TreCr.Linux;
using TreCr.Process.Engine;

namespace TreCr.Process.Restore;

/// <summary>Waits for the stops of a process being made.</summary>
internal static class RestoreStops
{
    private const int BatchMs = 60_000; // a batch may page in files from a slow disk

    /// <summary>The int3 at the end of a batch; passes over clone events.</summary>
    public static void WaitForTrap(int tid)
    {
        while (true)
        {
            StopStatus stop = TraceWait.Next(tid, BatchMs);
            if (!stop.Stopped) throw new ProcessException($"the new process ended ({stop.Status:x})");
            if (stop.Event == 0 && stop.Signal == Sys.SIGTRAP) return;
            if (stop.Event is Sys.PTRACE_EVENT_FORK or Sys.PTRACE_EVENT_VFORK or Sys.PTRACE_EVENT_CLONE or Sys.PTRACE_EVENT_STOP)
            {
                Sys.Ptrace(Sys.PTRACE_CONT, tid);
                continue;
            }
            throw new ProcessException($"thread {tid} of the new process stopped with signal {stop.Signal} at {Sys.GetRegisters(tid).Rip:x}");
        }
    }

    /// <summary>The first stop of a process or thread that was attached by itself, or the stop after an INTERRUPT.</summary>
    public static void WaitForEventStop(int tid)
    {
        while (true)
        {
            StopStatus stop = TraceWait.Next(tid);
            if (!stop.Stopped) throw new ProcessException($"the new process {tid} ended ({stop.Status:x})");
            if (stop.Event == Sys.PTRACE_EVENT_STOP) return;
            Sys.Ptrace(Sys.PTRACE_CONT, tid);
        }
    }

    /// <summary>One call by PTRACE_SYSCALL steps, without int3: usable with synchronous signals queued (wrapped-process.md §3).</summary>
    /// <param name="gadget">address of a <c>syscall</c> instruction</param>
    public static long Step(int tid, ulong gadget, SyscallNumber number, long a = 0, long b = 0, long c = 0, long d = 0)
    {
        UserRegisters r = Sys.GetRegisters(tid);
        (r.Rip, r.Rax, r.OrigRax, r.Rdi, r.Rsi, r.Rdx, r.R10) = (gadget, (ulong)number, ulong.MaxValue, (ulong)a, (ulong)b, (ulong)c, (ulong)d);
        Sys.SetRegisters(tid, r);
        for (int i = 0; i < 2; i++)
        {
            Sys.Check(Sys.Ptrace(Sys.PTRACE_SYSCALL, tid), "ptrace(SYSCALL)");
            StopStatus stop = TraceWait.Next(tid);
            if (!stop.IsSyscallStop) throw new ProcessException($"thread {tid} of the new process: unexpected stop {stop.Status:x}");
        }
        return (long)Sys.GetRegisters(tid).Rax;
    }
}
