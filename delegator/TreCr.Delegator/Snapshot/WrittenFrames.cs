using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Delegator.Snapshot;

/// <summary>
/// Which frames of this process's own memory were not written since their hash was taken: a stop does not have to look at them. Pages are write-protected in asynchronous mode
/// (<see cref="AsyncWriteProtection"/>), which costs the first write to each page after a scan about a microsecond.
/// </summary>
/// <remarks>
/// Never a missed write: a frame is as it was only where all of its pages carry their protection. A page of which nothing is known (never touched, taken back by the kernel after it had been written)
/// does not; memory that was mapped anew is not registered. One mapping of the memory is watched: who maps it a second time must not use this. Kernels before 6.7, and sandboxes that forbid userfaultfd(2):
/// everything counts as written.
/// </remarks>
internal sealed unsafe class WrittenFrames : IDisposable
{
    private const long FrameBytes = ISnapshotWriter.FrameSizeBytes, PageBytes = 4096;

    private readonly int _uffd;
    private readonly PagemapScan? _pages;
    private readonly Dictionary<ulong, (FrameTable Frames, bool[] Unwritten)> _known = [];

    public WrittenFrames()
    {
        _uffd = (int)Sys.Raw(SyscallNumber.Userfaultfd, Sys.O_CLOEXEC | Sys.O_NONBLOCK | AsyncWriteProtection.UserModeOnly);
        if (_uffd < 0) return;
        try
        {
            AsyncWriteProtection.Begin(_uffd);
            _pages = new PagemapScan(Environment.ProcessId);
        }
        catch (LinuxException)
        {
            // What a scan would say is not known: all frames are looked at.
        }
    }

    /// <summary>False: everything counts as written.</summary>
    public bool Works => _pages is not null;

    /// <summary>Finds out what was written since the hashes of frames were noted, and protects all of them again. The device may run meanwhile: what it writes then is the next scan's.</summary>
    /// <param name="start">address of offset 0</param>
    /// <param name="offsets">frames that are mapped, ascending; one that is unmapped meanwhile counts as written</param>
    /// <param name="hashes">[offsets] receives those of frames that were not written</param>
    /// <returns>[offsets] whether a frame is as its hash says</returns>
    public bool[] Scan(ulong start, long[] offsets, UInt128[] hashes)
    {
        bool[] unwritten = new bool[offsets.Length];
        if (_pages is null) return unwritten;
        ushort[] protectedPages = new ushort[offsets.Length];
        for (int first = 0, behind; first < offsets.Length; first = behind)
        {
            for (behind = first + 1; behind < offsets.Length && offsets[behind] == offsets[behind - 1] + FrameBytes;) behind++;
            ulong from = start + (ulong)offsets[first], to = start + (ulong)(offsets[behind - 1] + FrameBytes);
            if (Walk(from, to, protectedPages.AsMemory(first, behind - first)) >= 0) continue;
            // Mapped anew since the last scan: all of it counts as written, also what this walk had protected before it failed.
            protectedPages.AsSpan(first, behind - first).Clear();
            if (AsyncWriteProtection.Register(_uffd, from, to - from)) Walk(from, to, default);
        }
        if (!_known.Remove(start, out var known)) return unwritten;
        int[] places = known.Frames.Locate(offsets);
        for (int i = 0; i < offsets.Length; i++)
        {
            if (places[i] < 0 || !known.Unwritten[places[i]] || protectedPages[i] != FrameBytes / PageBytes) continue;
            unwritten[i] = true;
            hashes[i] = known.Frames.Hashes[places[i]];
        }
        return unwritten;
    }

    /// <param name="counts">for each frame from the start on: receives its pages that were not written; empty: only protect</param>
    private long Walk(ulong start, ulong end, Memory<ushort> counts)
        => _pages!.Walk(start, end, 0, 0, 0, PagemapScan.Present | PagemapScan.Swapped | PagemapScan.Written, PagemapScan.Protect | PagemapScan.OnlyTracked, (from, to, categories) =>
        {
            if (counts.IsEmpty || (categories & (PagemapScan.Present | PagemapScan.Swapped)) == 0 || (categories & PagemapScan.Written) != 0) return;
            Span<ushort> frames = counts.Span;
            while (from < to)
            {
                int frame = (int)((long)(from - start) / FrameBytes);
                ulong next = Math.Min(to, start + (ulong)((frame + 1) * FrameBytes));
                frames[frame] += (ushort)((long)(next - from) / PageBytes);
                from = next;
            }
        });

    /// <summary>Keeps the hashes of frames, which were taken after the last scan of the same frames.</summary>
    /// <param name="taken">those whose hash is known</param>
    public void Note(ulong start, long[] offsets, UInt128[] hashes, bool[] taken) => _known[start] = (new FrameTable(offsets, hashes), taken);

    /// <summary>Ends the tracking.</summary>
    public void Dispose()
    {
        Sys.Close(_uffd);
        _pages?.Dispose();
    }
}
