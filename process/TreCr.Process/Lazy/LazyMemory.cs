using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Memory;
using TreCr.Process.Read;

namespace TreCr.Process.Lazy;

/// <summary>
/// Memory of one process that runs while pages of it are still in the snapshot. Whoever touches one of them waits until it is copied there; whatever the program does to
/// its address space meanwhile (mremap, munmap, madvise, fork) waits until it is noted here.
/// </summary>
/// <remarks>
/// Server thread only, but for <see cref="NextFrame"/>. Copying and reading events are on one thread, so that no page is copied after the program has dropped it: the program goes on only when its
/// event was read, and from then on the area is not in the list. Pages that are in no area are zero.
/// </remarks>
internal sealed unsafe class LazyMemory
{
    private const ulong Frame = ISnapshotWriter.FrameSizeBytes, LowestAddress = 1 << 16, EndOfAddresses = 0x7ffffffff000;

    private readonly List<PageRun> _runs;
    private readonly IEnumerator<ulong> _frames; // of what is not taken yet: a list of all would be made while the program waits
    private readonly AddressSet _served = AddressSet.OfFrames();
    private readonly LazyState? _state; // null: of a child that was forked meanwhile
    private readonly LazyMemory _root;
    private readonly Queue<ulong> _faults = [];
    private List<LazyArea> _areas;
    private int _unfinishedChildren;
    private bool _closed, _hasNext;

    /// <param name="runs">saved pages, ascending</param>
    /// <param name="state">owned; its areas are those to serve</param>
    public LazyMemory(int uffd, IPartReader part, List<PageRun> runs, LazyState state) : this(uffd, part, runs, state.Areas, null) => _state = state;

    private LazyMemory(int uffd, IPartReader part, List<PageRun> runs, List<LazyArea> areas, LazyMemory? root)
    {
        (Descriptor, Part, _runs, _areas, _root) = (uffd, part, runs, areas, root ?? this);
        _frames = FramesOf(areas).GetEnumerator();
        _hasNext = _frames.MoveNext();
    }

    private IEnumerable<ulong> FramesOf(List<LazyArea> areas)
    {
        ulong after = 0;
        foreach (LazyArea area in areas.OrderBy(a => a.Source))
            foreach (PageRun run in Saved(area.Source, area.Source + (area.End - area.Start)))
                for (ulong at = Math.Max(after, run.Start & ~(Frame - 1)); at < run.End; at += Frame)
                {
                    after = at + Frame;
                    if (Part.HasFrame((long)at)) yield return at;
                }
    }

    public int Descriptor { get; }

    public int StateDescriptor => _state?.Descriptor ?? -1;

    /// <summary>For a successor.</summary>
    public void SetKeeper(int pid) { if (_state is not null) _state.Keeper = pid; }

    public IPartReader Part { get; }

    /// <summary>Frames given to readers and not copied yet; under the server's lock.</summary>
    public int InFlight { get; set; }

    /// <summary>Why the last copy could not be made at once, and where: for messages.</summary>
    public int WaitsFor { get; private set; }

    public ulong WaitsAt { get; private set; }

    /// <summary>Every page is there, or the process is gone.</summary>
    public bool IsDone { get; private set; }

    /// <summary>Frames are left that no reader has taken. Under the server's lock.</summary>
    public bool HasMore => !IsDone && _hasNext;

    /// <summary>The next frame to copy ahead of its use. Under the server's lock.</summary>
    /// <returns>false: there is none</returns>
    public bool NextFrame(out ulong frame)
    {
        for (frame = 0; HasMore;)
        {
            frame = _frames.Current;
            _hasNext = _frames.MoveNext();
            if (!IsServed(frame)) return true;
        }
        return false;
    }

    private bool IsServed(ulong frame) { lock (_served) return _served.Contains(frame); }

    /// <summary>Reads everything that waits: events are noted at once, faults are kept for <see cref="ServeFaults"/>.</summary>
    /// <returns>a child that the process has forked</returns>
    public LazyMemory? ReadMessages()
    {
        byte* message = stackalloc byte[32];
        Span<PollEntry> ready = [new PollEntry { Fd = Descriptor, Events = Sys.POLLIN }];
        while (!IsDone && Sys.Poll(ready, 0) > 0 && (ready[0].Returned & Sys.POLLIN) != 0) // only then is there a moment in which nobody could go on
        {
            SetUnsure(true);
            long n = Sys.Raw(SyscallNumber.Read, Descriptor, (long)message, 32);
            LazyMemory? child = null;
            if (n == 32) child = Note(message);
            else if (n is not (-Errno.EAGAIN or -Errno.EINTR)) throw new ProcessException($"a userfaultfd cannot be read ({n})");
            SetUnsure(false);
            if (child is not null) return child;
            if (n != 32) return null;
        }
        return null;
    }

    /// <summary>Where no page is missing any more an event changes nothing that a successor would need.</summary>
    private void SetUnsure(bool unsure)
    {
        if (_state is { } state) state.Status = unsure && _areas.Count > 0 || _unfinishedChildren > 0 ? LazyStatus.Unsure : LazyStatus.Serving;
    }

    private LazyMemory? Note(byte* message)
    {
        ulong* words = (ulong*)(message + 8);
        if (message[0] != UserFault.PageFault) Fault.At(FaultPoint.LazyEvent);
        switch (message[0])
        {
            case UserFault.PageFault:
                _faults.Enqueue(words[1] & ~4095UL);
                return null;
            case UserFault.Fork:
                LazyMemory child = new(*(int*)words, Part, _runs, [.. _areas], _root);
                _root._unfinishedChildren++;
                return child;
            case UserFault.Remap:
                List<LazyArea> moved = Cut(words[0], words[0] + words[2]);
                Cut(words[1], words[1] + words[2]);
                foreach (LazyArea area in moved) _areas.Add(new LazyArea(area.Start - words[0] + words[1], area.End - words[0] + words[1], area.Source));
                break;
            case UserFault.Remove or UserFault.Unmap:
                Cut(words[0], words[1]);
                break;
        }
        if (_state is not null && !_state.TrySet(_areas)) throw new ProcessException("a program that is restored lazily has changed its address space too often");
        return null;
    }

    /// <summary>Takes a range out of the areas.</summary>
    private List<LazyArea> Cut(ulong start, ulong end)
    {
        List<LazyArea> kept = [], cut = [];
        foreach (LazyArea area in _areas)
        {
            ulong from = Math.Max(start, area.Start), to = Math.Min(end, area.End);
            if (from >= to)
            {
                kept.Add(area);
                continue;
            }
            if (area.Start < from) kept.Add(area with { End = from });
            if (to < area.End) kept.Add(new LazyArea(to, area.End, area.Source + (to - area.Start)));
            cut.Add(new LazyArea(from, to, area.Source + (from - area.Start)));
        }
        _areas = kept;
        return cut;
    }

    /// <summary>Copies what waiting threads need.</summary>
    /// <param name="buffer">[frame]</param>
    /// <returns>false: an event waits to be read first</returns>
    public bool ServeFaults(byte* buffer)
    {
        while (!IsDone && _faults.TryPeek(out ulong page))
        {
            // A page that was copied and is missing again was dropped without an event (a guard page was there): it is zero.
            if (SourceOf(page) is { } source && !IsServed(source) && Saved(source, source + 4096).Any())
            {
                ulong frame = source & ~(Frame - 1);
                Part.ReadFrame((long)frame, new Span<byte>(buffer, (int)Frame));
                if (!CopyFrame(frame, buffer)) return false;
                UserFault.Wake(Descriptor, page, 4096); // where it was there already nothing has woken the thread
            }
            else
            {
                long result = UserFault.Zero(Descriptor, page);
                if (result == -Errno.EAGAIN) return false;
                if (result == -Errno.ESRCH) IsDone = true;
                if (result is not (0 or -Errno.ESRCH)) UserFault.Wake(Descriptor, page, 4096); // it tries again
            }
            _faults.Dequeue();
        }
        return true;
    }

    private ulong? SourceOf(ulong page)
    {
        foreach (LazyArea area in _areas)
            if (page >= area.Start && page < area.End) return page - area.Start + area.Source;
        return null;
    }

    /// <summary>Copies the pages of one frame, wherever the process has them now. Again is no harm.</summary>
    /// <returns>false: an event waits to be read first; to be called again</returns>
    public bool CopyFrame(ulong frame, byte* bytes)
    {
        if (IsDone || IsServed(frame)) return true;
        foreach (LazyArea area in _areas)
        {
            ulong from = Math.Max(frame, area.Source), to = Math.Min(frame + Frame, area.Source + (area.End - area.Start));
            if (from >= to) continue;
            foreach (PageRun run in Saved(from, to))
                if (!Copy(run.Start - area.Source + area.Start, bytes + (run.Start - frame), run.End - run.Start)) return false;
        }
        lock (_served) _served.Add(frame);
        return true;
    }

    private bool Copy(ulong to, byte* from, ulong lengthBytes)
    {
        ulong most = lengthBytes;
        while (lengthBytes > 0 && !IsDone)
        {
            ulong wanted = Math.Min(most, lengthBytes);
            long result = UserFault.Copy(Descriptor, to, from, wanted, out ulong copied);
            if (result == 0) copied = wanted;
            else if (copied == 0)
            {
                if (result == -Errno.ENOENT && most > 4096)
                {
                    most = 4096; // one call may not go over the end of an area, and mprotect makes areas without an event
                    continue;
                }
                if (result is -Errno.EAGAIN or -Errno.ENOENT) // moved or unmapped, of which the event comes
                {
                    (WaitsFor, WaitsAt) = ((int)-result, to);
                    return false;
                }
                if (result == -Errno.ESRCH) IsDone = true;
                else if (result == -Errno.EEXIST) copied = 4096;
                else Sys.Check(result, "ioctl(UFFDIO_COPY)", $"{to:x}");
            }
            to += copied;
            from += copied;
            lengthBytes -= copied;
        }
        return true;
    }

    /// <summary>Saved pages between two addresses of the snapshot.</summary>
    private IEnumerable<PageRun> Saved(ulong from, ulong to)
    {
        int low = 0, high = _runs.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_runs[middle].End <= from) low = middle + 1; else high = middle;
        }
        for (; low < _runs.Count && _runs[low].Start < to; low++) yield return new PageRun(Math.Max(from, _runs[low].Start), Math.Min(to, _runs[low].End));
    }

    /// <summary>Wakes threads whose fault a server before this one has read, also outside the areas: those wait for a page of zeros.</summary>
    public void WakeAll() => UserFault.Wake(Descriptor, LowestAddress, EndOfAddresses - LowestAddress);

    /// <summary>All pages are there: the kernel takes over. Zero pages are served until then.</summary>
    /// <returns>false: the program changed its areas meanwhile, or a child of it misses pages; to be called again after <see cref="ReadMessages"/></returns>
    public bool TryFinish()
    {
        // Of a child whose pages are missing only this server knows: "done" would let the supervisor close what the program is killed by if this server dies.
        if (!IsDone && _state is not null && _unfinishedChildren > 0) return false;
        if (!IsDone && _state is not null)
        {
            // From here on a successor has nothing to copy: in memory that is not registered any more it could not, and no event would ever say why.
            // A child that is forked now has all pages.
            _areas = [];
            _state.TrySet(_areas);
            Fault.At(FaultPoint.LazyFilled);
            try
            {
                foreach (Vma area in Vma.ReadAll(_state.Pid))
                {
                    if (!area.Has("um")) continue;
                    UserFault.Unregister(Descriptor, area.Start, area.LengthBytes);
                    Fault.At(FaultPoint.LazyUnregister);
                }
                if (Vma.ReadAll(_state.Pid).Any(a => a.Has("um"))) return false;
            }
            catch (IOException) { } // it ended
        }
        Finish();
        return true;
    }

    /// <summary>The process is gone, or will not run.</summary>
    public void Abandon()
    {
        if (_closed) return;
        _closed = true;
        Sys.Close(Descriptor);
        _state?.Dispose();
    }

    private void Finish()
    {
        if (_closed) return;
        _closed = true;
        IsDone = true;
        if (_state is not null) _state.Status = LazyStatus.Done;
        if (_root != this && --_root._unfinishedChildren == 0 && !_root.IsDone) _root.SetUnsure(false);
        Sys.Close(Descriptor); // of a child: the last one, which ends its registration
        _state?.Dispose();
    }
}
