using TreCr.Images;

namespace TreCr.Store;

/// <summary>One part of a saved snapshot. Any thread.</summary>
internal sealed class StorePartReader(StoreCatalog catalog, SnapshotFrames.Part part, string description) : IPartReader
{
    private long[]? _offsets;

    /// <inheritdoc/>
    public long LengthBytes => part.LengthBytes;

    /// <inheritdoc/>
    public IReadOnlyList<long> FrameOffsets => _offsets ??= Array.ConvertAll(part.Indexes, i => i * Format.FrameSizeBytes);

    /// <inheritdoc/>
    public void ReadFrame(long offsetBytes, Span<byte> into)
    {
        if (offsetBytes < 0 || offsetBytes % Format.FrameSizeBytes != 0) throw new ArgumentOutOfRangeException(nameof(offsetBytes), offsetBytes, "not a frame offset");
        into = into[..Format.FrameSizeBytes];
        if (!part.TryFind(offsetBytes / Format.FrameSizeBytes, out UInt128 hash)) into.Clear();
        else Read(catalog, hash, offsetBytes, into, description);
    }

    /// <exception cref="StoreException">Damaged, with part and offset.</exception>
    internal static void Read(StoreCatalog catalog, UInt128 hash, long offsetBytes, Span<byte> into, string description)
    {
        try { catalog.Read(hash, into); }
        catch (StoreException e) { throw new StoreException(e.Kind, $"{description}, offset 0x{offsetBytes:x}: {e.Message}", e); }
    }
}
