namespace TreCr.Store;

/// <summary>Gathers changed pages of several frames into one object of up to 64 KiB. One thread.</summary>
internal sealed class PageGatherer
{
    private readonly byte[] _bytes = new byte[Format.FrameSizeBytes];
    private readonly List<FramePatch.Page[]> _waiting = []; // patches whose last pages lie in here, and have no object's name yet
    private int _count;

    /// <summary>Bytes gathered.</summary>
    internal ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, _count * Format.PageBytes);

    internal bool HasRoomFor(int pages) => _count + pages <= Format.PagesOfFrame;

    /// <summary>Makes the patch of a frame; its changed pages are gathered, but for those of zeroes.</summary>
    /// <param name="baseHash">its base object</param><param name="frame">its bytes</param><param name="changed">bit p: page p; there is room for all</param><param name="kept">pages that are stored already</param>
    internal FramePatch Patch(UInt128 baseHash, ReadOnlySpan<byte> frame, int changed, FramePatch.Page[] kept)
    {
        List<FramePatch.Page> pages = [.. kept];
        int before = _count;
        for (int number = 0; number < Format.PagesOfFrame; number++)
        {
            if ((changed >> number & 1) == 0) continue;
            ReadOnlySpan<byte> page = frame.Slice(number * Format.PageBytes, Format.PageBytes);
            bool zero = !page.ContainsAnyExcept((byte)0);
            pages.Add(new FramePatch.Page((byte)number, zero ? UInt128.Zero : UInt128.MaxValue, (byte)(zero ? 0 : _count)));
            if (!zero) page.CopyTo(_bytes.AsSpan(_count++ * Format.PageBytes));
        }
        pages.Sort((a, b) => a.Number.CompareTo(b.Number));
        FramePatch.Page[] listed = [.. pages];
        if (_count > before) _waiting.Add(listed);
        return new FramePatch(baseHash, listed);
    }

    /// <summary>The object of the gathered pages has a name; the next one is empty.</summary>
    internal void Name(UInt128 hash)
    {
        foreach (FramePatch.Page[] pages in _waiting)
            for (int i = 0; i < pages.Length; i++)
                if (pages[i].Object == UInt128.MaxValue) pages[i].Object = hash;
        _waiting.Clear();
        _count = 0;
    }
}
