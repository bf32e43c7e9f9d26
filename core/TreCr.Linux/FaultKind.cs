namespace TreCr.Linux;

/// <summary>What an armed fault does. Which point takes which kind: <see cref="Fault.KindsOf"/>.</summary>
public enum FaultKind
{
    /// <summary>SIGKILL to the own process.</summary>
    Kill,
    /// <summary>A <see cref="LinuxException"/> with EIO, as of a system call that failed.</summary>
    Errno,
    /// <summary>Sleeps 300 ms, then goes on.</summary>
    Delay,
    /// <summary>A <see cref="FaultException"/>: what nobody has foreseen.</summary>
    Exception,
    /// <summary>A <see cref="LinuxException"/> with ENOSPC.</summary>
    Enospc,
    /// <summary>Half of a write is done, then EIO.</summary>
    Torn,
    /// <summary>SIGKILL to the process that this one works with (<see cref="Fault.Peer"/>), then goes on.</summary>
    KillPeer,
}
