using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;

namespace TreCr.Process.Memory;

/// <summary>
/// Knows which frames of a process were written since the last committed snapshot: userfaultfd write-protect in asynchronous mode, in which the kernel
/// resolves each first write by itself and PAGEMAP_SCAN reports it. The descriptor is this engine's; its close ends the tracking. Tracer thread only.
/// </summary>
/// <remarks>
/// Never a missed write: a page counts as clean only while it is present with its protection bit in an area that has stayed registered. Scan and
/// protection are one atomic step per page (PM_SCAN_WP_MATCHING), done before the page is copied, so a write during the copy is seen by the next
/// scan. Only present pages are protected: a hole gets no marker (a TiB reservation costs nothing), and a page that appears in it has no
/// protection and so counts as written. Areas that lost the flag <c>uw</c> (unmapped and mapped again, moved by mremap) are dirty as a whole.
/// Source: Documentation/admin-guide/mm/userfaultfd.rst and pagemap.rst, process.md §4.
/// </remarks>
internal sealed unsafe class WriteTracker : IDisposable
{
    private const ulong Frame = ISnapshotWriter.FrameSizeBytes;
    private const long UffdioApi = 0xc018aa3f, UffdioRegister = 0xc020aa00, UffdioUnregister = 0x8010aa01, UffdioWriteProtect = 0xc018aa06;
    private const int UserModeOnly = 1;

    private readonly int _uffd;
    private readonly PageScanner _scanner;
    private HashSet<ulong> _sinceBase = [], _afterCapture = [];
    private bool _allDirty = true, _captured;

    // The epoch under way: frames written to its writer whose pages were not written since.
    private ISnapshotWriter? _writer;
    private IPartWriter? _part;
    private readonly HashSet<ulong> _copied = [];

    private WriteTracker(int pid, int uffd, string partName) => (Pid, _uffd, _scanner, PartName) = (pid, uffd, new PageScanner(pid), partName);

    public int Pid { get; }

    /// <summary>The part that the process's pages are written to.</summary>
    public string PartName { get; }

    /// <summary>The memory that was tracked is gone: the process has executed another program, or ended.</summary>
    public bool IsStale
    {
        get
        {
            ulong* range = stackalloc ulong[3]; // the page at 4096 is never mapped: ENOENT while the memory exists
            (range[0], range[1], range[2]) = (4096, 4096, 0);
            return Sys.Raw(SyscallNumber.Ioctl, _uffd, UffdioWriteProtect, (long)range) == -Errno.ESRCH;
        }
    }

    /// <summary>Makes the descriptor inside the frozen process, takes it over and closes it there: the program sees none.</summary>
    /// <exception cref="ProcessException">the kernel has no userfaultfd, or no asynchronous mode (before 6.7)</exception>
    public static WriteTracker Create(FrozenProcess frozen, StackInjector injector, string partName)
    {
        Tracee leader = frozen.Leader;
        int uffd = -1, pidfd = -1;
        injector.Borrow(leader);
        try
        {
            long inside = injector.Call(leader, SyscallNumber.Userfaultfd, Sys.O_CLOEXEC | Sys.O_NONBLOCK | UserModeOnly);
            if (inside < 0) throw new ProcessException($"userfaultfd: {Errno.Describe((int)-inside)}");
            pidfd = Sys.PidfdOpen(frozen.Pid);
            uffd = Sys.PidfdGetfd(pidfd, (int)inside);
            injector.Call(leader, SyscallNumber.Close, inside);
            Sys.Check(uffd, "pidfd_getfd", "userfaultfd");
            ulong* api = stackalloc ulong[3]; // UFFD_API; features: PAGEFAULT_FLAG_WP, WP_HUGETLBFS_SHMEM, WP_UNPOPULATED, WP_ASYNC; ioctls
            (api[0], api[1], api[2]) = (0xAA, 1 | 1 << 12 | 1 << 13 | 1 << 15, 0);
            Sys.Check(Sys.Raw(SyscallNumber.Ioctl, uffd, UffdioApi, (long)api), "ioctl(UFFDIO_API)");
            return new WriteTracker(frozen.Pid, uffd, partName);
        }
        catch
        {
            Sys.Close(uffd);
            throw;
        }
        finally
        {
            Sys.Close(pidfd);
            StackInjector.GiveBack(leader);
        }
    }

    /// <summary>Notes everything written since the last call and protects it again; the program may run.</summary>
    /// <param name="areas">flags are not needed</param>
    public void Arm(List<Vma> areas)
    {
        HashSet<ulong> into = _captured ? _afterCapture : _sinceBase;
        foreach (Vma area in areas.Where(MemoryCapture.IsPrivate))
        {
            const long Populated = PageScanner.Present | PageScanner.Swapped, Protect = 1, OnlyTracked = 2;
            List<PageRun> written = [];
            if (_scanner.Scan(area.Start, area.End, PageScanner.Written, 0, Populated, written, Protect | OnlyTracked) < 0)
            {
                // New here, moved, or mapped again since: all of it counts as written. What the scan had protected before it failed is among that.
                written.Clear();
                if (Register(area)) _scanner.Scan(area.Start, area.End, PageScanner.Written, 0, Populated, [], Protect | OnlyTracked);
                long result = _scanner.Scan(area.Start, area.End, 0, 0, Populated, written);
                // While the program runs an area can go away; while it is frozen it cannot, and the capture's own scan would have failed.
                if (result < 0 && result != -Errno.EFAULT) Sys.Check(result, "ioctl(PAGEMAP_SCAN)", $"{area.Start:x}");
            }
            foreach (PageRun run in written) AddFrames(into, run);
        }
    }

    /// <remarks>
    /// A page that mremap puts beside a tracked area merges with it; the kernel then takes the tracking from both, but leaves the protection bits of the neighbour's
    /// pages, and a write makes such a page writable with its bit kept (seen on 6.18): it would count as clean for ever. Unregistering clears the bits.
    /// </remarks>
    private bool Register(Vma area)
    {
        ulong* range = stackalloc ulong[4];
        (range[0], range[1], range[2], range[3]) = (area.Start, area.LengthBytes, 2, 0); // mode WP
        if (Sys.Raw(SyscallNumber.Ioctl, _uffd, UffdioRegister, (long)range) < 0) return false;
        Sys.Raw(SyscallNumber.Ioctl, _uffd, UffdioUnregister, (long)range);
        return Sys.Raw(SyscallNumber.Ioctl, _uffd, UffdioRegister, (long)range) >= 0;
    }

    private void AddFrames(HashSet<ulong> into, PageRun run)
    {
        for (ulong at = run.Start & ~(Frame - 1); at < run.End; at += Frame)
        {
            into.Add(at);
            _copied.Remove(at);
        }
    }

    /// <summary>Copies what was written since the base while the program runs. After <see cref="Arm"/>.</summary>
    public void Precopy(ISnapshotWriter writer, List<Vma> areas)
    {
        Begin(writer);
        List<PageRun> runs = [];
        foreach (Vma area in areas.Where(MemoryCapture.IsPrivate))
            _scanner.Scan(area.Start, area.End, 0, PageScanner.File | PageScanner.PfnZero, PageScanner.Present | PageScanner.Swapped, runs);
        List<PageRun> wanted = [];
        foreach (PageRun run in runs)
            for (ulong at = run.Start & ~(Frame - 1); at < run.End; at += Frame)
                if (IsDirty(at) || !_part!.CanKeep((long)at)) Append(wanted, new PageRun(Math.Max(at, run.Start), Math.Min(at + Frame, run.End)));
        using MemoryCopier copier = new(Pid, _part!);
        copier.Copy(wanted, null, strict: false);
        foreach (PageRun run in wanted)
            for (ulong at = run.Start & ~(Frame - 1); at < run.End; at += Frame) _copied.Add(at);
    }

    private static void Append(List<PageRun> runs, PageRun run)
    {
        if (runs.Count > 0 && runs[^1].End == run.Start) runs[^1] = runs[^1] with { End = run.End }; else runs.Add(run);
    }

    private bool IsDirty(ulong frame) => _allDirty || _sinceBase.Contains(frame) || (_captured && _afterCapture.Contains(frame));

    private void Begin(ISnapshotWriter writer)
    {
        if (ReferenceEquals(_writer, writer)) return;
        _writer = writer;
        _part = writer.OpenPart(PartName, ProcessImageFormat.MemoryPartBytes);
        _copied.Clear();
    }

    /// <summary>Writes the memory of the frozen process: frames written since the pre-copy are copied, clean ones are kept from it or from the base.</summary>
    /// <param name="areas">with flags</param>
    /// <param name="runs">present pages</param>
    /// <returns>plain bytes copied</returns>
    public long Capture(ISnapshotWriter writer, List<Vma> areas, List<PageRun> runs)
    {
        Begin(writer);
        Arm(areas);
        _captured = true;
        IPartWriter part = _part!;
        List<PageRun> wanted = [];
        ulong last = ulong.MaxValue;
        foreach (PageRun run in runs)
            for (ulong at = run.Start & ~(Frame - 1); at < run.End; at += Frame)
            {
                if (_copied.Contains(at)) continue;
                if (IsDirty(at) || !part.CanKeep((long)at)) Append(wanted, new PageRun(Math.Max(at, run.Start), Math.Min(at + Frame, run.End)));
                else if (at != last) part.KeepFrame((long)at);
                last = at;
            }
        using MemoryCopier copier = new(Pid, part);
        copier.Copy(wanted, null);
        return copier.BytesCopied;
    }

    /// <summary>The captured snapshot is the base from now on.</summary>
    public void Commit()
    {
        if (!_captured) return;
        _sinceBase = _afterCapture;
        _allDirty = false;
        End();
    }

    /// <summary>The base stays the one before: everything noted in the epoch still counts.</summary>
    public void Abort()
    {
        _sinceBase.UnionWith(_afterCapture);
        End();
    }

    private void End()
    {
        _afterCapture = [];
        _captured = false;
        (_writer, _part) = (null, null);
        _copied.Clear();
    }

    public void Dispose()
    {
        Sys.Close(_uffd);
        _scanner.Dispose();
    }
}
