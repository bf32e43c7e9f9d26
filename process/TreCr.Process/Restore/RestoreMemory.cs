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
    private const ulong Frame = ISnapshotWriter.FrameSizeBytes;
    private const int PR_SET_VMA = 0x53564d41;

    /// <summary>Threads that fill memory; from this much of an area on it is worth to fill it later.</summary>
    private const int MostReaders = 8;
    private const ulong LazyFromBytes = 256 << 10;

    private static readonly (string Flag, int Advice)[] s_before = [("hg", 14), ("nh", 15)];
    private static readonly (string Flag, int Advice)[] s_after = [("dd", 16), ("dc", 10), ("wf", 18), ("mg", 12), ("sr", 2), ("rr", 1)];

    private readonly SavedTree _saved;
    private readonly ISnapshotReader _reader;
    private readonly ProcessImage _image;
    private readonly RemoteBatch _batch;
    private readonly List<PageRun> _runs, _guards;
    private readonly HashSet<ulong> _filled = [];
    private readonly List<LazyArea> _lazy = []; // ascending

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
            Sys.Check(UserFault.Enable(uffd), "ioctl(UFFDIO_API)");
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
    /// Has the kernel put huge pages where all of one will be filled: 512 page faults less each, which are more than half of what a restore of much memory costs (1 GiB: 0.3 s instead of 0.8). It ends where
    /// they have to be made out of scattered memory first, which takes longer than the faults (3.8 s).
    /// </summary>
    /// <returns>bytes</returns>
    public long MakeHuge(int pid)
    {
        if (!HugePages.Wanted || _lazy.Count > 0) return 0; // what is filled now of a lazy restart is small
        List<PageRun> eager = EagerRuns();
        HugePages pages = new(_batch, pid);
        long made = 0;
        int run = 0;
        foreach (VmaImage v in _image.Vmas.Where(v => (VmaKind)v.Kind == VmaKind.Anonymous && !IsShared(v) && !Has(v, "nh") && !Has(v, "gd")))
        {
            while (run < eager.Count && eager[run].End <= v.Start) run++;
            for (int i = run; i < eager.Count && eager[i].Start < v.End; i++)
            {
                ulong end = Math.Min(v.End, eager[i].End);
                for (ulong at = Math.Max(v.Start, eager[i].Start) + HugePages.Bytes - 1 & ~(HugePages.Bytes - 1); at + HugePages.Bytes <= end; at += HugePages.PieceBytes)
                {
                    ulong length = Math.Min(HugePages.PieceBytes, end - at & ~(HugePages.Bytes - 1));
                    if (!pages.Make(at, length)) return made;
                    made += (long)length;
                }
            }
        }
        return made;
    }

    /// <summary>Writes the saved pages but those that come later, on several threads.</summary>
    public void Fill(int pid)
    {
        IPartReader part = OpenPart();
        List<PageRun> runs = EagerRuns();
        // A page that is present and zero need not be written over anonymous memory, but must be over a private file mapping.
        HashSet<ulong> stored = [.. part.FrameOffsets.Select(o => (ulong)o)];
        List<(ulong Frame, int First)> frames = [];
        for (int i = 0; i < runs.Count; i++)
            for (ulong at = runs[i].Start & ~(Frame - 1); at < runs[i].End; at += Frame)
                if (frames.Count == 0 || frames[^1].Frame < at) frames.Add((at, i));
        List<(ulong Start, ulong End)> files = [.. _image.Vmas.Where(v => (VmaKind)v.Kind is VmaKind.File or VmaKind.DeletedFile or VmaKind.SharedMemory && !IsShared(v)).Select(v => (v.Start, v.End))];
        int next = -1;
        Exception? error = null;
        void Work()
        {
            byte[] buffer = new byte[Frame];
            try
            {
                for (int i; error is null && (i = Interlocked.Increment(ref next)) < frames.Count;)
                {
                    var (at, first) = frames[i];
                    if (!stored.Contains(at))
                    {
                        if (!files.Exists(f => f.Start < at + Frame && at < f.End)) continue;
                        Array.Clear(buffer);
                    }
                    else part.ReadFrame((long)at, buffer);
                    WriteFrame(pid, runs, at, first, buffer);
                }
            }
            catch (Exception e) { Interlocked.CompareExchange(ref error, e, null); }
        }
        Thread[] others = new Thread[Math.Min(frames.Count / 64, Math.Min(Environment.ProcessorCount, MostReaders) - 1)];
        for (int i = 0; i < others.Length; i++) (others[i] = new Thread(Work) { IsBackground = true }).Start();
        Work();
        foreach (Thread other in others) other.Join();
        if (error is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Capture(error).Throw();
    }

    private static void WriteFrame(int pid, List<PageRun> runs, ulong at, int first, byte[] buffer)
    {
        fixed (byte* p = buffer)
            for (int i = first; i < runs.Count && runs[i].Start < at + Frame; i++)
            {
                ulong from = Math.Max(at, runs[i].Start), to = Math.Min(at + Frame, runs[i].End);
                if (to <= from) continue;
                long n = Sys.ProcessVmWrite(pid, from, p + (from - at), (long)(to - from));
                if (n != (long)(to - from)) throw new ProcessException($"cannot fill memory at {from:x} ({n})");
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
