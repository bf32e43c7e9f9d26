namespace TreCr.Store.Tiers;

/// <summary>One tier of a policy. The store that the checkpoint waits for is none: it is the one of <c>--store</c>.</summary>
public sealed record TierPolicy
{
    /// <summary>In messages; unique.</summary>
    public required string Name { get; init; }

    public required TierKind Kind { get; init; }

    /// <summary>Directories, or <c>agent:SOCKET</c>: one, or those of the set, data before parity.</summary>
    public required IReadOnlyList<string> Places { get; init; }

    /// <summary>Where in an object store; null: no tier of that kind.</summary>
    public S3Place? S3 { get; init; }

    /// <summary>Nodes of a set that may be lost; 0: no set.</summary>
    public int Parity { get; init; }

    /// <summary>The tier gets every so manieth checkpoint of a job, by its number.</summary>
    public int Every { get; init; } = 1;

    /// <summary>Checkpoints of a job that are kept there.</summary>
    public Retention Keep { get; init; } = new();

    /// <summary>Most bytes a second; 0: as fast as it goes.</summary>
    public long MaxBytesPerSecond { get; init; }
}
