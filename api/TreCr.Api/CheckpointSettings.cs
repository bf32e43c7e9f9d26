namespace TreCr.Api;

/// <summary>Where checkpoints go and how many are kept; VELOC's configuration, with a store beside it.</summary>
public sealed record CheckpointSettings
{
    /// <summary>Directory of this node, where a checkpoint is written while the program waits.</summary>
    public required string Scratch { get; init; }

    /// <summary>Directory that outlives the node; null: none.</summary>
    public string? Persistent { get; init; }

    /// <summary>Directory of a TreCr store that outlives the node: only what changed is stored, compressed; null: none.</summary>
    public string? Store { get; init; }

    /// <summary>Policy file of the store's tiers (docs/tiers.md): partner copies, erasure codes, object stores; null: none.</summary>
    public string? StorePolicy { get; init; }

    /// <summary>A helper process brings checkpoints out of the scratch directory; false: the program waits for it.</summary>
    public bool Async { get; init; }

    /// <summary>Seconds between checkpoints that leave the scratch directory; 0: each does; negative: none does.</summary>
    public int IntervalSeconds { get; init; }

    /// <summary>Versions kept outside of the scratch directory; 0: all.</summary>
    public int MaxVersions { get; init; }

    /// <summary>Versions kept in the scratch directory; 0: all.</summary>
    public int ScratchVersions { get; init; }

    /// <summary>Directory for VELOC's own records of SHA-256; null: none are written. Ours are always.</summary>
    public string? ChecksumDirectory { get; init; }

    /// <summary>Directory of the helper program; null: where this library is, and the search path.</summary>
    public string? HelperDirectory { get; init; }

    /// <summary>Directory of the helper's log; null: none.</summary>
    public string? LogDirectory { get; init; }

    /// <summary>Whether anything leaves the scratch directory.</summary>
    public bool Flushes => (Persistent ?? Store) is not null && IntervalSeconds >= 0;
}
