using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Memory;
using TreCr.Process.Resources;

namespace TreCr.Process.Restore;

/// <summary>Mappings of a process being made, and their content.</summary>
internal sealed unsafe class RestoreMemory
{
    private const ulong Frame = ISnapshotWriter.FrameSizeBytes;
    private const int PR_SET_VMA = 0x53564d41;

    private static readonly (string Flag, int Advice)[] s_before = [("hg", 14), ("nh", 15)];
    private static readonly (string Flag, int Advice)[] s_after = [("dd", 16), ("dc", 10), ("wf", 18), ("mg", 12), ("sr", 2), ("rr", 1)];

    private readonly SavedTree _saved;
    private readonly ISnapshotReader _reader;
    private readonly ProcessImage _image;
    private readonly RemoteBatch _batch;
    private readonly List<PageRun> _runs, _guards;
    private readonly HashSet<ulong> _filled = [];

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

    /// <summary>Writes the saved pages, on two threads.</summary>
    public void Fill(int pid)
    {
        IPartReader part = _reader.OpenPart(_image.MemoryPart.Length > 0 ? _image.MemoryPart : ProcessImageFormat.MemoryPart);
        // A page that is present and zero need not be written over anonymous memory, but must be over a private file mapping.
        HashSet<ulong> stored = [.. part.FrameOffsets.Select(o => (ulong)o)];
        List<(ulong Frame, int First)> frames = [];
        for (int i = 0; i < _runs.Count; i++)
            for (ulong at = _runs[i].Start & ~(Frame - 1); at < _runs[i].End; at += Frame)
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
                    WriteFrame(pid, at, first, buffer);
                }
            }
            catch (Exception e) { Interlocked.CompareExchange(ref error, e, null); }
        }
        if (frames.Count < 64) Work();
        else
        {
            Thread second = new(Work) { IsBackground = true };
            second.Start();
            Work();
            second.Join();
        }
        if (error is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Capture(error).Throw();
    }

    private void WriteFrame(int pid, ulong at, int first, byte[] buffer)
    {
        fixed (byte* p = buffer)
            for (int i = first; i < _runs.Count && _runs[i].Start < at + Frame; i++)
            {
                ulong from = Math.Max(at, _runs[i].Start), to = Math.Min(at + Frame, _runs[i].End);
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
    }
}
