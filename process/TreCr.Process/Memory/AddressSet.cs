using System.Runtime.InteropServices;
using TreCr.Images;

namespace TreCr.Process.Memory;

/// <summary>A set of frames, or of pages, by address: 64 to a word, so that the frames of a GiB take 256 words, its pages 4,096, and a look at a run of pages a few.</summary>
internal sealed class AddressSet
{
    private const int FrameShift = 16, PageShift = 12;
    private readonly Dictionary<ulong, ulong> _words = [];
    private readonly int _shift;

    static AddressSet()
    {
        if (ISnapshotWriter.FrameSizeBytes != 1 << FrameShift) throw new InvalidOperationException("frame size");
    }

    private AddressSet(int shift) => _shift = shift;

    public static AddressSet OfFrames() => new(FrameShift);

    public static AddressSet OfPages() => new(PageShift);

    public bool Contains(ulong address) => _words.TryGetValue(address >> (_shift + 6), out ulong word) && (word >> (int)(address >> _shift & 63) & 1) != 0;

    /// <summary>Which pages of a frame are in a set of pages: bit p is page p.</summary>
    public int PagesOf(ulong frame) => _words.TryGetValue(frame >> (PageShift + 6), out ulong word) ? (int)(word >> (int)(frame >> PageShift & 63) & 0xffff) : 0;

    public void Add(ulong address) => CollectionsMarshal.GetValueRefOrAddDefault(_words, address >> (_shift + 6), out _) |= 1UL << (int)(address >> _shift & 63);

    /// <summary>Adds everything that the run touches.</summary>
    public void Add(PageRun run)
    {
        ulong last = run.End - 1 >> _shift;
        for (ulong at = run.Start >> _shift; at <= last;)
        {
            ulong end = Math.Min(last, at | 63);
            CollectionsMarshal.GetValueRefOrAddDefault(_words, at >> 6, out _) |= Mask(at, end);
            at = end + 1;
        }
    }

    /// <summary>True when everything that the run touches is in the set.</summary>
    public bool Contains(PageRun run)
    {
        ulong last = run.End - 1 >> _shift;
        for (ulong at = run.Start >> _shift; at <= last;)
        {
            ulong end = Math.Min(last, at | 63), mask = Mask(at, end);
            if (!_words.TryGetValue(at >> 6, out ulong word) || (word & mask) != mask) return false;
            at = end + 1;
        }
        return true;
    }

    public void UnionWith(AddressSet other)
    {
        foreach ((ulong key, ulong word) in other._words) CollectionsMarshal.GetValueRefOrAddDefault(_words, key, out _) |= word;
    }

    public void Clear() => _words.Clear();

    /// <summary>Bits from first to last, which stand in one word.</summary>
    private static ulong Mask(ulong first, ulong last) => (last - first == 63 ? ulong.MaxValue : (1UL << (int)(last - first + 1)) - 1) << (int)(first & 63);
}
