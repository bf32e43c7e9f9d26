using TreCr.Calls.Cuda;

namespace TreCr.Gmmu;

/// <summary>Which parts of an arena have memory behind them. An extent is what was mapped at once and can only be unmapped as a whole.</summary>
internal sealed class MappedBlocks(IBlockSource source)
{
    /// <summary>Longest extent, bytes.</summary>
    private const ulong MaxExtentBytes = 1UL << 30;

    private readonly List<(ulong Start, ulong Bytes, ulong Handle)> _extents = [];

    /// <summary>Memory behind the arena, bytes.</summary>
    public ulong MappedBytes { get; private set; }

    /// <summary>Extents, ascending.</summary>
    public IReadOnlyList<(ulong Start, ulong Bytes, ulong Handle)> Extents => _extents;

    /// <summary>Bytes of the range that have nothing behind them.</summary>
    public ulong MissingBytes(ulong address, ulong bytes)
    {
        ulong end = address + bytes, covered = 0;
        for (int i = FirstEndingAfter(address); i < _extents.Count && _extents[i].Start < end; i++)
            covered += Math.Min(end, _extents[i].Start + _extents[i].Bytes) - Math.Max(address, _extents[i].Start);
        return bytes - covered;
    }

    /// <summary>Puts memory behind all of the range; what was mapped before a failure stays (and is empty).</summary>
    public CUresult Ensure(ulong address, ulong bytes)
    {
        ulong end = address + bytes, at = address;
        int i = FirstEndingAfter(address);
        while (at < end)
        {
            if (i < _extents.Count && _extents[i].Start <= at)
            {
                at = _extents[i].Start + _extents[i].Bytes;
                i++;
                continue;
            }
            ulong gapEnd = i < _extents.Count ? Math.Min(end, _extents[i].Start) : end;
            ulong length = Math.Min(gapEnd - at, MaxExtentBytes);
            CUresult result = source.Map(at, length, out ulong handle);
            if (result != CUresult.CUDA_SUCCESS) return result;
            _extents.Insert(i++, (at, length, handle));
            MappedBytes += length;
            at += length;
        }
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>Unmaps extents in which nothing is taken, highest first, until at most <paramref name="keepBytes"/> of such remain.</summary>
    public void Trim(FreeRanges free, ulong keepBytes)
    {
        ulong empty = 0;
        foreach ((ulong start, ulong bytes, _) in _extents)
            if (free.IsFree(start, bytes)) empty += bytes;
        for (int i = _extents.Count - 1; i >= 0 && empty > keepBytes; i--)
        {
            (ulong start, ulong bytes, ulong handle) = _extents[i];
            if (!free.IsFree(start, bytes)) continue;
            source.Unmap(start, bytes, handle);
            _extents.RemoveAt(i);
            MappedBytes -= bytes;
            empty -= bytes;
        }
    }

    /// <summary>Unmaps everything.</summary>
    public void Clear()
    {
        foreach ((ulong start, ulong bytes, ulong handle) in _extents) source.Unmap(start, bytes, handle);
        _extents.Clear();
        MappedBytes = 0;
    }

    private int FirstEndingAfter(ulong address)
    {
        int low = 0, high = _extents.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_extents[middle].Start + _extents[middle].Bytes <= address) low = middle + 1; else high = middle;
        }
        return low;
    }
}
