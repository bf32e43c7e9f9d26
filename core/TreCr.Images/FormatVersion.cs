namespace TreCr.Images;

/// <summary>Version of everything that is kept on disk: store layout, packs, indexes, manifests (docs/format.md).</summary>
public static class FormatVersion
{
    /// <summary>Written into every file of a store without a key, so that older builds read what they can.</summary>
    public const uint Current = 1;

    /// <summary>Written into every file of a store with a key.</summary>
    public const uint Keyed = 2;

    /// <summary>The newest version that this build reads.</summary>
    public const uint Newest = Keyed;

    /// <summary>The oldest version that this build reads.</summary>
    public const uint Oldest = 1;
}
