namespace TreCr.Images;

/// <summary>Version of everything that is kept on disk: store layout, packs, indexes, manifests (docs/format.md).</summary>
public static class FormatVersion
{
    /// <summary>Written into every file of a store without a key, so that older builds read what they can.</summary>
    public const uint Current = 1;

    /// <summary>Written into every file of a store with a key.</summary>
    public const uint Keyed = 2;

    /// <summary>Written into manifests, of snapshots that have patched frames and of checkpoints that name these, in a store without a key. All other files of the store keep its version.</summary>
    public const uint Patched = 3;

    /// <summary>The same in a store with a key.</summary>
    public const uint KeyedPatched = 4;

    /// <summary>The newest version that this build reads.</summary>
    public const uint Newest = KeyedPatched;

    /// <summary>The newest version of a store, and so of all files that are no manifests.</summary>
    public const uint NewestStore = Keyed;

    /// <summary>The oldest version that this build reads.</summary>
    public const uint Oldest = 1;
}
