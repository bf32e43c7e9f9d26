namespace TreCr.SoftDevice.Engine;

/// <summary>
/// Which addresses a kernel may touch: mapped device blocks, pinned host ranges. A snapshot; replaced as a whole when mappings change, so that
/// workers read it without a lock.
/// </summary>
/// <remarks>Kept as sorted, disjoint ranges. The largest one is the window that emitted code checks inline; the rest costs a call per access.</remarks>
public sealed class AccessMap
{
    readonly ulong[] starts, ends;
    public ulong WindowBase { get; }
    public ulong WindowBytes { get; }

    public static AccessMap Empty { get; } = new([]);

    public AccessMap(IEnumerable<(ulong Start, ulong LengthBytes)> ranges)
    {
        List<(ulong Start, ulong End)> merged = [];
        foreach ((ulong start, ulong length) in ranges.OrderBy(r => r.Start))
        {
            if (length == 0) continue;
            if (merged.Count > 0 && merged[^1].End >= start) merged[^1] = (merged[^1].Start, Math.Max(merged[^1].End, start + length));
            else merged.Add((start, start + length));
        }
        starts = [.. merged.Select(r => r.Start)];
        ends = [.. merged.Select(r => r.End)];
        foreach ((ulong start, ulong end) in merged)
        {
            // The inline check divides the window into units of up to 32 bytes, and one check may stand for the accesses of a whole page.
            ulong from = start + 31 & ~31UL, to = end - Math.Min(end, Ptx.Passes.AccessGroupPass.MaxSpanBytes) & ~31UL;
            if (to <= from || to - from <= WindowBytes) continue;
            WindowBase = from;
            WindowBytes = to - from;
        }
    }

    /// <summary>True where all bytes are mapped.</summary>
    public bool IsAccessible(ulong address, ulong lengthBytes)
    {
        int n = Array.BinarySearch(starts, address);
        if (n < 0) n = ~n - 1;
        return n >= 0 && address < ends[n] && ends[n] - address >= lengthBytes;
    }

    /// <summary>Bytes from <paramref name="address"/> to the end of its range; 0 when it is in none.</summary>
    public ulong BytesFrom(ulong address)
    {
        int n = Array.BinarySearch(starts, address);
        if (n < 0) n = ~n - 1;
        return n >= 0 && address < ends[n] ? ends[n] - address : 0;
    }
}
