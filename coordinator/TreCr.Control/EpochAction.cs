namespace TreCr.Control;

/// <summary>What the coordinator shall do next for an epoch; the machine itself does no I/O.</summary>
public abstract record EpochAction
{
    /// <summary>Send this body to one rank.</summary>
    public sealed record SendPrepare(uint Rank, uint DeadlineMs, bool Stop) : EpochAction;

    /// <summary>All ranks are ready: this one may take the step.</summary>
    public sealed record SendAllReady(uint Rank, EpochStep Step) : EpochAction;

    /// <summary>Tell a rank that the checkpoint exists.</summary>
    public sealed record SendCommit(uint Rank) : EpochAction;

    /// <summary>Tell a rank to open its gate and go on.</summary>
    /// <param name="Epoch">that the rank works on</param>
    public sealed record SendAbort(uint Rank, string Reason, ulong Epoch) : EpochAction;

    /// <summary>Let a rank hear that the epoch is alive.</summary>
    public sealed record SendKeepAlive(uint Rank) : EpochAction;

    /// <summary>Write the job manifest; answer with <see cref="EpochMachine.CommitFinished"/> or <see cref="EpochMachine.CommitFailed"/>.</summary>
    public sealed record Commit(IReadOnlyDictionary<uint, RankPrepared> Ranks) : EpochAction;

    /// <summary>The epoch is over: tell whoever asked for it.</summary>
    /// <param name="Error">TRECR-nnnn; 0: committed</param>
    public sealed record Finished(int Error, string Reason, IReadOnlyList<string> Findings) : EpochAction;
}
