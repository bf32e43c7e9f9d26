using System.Collections.Concurrent;
using TreCr.Images;

namespace TreCr.Store;

/// <summary>One part of a saved snapshot. Any thread.</summary>
internal sealed class StorePartReader(StoreCatalog catalog, SnapshotFrames.Part part, string description) : IPartReader
{
    private readonly ConcurrentBag<FrameReader> _readers = []; // one for each thread that reads at the same time
    private long[]? _offsets;

    /// <inheritdoc/>
    public long LengthBytes => part.LengthBytes;

    /// <inheritdoc/>
    public IReadOnlyList<long> FrameOffsets => _offsets ??= Array.ConvertAll(part.Indexes, i => i * Format.FrameSizeBytes);

    /// <inheritdoc/>
    public bool HasFrame(long offsetBytes) => part.Find(offsetBytes / Format.FrameSizeBytes) >= 0;

    /// <inheritdoc/>
    public void ReadFrame(long offsetBytes, Span<byte> into)
    {
        if (offsetBytes < 0 || offsetBytes % Format.FrameSizeBytes != 0) throw new ArgumentOutOfRangeException(nameof(offsetBytes), offsetBytes, "not a frame offset");
        into = into[..Format.FrameSizeBytes];
        int at = part.Find(offsetBytes / Format.FrameSizeBytes);
        if (at < 0)
        {
            into.Clear();
            return;
        }
        if (!_readers.TryTake(out FrameReader? reader)) reader = new FrameReader(catalog);
        Read(reader, part, at, into, description);
        _readers.Add(reader);
    }

    /// <param name="at">position in the part's list</param>
    /// <exception cref="StoreException">Damaged, with part and offset.</exception>
    internal static void Read(FrameReader reader, SnapshotFrames.Part part, int at, Span<byte> into, string description)
    {
        try { reader.Read(part.Hashes[at], part.PatchAt(at), into); }
        catch (StoreException e) { throw new StoreException(e.Kind, $"{description}, offset 0x{part.Indexes[at] * Format.FrameSizeBytes:x}: {e.Message}", e); }
    }
}
