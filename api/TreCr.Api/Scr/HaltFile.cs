namespace TreCr.Api.Scr;

/// <summary>.scr/halt.scr: when the program shall end. Written by scr_halt, and by the library, which counts checkpoints down in it.</summary>
public sealed class HaltFile(PrefixDirectory prefix)
{
    public const string Reason = "ExitReason", Seconds = "HaltSeconds", Before = "ExitBefore", After = "ExitAfter", Checkpoints = "CheckpointsLeft";

    /// <summary>What the library writes when SCR_Finalize was called; the program may be started again.</summary>
    public const string Finalized = "SCR_FINALIZE_CALLED";

    public string Location => prefix.OwnPath("halt.scr");

    public KvTree Read() => KvTree.Load(Location) ?? new KvTree();

    /// <summary>Changes it; one process at a time.</summary>
    public void Update(Action<KvTree> change)
    {
        using (new PrefixDirectory.FileLock(prefix.OwnPath("halt.lock")))
        {
            KvTree tree = Read();
            change(tree);
            tree.Save(Location, durable: true);
        }
    }

    /// <summary>Why the program should end now.</summary>
    /// <param name="endTime">of the allocation, seconds since 1970; 0: unknown</param>
    /// <param name="haltSeconds">SCR_HALT_SECONDS, where the file says nothing</param>
    /// <param name="afterFinalize">whether having been finalized is a reason</param>
    /// <returns>null: it need not</returns>
    public string? Condition(long endTime, int haltSeconds, bool afterFinalize = false)
    {
        KvTree tree = Read();
        long now = DateTimeOffset.UtcNow.ToUnixTimeSeconds(), margin = tree.Number(Seconds) ?? haltSeconds;
        if (margin > 0 && endTime > 0 && endTime - now <= margin) return "TIME_LIMIT";
        if (tree.Value(Reason) is { Length: > 0 } reason && (afterFinalize || reason != Finalized)) return reason;
        if (tree.Number(Checkpoints) is <= 0) return "NO_CHECKPOINTS_LEFT";
        if (tree.Number(Before) is { } before && now >= before - margin) return "EXIT_BEFORE_TIME";
        if (tree.Number(After) is { } after && now >= after) return "EXIT_AFTER_TIME";
        return null;
    }
}
