namespace TreCr.Store;

/// <summary>How a checkpoint is brought into a store.</summary>
public sealed record FillOptions
{
    /// <summary>Read what the store has already, and bring what is damaged as well; else only what is missing.</summary>
    public bool Verify { get; init; }

    /// <summary>Most bytes written a second; 0: as fast as it goes.</summary>
    public long MaxBytesPerSecond { get; init; }

    /// <summary>Bytes written until what was written is made part of the store, so that a fill which is killed begins there when it is done again.</summary>
    public long PieceBytes { get; init; } = 64 << 20;

    /// <summary>Heard at the start, every 4 MiB or 250 ms, and at the end. On the thread that fills.</summary>
    public Action<FillProgress>? Progress { get; init; }

    /// <summary>Ends the fill between two objects.</summary>
    public CancellationToken Cancel { get; init; }
}

/// <summary>How far a fill is.</summary>
/// <param name="Bytes">written so far, as stored</param><param name="TotalBytes">to be written, as stored</param>
public readonly record struct FillProgress(long Bytes, long TotalBytes);

/// <summary>What a fill did.</summary>
/// <param name="Objects">frames and snapshot manifests written; 0: the store had all of them</param>
/// <param name="Damaged">of these, such that the store had, but damaged</param>
/// <param name="Bytes">written, as stored</param>
/// <param name="ObjectsFrom">objects by source, in the order of the sources</param>
public sealed record FillReport(long Objects, long Damaged, long Bytes, IReadOnlyList<long> ObjectsFrom);
