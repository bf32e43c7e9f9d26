using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Engine;

/// <summary>
/// Attaches to threads, and keeps that from lasting for ever: PTRACE_SEIZE waits until an execve of the process is over (cred_guard_mutex), which waits until the other threads, which it has killed, are reaped;
/// those that are traced already only their tracer's process can reap. Its other threads may, so one looks whenever a call takes long.
/// </summary>
/// <remarks>Seen on 6.18 with a program that executes itself from its second thread: the freeze hung in one of 20 checkpoints. Source: de_thread in fs/exec.c, ptrace_attach, do_wait.</remarks>
/// <param name="pid">the process</param>
internal sealed unsafe class SeizeWatch(int pid) : IDisposable
{
    private const int LateMs = 20, P_PID = 1, WEXITED = 4, WNOWAIT = 0x01000000, CLD_EXITED = 1, CLD_DUMPED = 3;

    private Timer? _timer;
    private long _since; // when the call under way began, on Environment.TickCount64; 0: none is

    /// <summary>PTRACE_SEIZE. Tracer thread only.</summary>
    /// <returns>0, or -errno (ESRCH: the thread has ended)</returns>
    public long Seize(int tid)
    {
        _timer ??= new Timer(_ => Look(), null, LateMs, LateMs);
        Volatile.Write(ref _since, Environment.TickCount64);
        long result = Sys.Ptrace(Sys.PTRACE_SEIZE, tid, 0, Sys.PTRACE_O_TRACESYSGOOD);
        Volatile.Write(ref _since, 0);
        return result;
    }

    /// <summary>Reaps what has ended. The tracer then hears that the thread is not there any more.</summary>
    private void Look()
    {
        byte* info = stackalloc byte[128]; // siginfo_t: si_code at 8, si_pid at 16
        if (Volatile.Read(ref _since) is not (> 0 and var since) || Environment.TickCount64 - since < LateMs) return;
        try
        {
            foreach (int tid in ProcStatus.Threads(pid))
            {
                *(int*)(info + 16) = 0;
                long result = Sys.Raw(SyscallNumber.Waitid, P_PID, tid, (long)info, WEXITED | WNOWAIT | Sys.WNOHANG | Sys.WALL, 0);
                if (result >= 0 && *(int*)(info + 16) == tid && *(int*)(info + 8) is >= CLD_EXITED and <= CLD_DUMPED) Sys.Wait(tid, Sys.WNOHANG | Sys.WALL, out _);
            }
        }
        catch (IOException) { } // it has ended
    }

    public void Dispose() => _timer?.Dispose();
}
