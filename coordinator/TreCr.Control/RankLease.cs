namespace TreCr.Control;

/// <summary>
/// A rank's side of the epochs: which one it works on, whether it may still answer it, and until when it waits. A rank that holds the program gated or
/// frozen and hears nothing for <see cref="ControlWire.LeaseMs"/> gives the epoch up, runs on, and never acknowledges that epoch again.
/// </summary>
/// <remarks>No I/O, no clock. Not thread safe. Times are milliseconds of any steady clock.</remarks>
/// <param name="lastEpoch">newest epoch the rank has seen in an earlier life (restart); lower ones are refused</param>
public sealed class RankLease(ulong lastEpoch = 0)
{
    private long _heardMs;

    /// <summary>The epoch under way; 0: none.</summary>
    public ulong Current { get; private set; }

    /// <summary>Newest epoch that was begun; never again acknowledged once it is over.</summary>
    public ulong Last { get; private set; } = lastEpoch;

    /// <summary>Begins an epoch.</summary>
    /// <returns>false: another is under way, or this one is over</returns>
    public bool TryBegin(ulong epoch, long nowMs)
    {
        if (Current != 0 || epoch <= Last) return false;
        Current = Last = epoch;
        _heardMs = nowMs;
        return true;
    }

    /// <summary>The coordinator was heard.</summary>
    public void Heard(long nowMs) => _heardMs = nowMs;

    /// <summary>True when nothing was heard for too long: abort.</summary>
    public bool Expired(long nowMs) => Current != 0 && nowMs - _heardMs >= ControlWire.LeaseMs;

    /// <summary>True when the epoch may still be acknowledged.</summary>
    public bool Holds(ulong epoch) => Current == epoch && epoch != 0;

    /// <summary>The epoch is over, committed or not.</summary>
    public void End(ulong epoch)
    {
        if (Current == epoch) Current = 0;
    }
}
