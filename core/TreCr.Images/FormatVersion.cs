namespace TreCr.Images;

/// <summary>Version of everything that is kept on disk: store layout, packs, indexes, manifests (docs/format.md).</summary>
public static class FormatVersion
{
    /// <summary>Written into every file by this build.</summary>
    public const uint Current = 1;

    /// <summary>The oldest version that this build reads.</summary>
    public const uint Oldest = 1;
}
