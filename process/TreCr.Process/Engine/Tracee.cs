using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Engine;

/// <summary>One seized and stopped thread, with the state it had when it stopped.</summary>
internal sealed class Tracee(int pid, int tid)
{
    public int Tid => tid;

    /// <summary>As the program has them: read at the freeze, after the rseq and EINTR cures; put back before it runs on.</summary>
    public UserRegisters Registers;

    /// <summary>
    /// The same, as they are saved and put into a signal frame: where the thread was in restart_syscall (after an earlier stop), or about to make it, the call that it restarts
    /// stands in its place, because the kernel's restart block does not survive either.
    /// </summary>
    public UserRegisters Portable
    {
        get
        {
            UserRegisters r = Registers;
            if (IsAboutToRestart)
            {
                if (RestartedCall >= 0) r.Rax = (ulong)RestartedCall;
                else (r.Rax, r.Rip) = (unchecked((ulong)-Errno.EINTR), r.Rip + 2);
                r.OrigRax = ulong.MaxValue;
            }
            if ((long)r.Rax != -516 || (long)r.OrigRax != (long)SyscallNumber.RestartSyscall) return r;
            if (RestartedCall >= 0) r.OrigRax = (ulong)RestartedCall;
            else (r.Rax, r.OrigRax) = (unchecked((ulong)-Errno.EINTR), ulong.MaxValue);
            return r;
        }
    }

    /// <summary>Stands at the instruction that makes restart_syscall: it was let go a moment ago and has not come far, or was stopped again on its way out of the kernel.</summary>
    public bool IsAboutToRestart;

    /// <summary>What restart_syscall would restart: poll, nanosleep, clock_nanosleep or futex; -1: not in it, or not known.</summary>
    public long RestartedCall = -1;

    public ulong SignalMask;

    /// <summary>XSAVE area, read on first use.</summary>
    public byte[] ExtendedState => field ??= Sys.GetExtendedState(tid);

    /// <summary>Read on first use: signals may have come since. Only once it has stopped.</summary>
    public ProcStatus Status => field ??= ProcStatus.Read(pid, tid);

    public bool Stopped;

    /// <summary>SIGSTOP, SIGTSTP … when the thread was in a group stop; 0: it ran.</summary>
    public int GroupStopSignal;

    /// <summary>What it has lent us of a stack; set while registers or mask may differ from the program's.</summary>
    public StackRoom? Room;

    /// <summary>Stands at a syscall stop.</summary>
    public bool Stepped;

    /// <summary>What it is at, while it runs.</summary>
    public CallChain? Chain;

    /// <summary>A SIGSTOP, or a blocked signal that a chain had open, which arrived while the thread ran our calls: sent again after the detach.</summary>
    public int HeldSignal;
}
