using System.Runtime.InteropServices;
using TreCr.Images;

namespace TreCr.Store;

/// <summary>One part being written.</summary>
internal sealed unsafe class StorePartWriter(StoreSnapshotWriter writer, long lengthBytes, SnapshotFrames.Part? basePart) : IPartWriter, IDisposable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<long, nint> _latest = []; // slots by index, of what was written while the program ran; under _lock

    internal FrameList Frames { get; } = new();

    internal long LengthBytes => lengthBytes;

    /// <inheritdoc/>
    public void WriteFrame(long offsetBytes, ReadOnlySpan<byte> bytes)
    {
        long index = IndexOf(offsetBytes);
        if (bytes.Length is < 1 or > Format.FrameSizeBytes) throw new ArgumentException($"{bytes.Length} bytes are not a frame", nameof(bytes));
        if (!bytes.ContainsAnyExcept((byte)0)) Add(index); // a slot with hash zero: an earlier write or the base must not show through
        else writer.Copy(bytes, Add(index, out FrameList.Slot* before), this, before);
    }

    /// <inheritdoc/>
    public void WriteTaken(long offsetBytes, nint frame) => writer.HandOver((byte*)frame, Add(IndexOf(offsetBytes), out FrameList.Slot* before), this, before);

    /// <inheritdoc/>
    public void WritePages(CopiedPages pages) => writer.HandOver(pages, this);

    /// <summary>Makes the frames of copied pages, with batches of them for the workers.</summary>
    /// <param name="unsettled">a frame of them was written in this snapshot before, which a worker may still be at: nobody may begin the batches before it is done</param>
    internal List<PageBatch> Overlay(CopiedPages pages, out bool unsettled)
    {
        PageBatch.Copies copies = new(pages);
        (long OffsetBytes, nint)[] sorted = copies.Sorted;
        List<PageBatch> batches = [];
        List<PageBatch.Frame> frames = [];
        unsettled = false;
        for (int first = 0; first < sorted.Length;)
        {
            long index = IndexOf(sorted[first].OffsetBytes / Format.FrameSizeBytes * Format.FrameSizeBytes);
            int next = first + 1;
            while (next < sorted.Length && sorted[next].OffsetBytes / Format.FrameSizeBytes == index) next++;
            lock (_lock)
            {
                FrameList.Slot* slot = Frames.Add(index);
                ref nint latest = ref CollectionsMarshal.GetValueRefOrAddDefault(_latest, index, out bool written);
                unsettled |= written;
                frames.Add(new PageBatch.Frame((nint)slot, latest, first, next - first));
                latest = (nint)slot;
            }
            first = next;
            if (frames.Count == PageBatch.MostFrames || first == sorted.Length) EndBatch();
        }
        copies.Done();
        return batches;

        void EndBatch()
        {
            copies.Begin();
            batches.Add(new PageBatch(this, copies, [.. frames]));
            frames.Clear();
        }
    }

    /// <inheritdoc/>
    public bool CanKeep(long offsetBytes) => basePart is not null && offsetBytes >= 0 && offsetBytes < basePart.LengthBytes;

    /// <inheritdoc/>
    public void KeepFrame(long offsetBytes)
    {
        long index = IndexOf(offsetBytes);
        if (!CanKeep(offsetBytes)) throw new InvalidOperationException("the base snapshot has nothing here");
        FrameList.Slot* slot = Add(index);
        int at = basePart!.Find(index);
        if (at < 0) return;
        slot->Hash = basePart.Hashes[at];
        if (basePart.IsPatched(at)) slot->Patch = -1 - at;
    }

    /// <summary>The state of a frame before it became what a slot is for: earlier in this snapshot, or in the base.</summary>
    /// <param name="before">the earlier slot of the same frame; null: none</param>
    /// <param name="patch">as <see cref="FrameList.Slot.Patch"/></param>
    /// <returns>its hash; zero: there was none, or it was zero</returns>
    internal UInt128 Before(FrameList.Slot* slot, FrameList.Slot* before, out int patch)
    {
        patch = before is null ? 0 : before->Patch;
        if (before is not null) return before->Hash;
        int at = basePart?.Find(slot->Index) ?? -1;
        if (at < 0) return UInt128.Zero;
        if (basePart!.IsPatched(at)) patch = -1 - at;
        return basePart.Hashes[at];
    }

    /// <param name="patch"><see cref="FrameList.Slot.Patch"/> of a slot of this part</param>
    /// <returns>null: the frame is an object</returns>
    internal FramePatch? PatchOf(int patch) => patch > 0 ? writer.PatchOf(patch) : patch < 0 ? basePart!.PatchAt(-1 - patch) : null;

    public void Dispose() => Frames.Dispose();

    private FrameList.Slot* Add(long index)
    {
        lock (_lock) return Frames.Add(index);
    }

    /// <param name="before">
    /// what the same frame was when it was last written while the program ran; null: it was not. It may not be stored yet, or just be: a worker that cannot read it back stores the frame whole
    /// </param>
    private FrameList.Slot* Add(long index, out FrameList.Slot* before)
    {
        lock (_lock)
        {
            FrameList.Slot* slot = Frames.Add(index);
            before = null;
            if (writer.IsHolding) return slot; // found when the stop is over
            ref nint latest = ref CollectionsMarshal.GetValueRefOrAddDefault(_latest, index, out _);
            before = (FrameList.Slot*)latest;
            latest = (nint)slot;
            return slot;
        }
    }

    /// <summary>What was held is given to the workers: pages of the same frame come after it.</summary>
    internal void Wrote(FrameList.Slot* slot)
    {
        lock (_lock) _latest[slot->Index] = (nint)slot;
    }

    private long IndexOf(long offsetBytes)
    {
        if (offsetBytes < 0 || offsetBytes >= lengthBytes || offsetBytes % Format.FrameSizeBytes != 0)
            throw new ArgumentOutOfRangeException(nameof(offsetBytes), offsetBytes, $"not a frame of a part of {lengthBytes} bytes");
        writer.ThrowIfEnded();
        return offsetBytes / Format.FrameSizeBytes;
    }
}
