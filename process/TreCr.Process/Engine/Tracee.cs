using TreCr.Linux;

namespace TreCr.Process.Engine;

/// <summary>One seized and stopped thread, with the state it had when it stopped.</summary>
internal sealed class Tracee(int tid)
{
    public int Tid => tid;

    /// <summary>As the program has them: read at the freeze, after the rseq and EINTR cures; put back before it runs on.</summary>
    public UserRegisters Registers;

    public ulong SignalMask;

    /// <summary>XSAVE area, read on first use.</summary>
    public byte[] ExtendedState => field ??= Sys.GetExtendedState(tid);

    public bool Stopped;

    /// <summary>SIGSTOP, SIGTSTP … when the thread was in a group stop; 0: it ran.</summary>
    public int GroupStopSignal;

    /// <summary>Set while registers or mask differ from the program's.</summary>
    public bool Borrowed;

    /// <summary>A SIGSTOP that arrived while the thread ran our calls: sent again after the detach.</summary>
    public int HeldSignal;
}
