using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Delegator.Snapshot;

/// <summary>
/// Which frames of this process's own memory were not written since their hash was taken: a stop does not have to look at them. Pages are write-protected in asynchronous mode
/// (<see cref="AsyncWriteProtection"/>), which costs the first write to each page after a scan about a microsecond.
/// </summary>
/// <remarks>
/// Never a missed write: a frame is as it was only where all of its pages carry their protection, in every mapping of the memory (<see cref="Watch"/>). A page of which nothing is known (never touched, taken back
/// by the kernel after it had been written) does not; memory that was mapped anew is not registered. Who maps the memory once more without telling must not use this. Kernels before 6.7, and sandboxes that
/// forbid userfaultfd(2): everything counts as written.
/// </remarks>
internal sealed class WrittenFrames : IDisposable
{
    private const long FrameBytes = ISnapshotWriter.FrameSizeBytes;

    private readonly List<WriteView> _views = [];
    private readonly Dictionary<ulong, (FrameTable Frames, bool[] Unwritten)> _known = [];
    private readonly Lock _lock = new();
    private List<(ulong Start, ulong End)> _discarded = [];

    public WrittenFrames()
    {
        int uffd = (int)Sys.Raw(SyscallNumber.Userfaultfd, Sys.O_CLOEXEC | Sys.O_NONBLOCK | AsyncWriteProtection.UserModeOnly);
        if (uffd < 0) return;
        try
        {
            AsyncWriteProtection.Begin(uffd);
            _views.Add(new WriteView(uffd, Environment.ProcessId, null));
        }
        catch (LinuxException)
        {
            Sys.Close(uffd); // what a scan would say is not known: all frames are looked at
        }
    }

    /// <summary>Address ranges that other processes may write through mappings that nobody watches, whole blocks: all of it counts as written.</summary>
    public IReadOnlyList<(ulong Start, ulong End)> Shared { get; set; } = [];

    /// <summary>False: everything counts as written.</summary>
    public bool Works => _views.Count > 0;

    /// <summary>Watches a second mapping of the memory too, that of another process.</summary>
    /// <param name="uffd">of that process, in asynchronous mode; owned from here on</param>
    /// <param name="start">where the memory begins here</param><param name="there">where it does in the other process; all of it is mapped</param>
    /// <returns>false: it cannot be watched, and this object is of no use</returns>
    public bool Watch(int uffd, int pid, ulong start, ulong bytes, ulong there)
    {
        try
        {
            if (Works && AsyncWriteProtection.Register(uffd, there, bytes))
            {
                _views.Add(new WriteView(uffd, pid, there - start));
                return true;
            }
        }
        catch (LinuxException) { } // its pagemap is not ours to look at
        Sys.Close(uffd);
        return false;
    }

    /// <summary>The memory lost its content without being written. Any thread, after it did.</summary>
    public void Discard(ulong start, ulong bytes)
    {
        lock (_lock) _discarded.Add((start, start + bytes));
    }

    /// <summary>Finds out what was written since the hashes of frames were noted, and protects all of them again. The device may run meanwhile: what it writes then is the next scan's.</summary>
    /// <param name="start">address of offset 0</param>
    /// <param name="offsets">frames that are mapped, ascending; one that is unmapped meanwhile counts as written</param>
    /// <param name="hashes">[offsets] receives those of frames that were not written</param>
    /// <returns>[offsets] whether a frame is as its hash says</returns>
    public bool[] Scan(ulong start, long[] offsets, UInt128[] hashes)
    {
        bool[] unwritten = new bool[offsets.Length];
        if (!Works) return unwritten;
        List<(ulong Start, ulong End)> discarded;
        lock (_lock) (discarded, _discarded) = (_discarded, []);
        bool[] written = new bool[offsets.Length];
        for (int first = 0, behind; first < offsets.Length; first = behind)
        {
            for (behind = first + 1; behind < offsets.Length && offsets[behind] == offsets[behind - 1] + FrameBytes;) behind++;
            ulong from = start + (ulong)offsets[first], to = start + (ulong)(offsets[behind - 1] + FrameBytes);
            foreach (WriteView view in _views) view.Scan(from, to, written.AsMemory(first, behind - first));
        }
        if (!_known.Remove(start, out var known)) return unwritten;
        int[] places = known.Frames.Locate(offsets);
        bool[] shared = AreShared(start, offsets);
        for (int i = 0; i < offsets.Length; i++)
        {
            if (written[i] || shared[i] || places[i] < 0 || !known.Unwritten[places[i]]) continue;
            ulong at = start + (ulong)offsets[i];
            if (discarded.Exists(d => d.Start < at + (ulong)FrameBytes && at < d.End)) continue;
            unwritten[i] = true;
            hashes[i] = known.Frames.Hashes[places[i]];
        }
        return unwritten;
    }

    /// <summary>Those frames of which it can be known that they were not written: to look at the others once more before the stop would be for nothing.</summary>
    public long[] Watched(ulong start, long[] offsets)
    {
        bool[] shared = AreShared(start, offsets);
        return [.. offsets.Where((_, i) => !shared[i])];
    }

    private bool[] AreShared(ulong start, long[] offsets)
    {
        bool[] shared = new bool[offsets.Length];
        (ulong Start, ulong End)[] ranges = [.. Shared.OrderBy(s => s.Start)];
        ulong end = 0;
        for (int i = 0, next = 0; i < offsets.Length; i++)
        {
            ulong at = start + (ulong)offsets[i];
            for (; next < ranges.Length && ranges[next].Start <= at; next++) end = Math.Max(end, ranges[next].End);
            shared[i] = at < end;
        }
        return shared;
    }

    /// <summary>Keeps the hashes of frames, which were taken after the last scan of the same frames.</summary>
    /// <param name="taken">those whose hash is known</param>
    public void Note(ulong start, long[] offsets, UInt128[] hashes, bool[] taken) => _known[start] = (new FrameTable(offsets, hashes), taken);

    /// <summary>Ends the tracking.</summary>
    public void Dispose()
    {
        foreach (WriteView view in _views) view.Dispose();
        _views.Clear();
    }
}
