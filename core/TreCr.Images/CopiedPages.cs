using System.Runtime.InteropServices;

namespace TreCr.Images;

/// <summary>Copies of single pages of one part, by offset, in buffers of its snapshot's writer. Whoever copies fills it and gives it to <see cref="IPartWriter.WritePages"/>. One thread at a time.</summary>
/// <param name="writer">gives the buffers</param>
public sealed class CopiedPages(ISnapshotWriter writer)
{
    /// <summary>Bytes in a page: 4 KiB.</summary>
    public const int PageBytes = 4096;

    private const int PagesOfBuffer = ISnapshotWriter.FrameSizeBytes / PageBytes;

    private readonly Dictionary<long, nint> _pages = [];
    private readonly List<nint> _buffers = [];
    private int _used = PagesOfBuffer; // pages of the last buffer

    /// <summary>Pages that it has.</summary>
    public int Count => _pages.Count;

    /// <summary>Buffers taken from the writer.</summary>
    public int Buffers => _buffers.Count;

    /// <summary>Where the copy of a page lies; at first nothing is there.</summary>
    /// <param name="offsetBytes">of the page in the part, a multiple of <see cref="PageBytes"/></param><param name="timeoutMs">wait for a buffer</param>
    /// <returns>address of <see cref="PageBytes"/>; 0: it has none, and there is no memory for it</returns>
    public nint Place(long offsetBytes, int timeoutMs)
    {
        ref nint place = ref CollectionsMarshal.GetValueRefOrAddDefault(_pages, offsetBytes, out bool known);
        if (known) return place;
        if (_used == PagesOfBuffer)
        {
            nint buffer = writer.TakeFrame(timeoutMs);
            if (buffer == 0)
            {
                _pages.Remove(offsetBytes);
                return 0;
            }
            _buffers.Add(buffer);
            _used = 0;
        }
        return place = _buffers[^1] + _used++ * PageBytes;
    }

    /// <summary>Forgets the pages of a frame.</summary>
    public void Drop(long frameOffsetBytes)
    {
        for (int page = 0; page < PagesOfBuffer; page++) _pages.Remove(frameOffsetBytes + page * PageBytes);
    }

    /// <summary>All pages, by ascending offset.</summary>
    public (long OffsetBytes, nint Address)[] Sorted()
    {
        (long OffsetBytes, nint Address)[] all = new (long, nint)[_pages.Count];
        int at = 0;
        foreach ((long offset, nint address) in _pages) all[at++] = (offset, address);
        Array.Sort(all);
        return all;
    }

    /// <summary>Gives the buffers back: nobody needs the pages any more.</summary>
    public void Return()
    {
        foreach (nint buffer in _buffers) writer.ReturnFrame(buffer);
        _buffers.Clear();
        _pages.Clear();
        _used = PagesOfBuffer;
    }
}
