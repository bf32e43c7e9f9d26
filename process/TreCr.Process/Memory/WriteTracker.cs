using System.Numerics;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;

namespace TreCr.Process.Memory;

/// <summary>
/// Knows which pages of a process were written since the last committed snapshot: userfaultfd write-protect in asynchronous mode, in which the kernel
/// resolves each first write by itself and PAGEMAP_SCAN reports it. The descriptor is this engine's; its close ends the tracking. Tracer thread only.
/// </summary>
/// <remarks>
/// Never a missed write: a page counts as clean only while it is present with its protection bit in an area that has stayed registered. Scan and
/// protection are one atomic step per page (PM_SCAN_WP_MATCHING), done before the page is copied, so a write during the copy is seen by the next
/// scan. Only present pages are protected: a hole gets no marker (a TiB reservation costs nothing), and a page that appears in it has no
/// protection and so counts as written. Areas that lost the flag <c>uw</c> (unmapped and mapped again, moved by mremap) are dirty as a whole.
/// Source: Documentation/admin-guide/mm/userfaultfd.rst and pagemap.rst, process.md §4.
/// </remarks>
internal sealed class WriteTracker : IDisposable
{
    private const ulong Frame = ISnapshotWriter.FrameSizeBytes;

    private readonly int _uffd;
    private readonly PageScanner _scanner;
    private readonly PageReader _reader;
    private readonly PageCopier _held;
    private AddressSet _sinceBase = AddressSet.OfPages(), _afterCapture = AddressSet.OfPages();
    private bool _allDirty = true, _captured;

    /// <summary>Written pages from which on a frame is copied whole, as the store would keep it whole: half of them.</summary>
    private const int ManyPages = (int)(Frame / PageRun.PageBytes / 2);

    /// <summary>Pages copied ahead before they are handed over: 16 MiB.</summary>
    private const int HandOverPages = 4096;

    // The epoch under way. Settled: frames that its writer has, but for pages that are held, and that are as they were but for pages written since.
    private ISnapshotWriter? _writer;
    private IPartWriter? _part;
    private readonly AddressSet _settled = AddressSet.OfFrames();

    private WriteTracker(int pid, int uffd, string partName)
    {
        (Pid, _uffd, PartName, _scanner, _reader) = (pid, uffd, partName, new PageScanner(pid), new PageReader(pid));
        _held = new PageCopier(_reader);
    }

    public int Pid { get; }

    /// <summary>The part that the process's pages are written to.</summary>
    public string PartName { get; }

    /// <summary>The memory that was tracked is gone: the process has executed another program, or ended.</summary>
    public bool IsStale => AsyncWriteProtection.IsStale(_uffd);

    /// <inheritdoc cref="TrackingDescriptor.Create"/>
    public static WriteTracker Create(FrozenProcess frozen, StackInjector injector, string partName)
    {
        int uffd = TrackingDescriptor.Create(frozen, injector);
        try { return new WriteTracker(frozen.Pid, uffd, partName); }
        catch
        {
            Sys.Close(uffd);
            throw;
        }
    }

    /// <summary>Notes everything written since the last call and protects it again.</summary>
    /// <param name="areas">flags are not needed</param>
    /// <param name="written">receives the pages</param><param name="present">receives all populated pages; null: not wanted</param><param name="guards">receives guard pages</param>
    /// <param name="strict">false while the program runs, when an area can go away</param>
    private void Scan(List<Vma> areas, List<PageRun> written, List<PageRun>? present, List<PageRun>? guards, bool strict)
    {
        AddressSet into = _captured ? _afterCapture : _sinceBase;
        List<PageRun> all = [], changed = [], guarded = [];
        foreach (Vma area in areas)
        {
            if (!MemoryCapture.IsPrivate(area)) continue;
            if (!ScanTracked(area, present is null ? null : all, changed, guarded))
            {
                // New here, moved, or mapped again since: all of it counts as written. What the walk had protected before it failed is among that.
                if (!AsyncWriteProtection.Register(_uffd, area.Start, area.LengthBytes) || !ScanTracked(area, all, [], guarded))
                {
                    Clear();
                    long result = _scanner.ScanArea(area.Start, area.End, area.Inode != 0, all, [], guarded, 0);
                    if (strict) Sys.Check(result, "ioctl(PAGEMAP_SCAN)", $"{area.Start:x}");
                }
                changed.AddRange(all);
            }
            foreach (PageRun run in changed) into.Add(run);
            foreach (PageRun run in changed) PageRun.Append(written, run);
            if (present is not null) foreach (PageRun run in all) PageRun.Append(present, run);
            if (guards is not null) foreach (PageRun run in guarded) PageRun.Append(guards, run);
            Clear();
        }

        bool ScanTracked(Vma area, List<PageRun>? populated, List<PageRun> changed, List<PageRun> guarded)
        {
            Clear();
            if (_scanner.ScanArea(area.Start, area.End, area.Inode != 0, populated, changed, guarded, PageScanner.Protect | PageScanner.OnlyTracked) >= 0) return true;
            Clear();
            return false;
        }

        void Clear()
        {
            all.Clear();
            changed.Clear();
            guarded.Clear();
        }
    }

    /// <summary>Notes what was written since the last call, and protects everything (again). The program runs.</summary>
    /// <param name="areas">flags are not needed</param>
    public void Arm(List<Vma> areas) => Scan(areas, [], null, null, strict: false);

    /// <summary>Arms, and copies what was written since the base while the program runs; what was not is kept from the base.</summary>
    public void Precopy(ISnapshotWriter writer, List<Vma> areas)
    {
        Begin(writer);
        List<PageRun> runs = [];
        Scan(areas, [], runs, null, strict: false);
        Settle(runs, strict: false);
    }

    /// <summary>Copies frames that are not settled, of those that the base has only the pages written since, or keeps them.</summary>
    /// <returns>bytes copied</returns>
    private long Settle(List<PageRun> runs, bool strict)
    {
        List<PageRun> whole = [], pages = [];
        ulong last = ulong.MaxValue;
        foreach (PageRun run in runs)
        {
            if (_settled.Contains(run)) continue;
            for (ulong at = run.Start & ~(Frame - 1); at < run.End; at += Frame)
            {
                if (_settled.Contains(at)) continue;
                PageRun piece = new(Math.Max(at, run.Start), Math.Min(at + Frame, run.End));
                int written = WrittenSinceBase(at);
                if (BitOperations.PopCount((uint)written) >= ManyPages || !_part!.CanKeep((long)at)) PageRun.Append(whole, piece);
                else
                {
                    if (at != last) _part.KeepFrame((long)at);
                    for (ulong page = piece.Start; written != 0 && page < piece.End; page += PageRun.PageBytes)
                        if ((written >> (int)((page - at) / PageRun.PageBytes) & 1) != 0) PageRun.Append(pages, new PageRun(page, page + PageRun.PageBytes));
                }
                last = at;
            }
        }
        if (!strict) RequireRoom([.. whole, .. pages]);
        MemoryCopier copier = new(_reader, _writer!, _part!);
        copier.Copy(whole, strict, reach: !strict);
        long bytes = copier.BytesCopied + CopyPages(pages, strict, handOver: !strict);
        foreach (PageRun run in runs) _settled.Add(run);
        return bytes;
    }

    private void RequireRoom(List<PageRun> wanted)
    {
        long bytes = 0;
        long[] ends = new long[wanted.Count];
        for (int i = 0; i < ends.Length; i++) ends[i] = bytes += (long)(wanted[i].End - wanted[i].Start);
        _writer!.RequireRoom(bytes, (fraction, frame) =>
        {
            long at = (long)(fraction * bytes);
            int i = Array.BinarySearch(ends, at + 1);
            PageRun run = wanted[i < 0 ? ~i : i];
            return PageReader.TrySample(Pid, Math.Max(run.Start, run.End - (ulong)(ends[i < 0 ? ~i : i] - at) & ~(Frame - 1)), run.End, frame);
        });
    }

    /// <summary>Copies once more what was written since it was copied. The program runs.</summary>
    /// <param name="areas">read anew; flags are not needed</param>
    /// <param name="buffers">is raised by the buffers that held pages take from now on</param>
    /// <returns>bytes</returns>
    public long Refine(ISnapshotWriter writer, List<Vma> areas, ref int buffers)
    {
        if (!ReferenceEquals(_writer, writer)) return 0; // nothing was copied ahead
        int held = _held.Buffers;
        List<PageRun> written = [];
        Scan(areas, written, null, null, strict: false);
        long bytes = CopyPages(OfSettled(written), strict: false, handOver: false);
        buffers += Math.Max(0, _held.Buffers - held);
        return bytes;
    }

    /// <summary>Those of the pages whose frames are settled; the others are copied with their frames.</summary>
    private List<PageRun> OfSettled(List<PageRun> written)
    {
        List<PageRun> settled = [];
        foreach (PageRun run in written)
            for (ulong frame = run.Start & ~(Frame - 1); frame < run.End; frame += Frame)
                if (_settled.Contains(frame)) PageRun.Append(settled, new PageRun(Math.Max(frame, run.Start), Math.Min(frame + Frame, run.End)));
        return settled;
    }

    /// <summary>
    /// Copies pages of frames whose others the snapshot has, and holds them as far as there is memory for them. While the program runs they are handed over where there is none, so that the workers give buffers back; a frame whose
    /// page finds none even so, or in the stop, is copied whole, at the pace of the store.
    /// </summary>
    /// <param name="pages">ascending</param><param name="strict">false while the program runs</param><param name="handOver">they are not held, but for the pages that are copied at a time</param>
    /// <returns>bytes</returns>
    private long CopyPages(List<PageRun> pages, bool strict, bool handOver)
    {
        const int PatienceMs = 1000; // each round that waits finds more written
        long bytes = 0;
        List<PageRun> whole = [];
        foreach (PageRun run in pages)
            for (ulong page = run.Start; page < run.End; page += PageRun.PageBytes)
            {
                if (whole.Count > 0 && page < whole[^1].End) continue;
                if (handOver && _held.Count >= HandOverPages) HandOver();
                if (_held.Note(page, timeoutMs: 0)) continue;
                if (!strict && whole.Count == 0)
                {
                    HandOver();
                    if (_held.Note(page, PatienceMs)) continue;
                }
                ulong frame = page & ~(Frame - 1);
                _held.Drop(frame);
                PageRun.Append(whole, new PageRun(frame, frame + Frame));
            }
        if (handOver) HandOver(); else bytes += _held.Copy(strict);
        if (whole.Count == 0) return bytes;
        List<PageRun> present = [];
        foreach (PageRun run in whole) _scanner.ScanArea(run.Start, run.End, files: true, present, [], guards: null, flags: 0);
        MemoryCopier copier = new(_reader, _writer!, _part!);
        copier.Copy(present, strict, reach: false);
        return bytes + copier.BytesCopied;

        void HandOver()
        {
            bytes += _held.Copy(strict);
            _held.HandOver(_part!);
            _writer!.AwaitWorkers();
        }
    }

    /// <returns>bit p: page p of the frame is not as in the base</returns>
    private int WrittenSinceBase(ulong frame) => _allDirty ? 0xffff : _sinceBase.PagesOf(frame) | (_captured ? _afterCapture.PagesOf(frame) : 0);

    private void Begin(ISnapshotWriter writer)
    {
        if (ReferenceEquals(_writer, writer)) return;
        End();
        _writer = writer;
        _part = writer.OpenPart(PartName, ProcessImageFormat.MemoryPartBytes);
        _held.Begin(writer);
    }

    /// <summary>Writes the memory of the frozen process: pages written since they were copied ahead are copied, frames without any are kept from it or from the base.</summary>
    /// <param name="areas">flags are not needed</param>
    /// <param name="runs">receives populated pages</param><param name="guards">receives guard pages</param>
    /// <returns>plain bytes copied</returns>
    public long Capture(ISnapshotWriter writer, List<Vma> areas, List<PageRun> runs, List<PageRun> guards, PhaseTimes? times)
    {
        Begin(writer);
        List<PageRun> written = [];
        Scan(areas, written, runs, guards, strict: true);
        _captured = true;
        times?.Mark("scan", (runs.Count + written.Count) * 16L);
        long bytes = CopyPages(OfSettled(written), strict: true, handOver: false);
        times?.Mark("copy pages", bytes);
        Fault.At(FaultPoint.DumpMemory);
        long whole = Settle(runs, strict: true);
        _held.HandOver(_part!);
        times?.Mark("copy frames", whole);
        return bytes + whole;
    }

    /// <summary>The captured snapshot is the base from now on.</summary>
    public void Commit()
    {
        if (!_captured) return;
        _sinceBase = _afterCapture;
        _allDirty = false;
        End();
        _afterCapture = AddressSet.OfPages();
        _captured = false;
    }

    /// <summary>The base stays the one before: everything noted in the epoch still counts.</summary>
    public void Abort()
    {
        _sinceBase.UnionWith(_afterCapture);
        End();
        _afterCapture = AddressSet.OfPages();
        _captured = false;
    }

    /// <summary>Forgets the epoch's copies.</summary>
    private void End()
    {
        (_writer, _part) = (null, null);
        _held.Begin(null);
        _settled.Clear();
    }

    public void Dispose()
    {
        Sys.Close(_uffd);
        _scanner.Dispose();
        _reader.Dispose();
    }
}
