using TreCr.Images;

namespace TreCr.Store;

/// <summary>Frames of one part of which only some pages were copied, for one worker: the others are as the frame was before.</summary>
/// <param name="part">theirs</param><param name="pages">of this batch and others</param><param name="frames">ascending</param>
internal sealed class PageBatch(StorePartWriter part, PageBatch.Copies pages, PageBatch.Frame[] frames)
{
    /// <summary>Frames in a batch, at most: none is worked on by two workers.</summary>
    internal const int MostFrames = 32;

    internal StorePartWriter Part => part;

    internal ReadOnlySpan<Frame> Frames => frames;

    /// <summary>Addresses of the copies of a frame's pages, by ascending page.</summary>
    internal ReadOnlySpan<(long OffsetBytes, nint Address)> PagesOf(in Frame frame) => pages.Sorted.AsSpan(frame.First, frame.Count);

    /// <summary>The worker needs the copies no more.</summary>
    internal void Done() => pages.Done();

    /// <param name="Slot">address of the frame's slot</param><param name="Before">of the slot of its last state in this snapshot; 0: none</param>
    /// <param name="First">page in the copies</param><param name="Count">of pages</param>
    internal readonly record struct Frame(nint Slot, nint Before, int First, int Count);

    /// <summary>What batches made of the same pages share: the buffers go back when all are done.</summary>
    internal sealed class Copies(CopiedPages pages)
    {
        private int _left = 1;

        internal (long OffsetBytes, nint Address)[] Sorted { get; } = pages.Sorted();

        internal void Begin() => Interlocked.Increment(ref _left);

        internal void Done()
        {
            if (Interlocked.Decrement(ref _left) == 0) pages.Return();
        }
    }
}
