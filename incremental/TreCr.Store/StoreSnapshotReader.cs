using TreCr.Images;

namespace TreCr.Store;

/// <summary>Takes frames of a part in a bulk read.</summary>
/// <param name="offsetBytes">multiple of the frame size</param>
/// <param name="bytes">one or more neighbouring frames; valid during the call</param>
public delegate void FrameConsumer(long offsetBytes, ReadOnlySpan<byte> bytes);

/// <summary>A saved snapshot. Every read verifies the frame's hash. Any thread. Keeps gc away until it is disposed.</summary>
public sealed class StoreSnapshotReader : ISnapshotReader, IDisposable
{
    private readonly SnapshotStore _store;
    private readonly SnapshotFrames _frames;
    private readonly IDisposable _lease;

    /// <param name="lease">the store's shared lock; owned</param>
    internal StoreSnapshotReader(SnapshotStore store, ContentHash hash, SnapshotFrames frames, IDisposable lease)
    {
        _store = store;
        ManifestHash = hash;
        _frames = frames;
        _lease = lease;
    }

    /// <summary>Name of the snapshot.</summary>
    public ContentHash ManifestHash { get; }

    /// <summary>The manifest as it is stored; not to be changed.</summary>
    public SnapshotManifest Manifest => _frames.Manifest;

    /// <inheritdoc/>
    public IReadOnlyList<string> Parts => [.. _frames.Parts.Keys.Order(StringComparer.Ordinal)];

    /// <inheritdoc/>
    public IReadOnlyList<string> Records => [.. _frames.Records.Keys.Order(StringComparer.Ordinal)];

    /// <inheritdoc/>
    public IPartReader OpenPart(string name) => new StorePartReader(_store.Catalog, PartOf(name), Describe(name));

    /// <inheritdoc/>
    public byte[] GetRecord(string name)
    {
        if (!_frames.Records.TryGetValue(name, out SnapshotFrames.Record? record))
            throw new StoreException(StoreErrorKind.NotFound, $"snapshot {ManifestHash}: no record {name}");
        byte[] bytes = new byte[record.LengthBytes];
        byte[] frame = new byte[Format.FrameSizeBytes];
        for (int i = 0; i < record.Hashes.Length; i++)
        {
            if (record.Hashes[i] == UInt128.Zero) continue;
            try { _store.Catalog.Read(record.Hashes[i], frame); }
            catch (StoreException e) { throw new StoreException(e.Kind, $"snapshot {ManifestHash}, record {name}: {e.Message}", e); }
            int at = i * Format.FrameSizeBytes;
            frame.AsSpan(0, Math.Min(frame.Length, bytes.Length - at)).CopyTo(bytes.AsSpan(at));
        }
        return bytes;
    }

    /// <summary>Reads all frames of a part that are not zero, on several threads.</summary>
    /// <param name="consumer">called with up to 1 MiB of neighbouring frames; must not call back into the reader's part</param>
    /// <param name="inOrder">
    /// true: calls come one at a time with ascending offsets, on the calling thread, while others read ahead;
    /// false: calls come from several threads at once in any order, which is faster where the consumer copies
    /// </param>
    /// <param name="threads">0: one per processor, at most 16</param>
    /// <exception cref="StoreException">Damaged: names part and offset. The consumer may have been called before.</exception>
    public void ReadFrames(string part, FrameConsumer consumer, bool inOrder = true, int threads = 0)
    {
        using FrameReadAhead readAhead = new(_store.Catalog, PartOf(part), Describe(part), consumer, inOrder, threads > 0 ? threads : Math.Min(Environment.ProcessorCount, 16));
        readAhead.Run();
    }

    public void Dispose() => _lease.Dispose();

    private SnapshotFrames.Part PartOf(string name)
        => _frames.Parts.GetValueOrDefault(name) ?? throw new StoreException(StoreErrorKind.NotFound, $"snapshot {ManifestHash}: no part {name}");

    private string Describe(string part) => $"snapshot {ManifestHash}, part {part}";
}
