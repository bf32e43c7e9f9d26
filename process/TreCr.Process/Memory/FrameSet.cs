using System.Runtime.InteropServices;
using TreCr.Images;

namespace TreCr.Process.Memory;

/// <summary>A set of frames, by address: 64 to a word, so that a GiB takes 256 words and a look at a run of pages a few.</summary>
internal sealed class FrameSet
{
    private const int FrameShift = 16;
    private readonly Dictionary<ulong, ulong> _words = [];

    static FrameSet()
    {
        if (ISnapshotWriter.FrameSizeBytes != 1 << FrameShift) throw new InvalidOperationException("frame size");
    }

    public bool Contains(ulong address) => _words.TryGetValue(address >> (FrameShift + 6), out ulong word) && (word >> (int)(address >> FrameShift & 63) & 1) != 0;

    public void Add(ulong address) => CollectionsMarshal.GetValueRefOrAddDefault(_words, address >> (FrameShift + 6), out _) |= 1UL << (int)(address >> FrameShift & 63);

    public void Remove(ulong address)
    {
        ref ulong word = ref CollectionsMarshal.GetValueRefOrNullRef(_words, address >> (FrameShift + 6));
        if (!System.Runtime.CompilerServices.Unsafe.IsNullRef(ref word)) word &= ~(1UL << (int)(address >> FrameShift & 63));
    }

    /// <summary>Adds every frame that the run touches.</summary>
    public void Add(PageRun run)
    {
        ulong last = run.End - 1 >> FrameShift;
        for (ulong frame = run.Start >> FrameShift; frame <= last;)
        {
            ulong end = Math.Min(last, frame | 63);
            CollectionsMarshal.GetValueRefOrAddDefault(_words, frame >> 6, out _) |= Mask(frame, end);
            frame = end + 1;
        }
    }

    /// <summary>True when every frame that the run touches is in the set.</summary>
    public bool Contains(PageRun run)
    {
        ulong last = run.End - 1 >> FrameShift;
        for (ulong frame = run.Start >> FrameShift; frame <= last;)
        {
            ulong end = Math.Min(last, frame | 63), mask = Mask(frame, end);
            if (!_words.TryGetValue(frame >> 6, out ulong word) || (word & mask) != mask) return false;
            frame = end + 1;
        }
        return true;
    }

    public void UnionWith(FrameSet other)
    {
        foreach ((ulong key, ulong word) in other._words) CollectionsMarshal.GetValueRefOrAddDefault(_words, key, out _) |= word;
    }

    public void Clear() => _words.Clear();

    /// <summary>Bits of the frames from first to last, which stand in one word.</summary>
    private static ulong Mask(ulong first, ulong last) => (last - first == 63 ? ulong.MaxValue : (1UL << (int)(last - first + 1)) - 1) << (int)(first & 63);
}
