namespace TreCr.Store;

/// <summary>What gc keeps.</summary>
public sealed record GcOptions
{
    /// <summary>Checkpoints kept of each job.</summary>
    public Retention Retention { get; init; } = new();

    /// <summary>The only job of which checkpoints are removed; null: all.</summary>
    public string? Job { get; init; }

    /// <summary>Ids of checkpoints kept whatever their age.</summary>
    public IReadOnlyCollection<string> Keep { get; init; } = [];

    /// <summary>A pack with a smaller share of live bytes than this is rewritten.</summary>
    public double RewriteBelow { get; init; } = 0.5;

    /// <summary>Remove checkpoints and packs that cannot be read, instead of refusing to run.</summary>
    public bool DropDamaged { get; init; }

    /// <summary>How long to wait for running writers and readers; zero: not at all.</summary>
    public TimeSpan Wait { get; init; }
}

/// <summary>What gc did.</summary>
/// <param name="RemovedCheckpoints">ids</param>
/// <param name="RemovedPacks">packs without anything live, and those of sessions that died</param>
/// <param name="RewrittenPacks">packs whose live part was copied into a new one</param>
/// <param name="FreedBytes">pack bytes before less pack bytes after</param>
public sealed record GcReport(IReadOnlyList<string> RemovedCheckpoints, int RemovedPacks, int RewrittenPacks, long FreedBytes);
