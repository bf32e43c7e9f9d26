using TreCr.Images;

namespace TreCr.Store;

/// <summary>One part being written.</summary>
internal sealed unsafe class StorePartWriter(StoreSnapshotWriter writer, long lengthBytes, SnapshotFrames.Part? basePart) : IPartWriter, IDisposable
{
    private readonly Lock _lock = new();

    internal FrameList Frames { get; } = new();

    internal long LengthBytes => lengthBytes;

    /// <inheritdoc/>
    public void WriteFrame(long offsetBytes, ReadOnlySpan<byte> bytes)
    {
        long index = IndexOf(offsetBytes);
        if (bytes.Length is < 1 or > Format.FrameSizeBytes) throw new ArgumentException($"{bytes.Length} bytes are not a frame", nameof(bytes));
        if (!bytes.ContainsAnyExcept((byte)0)) Add(index); // a slot with hash zero: an earlier write or the base must not show through
        else writer.Copy(bytes, Add(index));
    }

    /// <inheritdoc/>
    public void WriteTaken(long offsetBytes, nint frame) => writer.HandOver((byte*)frame, Add(IndexOf(offsetBytes)));

    /// <inheritdoc/>
    public bool CanKeep(long offsetBytes) => basePart is not null && offsetBytes >= 0 && offsetBytes < basePart.LengthBytes;

    /// <inheritdoc/>
    public void KeepFrame(long offsetBytes)
    {
        long index = IndexOf(offsetBytes);
        if (!CanKeep(offsetBytes)) throw new InvalidOperationException("the base snapshot has nothing here");
        FrameList.Slot* slot = Add(index);
        if (basePart!.TryFind(index, out UInt128 hash)) slot->Hash = hash;
    }

    public void Dispose() => Frames.Dispose();

    private FrameList.Slot* Add(long index)
    {
        lock (_lock) return Frames.Add(index);
    }

    private long IndexOf(long offsetBytes)
    {
        if (offsetBytes < 0 || offsetBytes >= lengthBytes || offsetBytes % Format.FrameSizeBytes != 0)
            throw new ArgumentOutOfRangeException(nameof(offsetBytes), offsetBytes, $"not a frame of a part of {lengthBytes} bytes");
        writer.ThrowIfEnded();
        return offsetBytes / Format.FrameSizeBytes;
    }
}
