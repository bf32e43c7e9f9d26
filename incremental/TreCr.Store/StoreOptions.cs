namespace TreCr.Store;

/// <summary>How a store is opened and used by this process.</summary>
public sealed record StoreOptions
{
    /// <summary>Make the store where there is none.</summary>
    public bool Create { get; init; } = true;

    /// <summary>Accept files that belong to another user (<c>--trust</c>).</summary>
    public bool TrustOtherOwner { get; init; }

    /// <summary>Threads that hash and compress behind each writer; 0: one per processor, at most 16.</summary>
    public int Workers { get; init; }

    /// <summary>Bytes of frames a writer holds before its caller has to wait, as far as <see cref="MemoryHeadroom"/> goes; 0: by what is free alone.</summary>
    public long MemoryLimitBytes { get; init; }

    /// <summary>What time it is: names of sessions, ages for gc. For tests.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>The store's key; null: a store without one.</summary>
    public StoreKey? Key { get; init; } = StoreKey.Ambient;

    /// <summary>A new store with a key is not encrypted: the key is for the names of its objects only.</summary>
    public bool KeyedNamesOnly { get; init; } = Environment.GetEnvironmentVariable(StoreKeySource.UseVariable) == "names";

    /// <summary>zstd level; 0 stores every frame plain; null: chosen by what is measured (<see cref="CompressionChoice"/>).</summary>
    public int? CompressionLevel { get; init; }
}
