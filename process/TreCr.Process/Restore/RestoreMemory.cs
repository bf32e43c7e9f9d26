using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Lazy;
using TreCr.Process.Memory;
using TreCr.Process.Resources;

namespace TreCr.Process.Restore;

/// <summary>Mappings of a process being made, and their content.</summary>
internal sealed unsafe class RestoreMemory
{
    private const int PR_SET_VMA = 0x53564d41;

    /// <summary>From this much of an area on it is worth to fill it later, or by <see cref="PageCopies"/>.</summary>
    private const ulong LazyFromBytes = 256 << 10, CopiesFromBytes = 32 << 10;

    private static readonly (string Flag, int Advice)[] s_before = [("hg", 14), ("nh", 15)];
    private static readonly (string Flag, int Advice)[] s_after = [("dd", 16), ("dc", 10), ("wf", 18), ("mg", 12), ("sr", 2), ("rr", 1)];

    private readonly SavedTree _saved;
    private readonly ISnapshotReader _reader;
    private readonly ProcessImage _image;
    private readonly RemoteBatch _batch;
    private readonly List<PageRun> _runs, _guards;
    private readonly HashSet<ulong> _filled = [];
    private readonly List<LazyArea> _lazy = []; // ascending
    private readonly List<PageRun> _huge = []; // made of huge pages; ascending

    public RestoreMemory(SavedTree saved, ProcessImage image, RemoteBatch batch)
    {
        (_saved, _reader, _image, _batch) = (saved, saved.Reader, image, batch);
        _runs = PageRun.Decode(image.RunGapPages, image.RunLengthPages);
        _guards = PageRun.Decode(image.GuardGapPages, image.GuardLengthPages);
        int run = 0;
        foreach (VmaImage v in image.Vmas)
        {
            while (run < _runs.Count && _runs[run].End <= v.Start) run++;
            if (run < _runs.Count && _runs[run].Start < v.End) _filled.Add(v.Start);
        }
    }

    private static bool Has(VmaImage v, string flag) => (" " + v.Flags + " ").Contains($" {flag} ", StringComparison.Ordinal);
    private static bool IsShared(VmaImage v) => v.Permissions.Length == 4 && v.Permissions[3] == 's';
    private static int Protection(VmaImage v) => (v.Permissions[0] == 'r' ? 1 : 0) | (v.Permissions[1] == 'w' ? 2 : 0) | (v.Permissions[2] == 'x' ? 4 : 0);

    /// <summary>Adds all mappings. Areas with saved pages are writable until they are filled; others are not, because that would need memory for large reservations.</summary>
    public void Map(RestoreDescriptors descriptors)
    {
        foreach (VmaImage v in _image.Vmas)
        {
            VmaKind kind = (VmaKind)v.Kind;
            if (kind is VmaKind.Kernel or VmaKind.SystemV) continue;
            if (v.Permissions.Length != 4 || v.End <= v.Start) throw new ImageException("a saved memory area is damaged");
            long fd = kind switch
            {
                VmaKind.Anonymous => -1,
                VmaKind.File or VmaKind.DeletedFile or VmaKind.SharedMemory or VmaKind.Segment or VmaKind.Pinned => descriptors.SourceOf(v),
                _ => throw new ImageException($"saved memory area of unknown kind {v.Kind}"),
            };
            long flags = Sys.MAP_FIXED_NOREPLACE | (IsShared(v) ? Sys.MAP_SHARED : Sys.MAP_PRIVATE) | (fd < 0 ? Sys.MAP_ANONYMOUS : 0)
                | (Has(v, "gd") ? Sys.MAP_GROWSDOWN : 0) | (Has(v, "nr") ? Sys.MAP_NORESERVE : 0);
            long protection = Protection(v) | (!IsShared(v) && _filled.Contains(v.Start) ? 2 : 0);
            _batch.AddExpecting((long)v.Start, $"mmap {v.Start:x}-{v.End:x} {v.Permissions} {v.Path}", SyscallNumber.Mmap, (long)v.Start, (long)(v.End - v.Start), protection, flags, fd, fd < 0 ? 0 : (long)v.Offset);
            foreach (var (flag, advice) in s_before)
                if (Has(v, flag)) _batch.AddOptional("madvise", SyscallNumber.Madvise, (long)v.Start, (long)(v.End - v.Start), advice);
        }
        AttachSegments();
    }

    /// <summary>System V segments are attached whole; what the program had unmapped of one goes again.</summary>
    private void AttachSegments()
    {
        const int SHM_RDONLY = 0x1000;
        foreach (var attached in _image.Vmas.Where(v => (VmaKind)v.Kind == VmaKind.SystemV).GroupBy(v => (Id: (int)v.Index, Base: v.Start - v.Offset)))
        {
            if (_saved.Tree.Ipc?.Segments.FirstOrDefault(s => s.Id == attached.Key.Id) is not { } segment) throw new ImageException($"System V segment {attached.Key.Id} is not in the image");
            ulong at = attached.Key.Base, end = at + (segment.LengthBytes + 4095 & ~4095UL);
            _batch.AddExpecting((long)at, $"shmat of segment {segment.Id}", SyscallNumber.Shmat, segment.Id, (long)at, attached.All(v => v.Permissions[1] != 'w') ? SHM_RDONLY : 0);
            foreach (VmaImage v in attached.OrderBy(v => v.Start))
            {
                if (v.Start > at) _batch.Add("munmap", SyscallNumber.Munmap, (long)at, (long)(v.Start - at));
                _batch.AddOptional("mprotect", SyscallNumber.Mprotect, (long)v.Start, (long)(v.End - v.Start), Protection(v));
                at = v.End;
            }
            if (at < end) _batch.Add("munmap", SyscallNumber.Munmap, (long)at, (long)(end - at));
        }
    }

    /// <summary>
    /// Leaves out areas whose pages can come while the program runs: anonymous, writable ones with much in them, not locked and not a stack. They are registered with a userfaultfd that was made in the process.
    /// </summary>
    /// <param name="inside">its number there, or -errno</param>
    /// <param name="why">receives the reason why nothing is left out, where it is not that there is little memory</param>
    /// <returns>null: everything is filled before the program runs</returns>
    public LazyMemory? FillLazily(int pid, long inside, ref string? why)
    {
        List<VmaImage> areas = [.. _image.Vmas.Where(v => (VmaKind)v.Kind == VmaKind.Anonymous && !IsShared(v) && v.Permissions[1] == 'w' && !Has(v, "gd") && !Has(v, "lo") && !Has(v, "ht") && SavedBytes(v) >= LazyFromBytes)];
        if (areas.Count == 0) return null;
        int pidfd = -1, uffd = -1;
        try
        {
            Sys.Check(inside, "userfaultfd");
            pidfd = Sys.PidfdOpen(pid);
            Sys.Check(uffd = Sys.PidfdGetfd(pidfd, (int)inside), "pidfd_getfd", "userfaultfd");
            Sys.Check(UserFault.Enable(uffd, withEvents: true), "ioctl(UFFDIO_API)");
            foreach (VmaImage v in areas)
            {
                Sys.Check(UserFault.Register(uffd, v.Start, v.End - v.Start), "ioctl(UFFDIO_REGISTER)", $"{v.Start:x}");
                if (_lazy.Count > 0 && _lazy[^1].End == v.Start) _lazy[^1] = _lazy[^1] with { End = v.End }; else _lazy.Add(new LazyArea(v.Start, v.End, v.Start));
            }
            LazyState state = LazyState.Create(pid);
            if (!state.TrySet(_lazy)) throw new ProcessException($"{_lazy.Count} memory areas");
            return new LazyMemory(uffd, OpenPart(), _runs, state);
        }
        catch (Exception e) when (e is LinuxException or ProcessException)
        {
            _lazy.Clear();
            Sys.Close(uffd); // which ends the registration: nothing was left out yet
            why ??= e is LinuxException { ErrorNumber: Errno.EPERM } ? "page faults of system calls may only be served with CAP_SYS_PTRACE outside of every user namespace (root)" : e.Message;
            return null;
        }
        finally { Sys.Close(pidfd); }
    }

    private ulong SavedBytes(VmaImage v)
    {
        ulong bytes = 0;
        foreach (PageRun run in _runs)
            if (run.Start < v.End && run.End > v.Start) bytes += Math.Min(run.End, v.End) - Math.Max(run.Start, v.Start);
        return bytes;
    }

    private IPartReader OpenPart() => _reader.OpenPart(_image.MemoryPart.Length > 0 ? _image.MemoryPart : ProcessImageFormat.MemoryPart);

    /// <summary>Saved pages that are filled before the program runs.</summary>
    private List<PageRun> EagerRuns()
    {
        if (_lazy.Count == 0) return _runs;
        List<PageRun> eager = [];
        int i = 0;
        foreach (PageRun run in _runs)
        {
            ulong at = run.Start;
            while (i < _lazy.Count && _lazy[i].End <= at) i++;
            for (int k = i; at < run.End; k++)
            {
                ulong to = k < _lazy.Count ? Math.Clamp(_lazy[k].Start, at, run.End) : run.End;
                if (to > at) eager.Add(new PageRun(at, to));
                at = k < _lazy.Count ? Math.Max(at, _lazy[k].End) : run.End;
            }
        }
        return eager;
    }

    /// <summary>
    /// Has the kernel put huge pages where the program may have had them and all of one will be filled. It ends where they have to be made out of scattered memory first, which takes longer than small ones
    /// do (1 GiB: 3.8 s).
    /// </summary>
    /// <returns>bytes</returns>
    public long MakeHuge(int pid)
    {
        if (!HugePages.Allowed || _lazy.Count > 0) return 0; // what is filled now of a lazy restart is small
        List<PageRun> eager = EagerRuns();
        HugePages pages = new(_batch, pid);
        int run = 0;
        foreach (VmaImage v in _image.Vmas.Where(v => (VmaKind)v.Kind == VmaKind.Anonymous && !IsShared(v) && !Has(v, "nh") && !Has(v, "gd") && (HugePages.Always || Has(v, "hg"))))
        {
            while (run < eager.Count && eager[run].End <= v.Start) run++;
            for (int i = run; i < eager.Count && eager[i].Start < v.End; i++)
            {
                ulong end = Math.Min(v.End, eager[i].End);
                for (ulong at = Math.Max(v.Start, eager[i].Start) + HugePages.Bytes - 1 & ~(HugePages.Bytes - 1); at + HugePages.Bytes <= end; at += HugePages.PieceBytes)
                {
                    ulong length = Math.Min(HugePages.PieceBytes, end - at & ~(HugePages.Bytes - 1));
                    if (!pages.Make(at, length)) return MadeHuge();
                    PageRun.Append(_huge, new PageRun(at, at + length));
                }
            }
        }
        return MadeHuge();
        long MadeHuge() => _huge.Sum(h => (long)(h.End - h.Start));
    }

    /// <summary>Writes the saved pages but those that come later.</summary>
    /// <param name="inside">number of a userfaultfd in the process, or -errno</param>
    public void Fill(int pid, long inside)
    {
        List<PageRun> files = [.. _image.Vmas.Where(v => (VmaKind)v.Kind is VmaKind.File or VmaKind.DeletedFile or VmaKind.SharedMemory && !IsShared(v)).Select(v => new PageRun(v.Start, v.End))];
        using PageCopies? copies = _lazy.Count > 0 ? null : PageCopies.TryOpen(pid, inside);
        if (copies is not null) AddTo(copies);
        new MemoryFill(pid, OpenPart(), EagerRuns(), files, copies).Run();
    }

    /// <summary>Anonymous memory, but where huge pages are or may come when it is written.</summary>
    private void AddTo(PageCopies copies)
    {
        int huge = 0;
        foreach (VmaImage v in _image.Vmas.Where(v => (VmaKind)v.Kind == VmaKind.Anonymous && !IsShared(v) && !Has(v, "ht") && !(Has(v, "hg") && HugePages.Allowed) && SavedBytes(v) >= CopiesFromBytes))
        {
            ulong at = v.Start;
            for (; huge < _huge.Count && _huge[huge].Start < v.End; huge++)
            {
                if (_huge[huge].Start > at) copies.Add(at, _huge[huge].Start);
                at = Math.Max(at, _huge[huge].End);
            }
            if (at < v.End) copies.Add(at, v.End);
        }
    }

    /// <summary>Adds the final protections and advice.</summary>
    public void Protect()
    {
        foreach (VmaImage v in _image.Vmas)
        {
            if ((VmaKind)v.Kind == VmaKind.Kernel) continue;
            long start = (long)v.Start, length = (long)(v.End - v.Start);
            if (!IsShared(v) && _filled.Contains(v.Start) && v.Permissions[1] != 'w') _batch.Add($"mprotect {v.Start:x}", SyscallNumber.Mprotect, start, length, Protection(v));
            foreach (var (flag, advice) in s_after)
                if (Has(v, flag)) _batch.AddOptional("madvise", SyscallNumber.Madvise, start, length, advice);
            if (Has(v, "lo")) _batch.AddOptional("mlock", SyscallNumber.Mlock, start, length);
            if (v.Path.StartsWith("[anon:", StringComparison.Ordinal)) _batch.AddOptional("prctl(PR_SET_VMA)", SyscallNumber.Prctl, PR_SET_VMA, 0, start, length, _batch.Text(v.Path[6..^1]));
        }
        foreach (PageRun g in _guards) _batch.Add("madvise(MADV_GUARD_INSTALL)", SyscallNumber.Madvise, (long)g.Start, (long)(g.End - g.Start), 102);
        foreach (VmaImage v in _image.Vmas) // last: nothing changes them any more
            if ((VmaKind)v.Kind != VmaKind.Kernel && Has(v, "sl")) _batch.Add($"mseal {v.Start:x}", SyscallNumber.Mseal, (long)v.Start, (long)(v.End - v.Start), 0);
    }
}
