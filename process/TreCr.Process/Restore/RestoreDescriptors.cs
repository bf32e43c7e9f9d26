using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Resources;

namespace TreCr.Process.Restore;

/// <summary>
/// Descriptors of one process being made: first the sources of its mappings, at the lowest numbers; then the saved descriptors in ascending order, each taken
/// from this engine, which holds all descriptions (<see cref="OpenFileRestore"/>). Numbers are predicted (a new one is the lowest free) and verified.
/// </summary>
internal sealed class RestoreDescriptors(SavedTree saved, ProcessImage image, OpenFileRestore files, RemoteBatch batch)
{
    private readonly Dictionary<uint, int> _deleted = [];
    private readonly Dictionary<(string Path, bool Write), int> _mapped = [];
    private readonly Dictionary<int, int> _memory = [];
    private readonly Dictionary<int, (int Segment, int Pinned)> _sessions = [];
    private readonly SortedSet<int> _used = [];
    private int _next, _engine, _lowest;

    /// <summary>The program's executable, for PR_SET_MM_MAP; valid until <see cref="Place"/>.</summary>
    public int ExecutableDescriptor { get; private set; }

    /// <summary>Adds the opens of everything that mappings come from.</summary>
    public void OpenSources()
    {
        // The engine's descriptors are taken from inside: pidfd_getfd works for every kind.
        _engine = Open("pidfd_open of the engine", SyscallNumber.PidfdOpen, Environment.ProcessId);
        int Take(int fd, string what) => fd < 0 ? -1 : Open($"pidfd_getfd of {what}", SyscallNumber.PidfdGetfd, _engine, fd);
        foreach (int number in image.Vmas.Where(v => (VmaKind)v.Kind is VmaKind.Segment or VmaKind.Pinned).Select(v => (int)v.Index).Distinct())
        {
            if (!files.Given.Sessions.TryGetValue(number, out var fds)) throw new RefusedException([$"the image needs delegator {number} and none was given"]);
            _sessions[number] = (Take(fds.Segment, "segment"), Take(fds.Pinned, "pinned memory"));
        }
        foreach (int index in image.Vmas.Where(v => (VmaKind)v.Kind == VmaKind.SharedMemory).Select(v => (int)v.Index - 1).Distinct())
            _memory[index] = Take(files.SharedMemory(index), "shared memory");
        foreach (uint id in image.Vmas.Where(v => (VmaKind)v.Kind == VmaKind.DeletedFile).Select(v => v.Index).Distinct())
            _deleted[id] = Take(DeletedFileKind.FileOf(files, saved.Tree.OpenFiles[(int)id - 1].Object.File), "a deleted file");
        foreach (VmaImage v in image.Vmas)
        {
            if ((VmaKind)v.Kind != VmaKind.File) continue;
            var key = FileKey(v);
            if (!_mapped.ContainsKey(key)) _mapped[key] = Open("open " + v.Path, SyscallNumber.Open, batch.Text(v.Path), key.Write ? Sys.O_RDWR : Sys.O_RDONLY);
        }
        ExecutableDescriptor = Open("open " + image.Executable, SyscallNumber.Open, batch.Text(image.Executable), Sys.O_RDONLY);
    }

    private int Open(string what, SyscallNumber number, long a, long b = 0, long c = 0)
    {
        batch.AddExpecting(_next, what, number, a, b, c);
        return _next++;
    }

    private static (string Path, bool Write) FileKey(VmaImage v) => (v.Path, v.Permissions[3] == 's' && (v.Permissions[1] == 'w' || (" " + v.Flags + " ").Contains(" mw ", StringComparison.Ordinal)));

    /// <summary>Descriptor that an area is mapped from.</summary>
    public int SourceOf(VmaImage v)
    {
        int fd = (VmaKind)v.Kind switch
        {
            VmaKind.File => _mapped[FileKey(v)],
            VmaKind.DeletedFile => _deleted[v.Index],
            VmaKind.SharedMemory => _memory[(int)v.Index - 1],
            VmaKind.Segment => _sessions[(int)v.Index].Segment,
            VmaKind.Pinned => _sessions[(int)v.Index].Pinned,
            _ => -1,
        };
        return fd >= 0 ? fd : throw new RefusedException([$"nothing was given for the memory at {v.Start:x} {v.Path}"]);
    }

    /// <summary>Makes the saved descriptors; runs what is in the batch.</summary>
    public void Place(int pid)
    {
        int park = Math.Max(image.Descriptors.Count == 0 ? 0 : image.Descriptors.Max(d => d.Number) + 1, _next) + 8;
        // Above the saved numbers: RestoreLimits made room.
        batch.Add("dup3", SyscallNumber.Dup3, _engine, park, Sys.O_CLOEXEC);
        batch.Add("close_range", SyscallNumber.CloseRange, 0, park - 1);
        Dictionary<uint, int> placed = [];
        foreach (DescriptorImage d in image.Descriptors)
        {
            if (batch.IsFull()) batch.Run(pid);
            bool closeOnExec = (d.Flags & Sys.O_CLOEXEC) != 0;
            if (placed.TryGetValue(d.OpenFile, out int same)) batch.Add("dup3", SyscallNumber.Dup3, same, d.Number, d.Flags & Sys.O_CLOEXEC);
            else
            {
                int low = Lowest();
                batch.AddExpecting(low, $"pidfd_getfd of {saved.Tree.OpenFiles[(int)d.OpenFile - 1].Link}", SyscallNumber.PidfdGetfd, park, files.Get(d.OpenFile));
                if (low != d.Number)
                {
                    batch.Add("dup3", SyscallNumber.Dup3, low, d.Number, d.Flags & Sys.O_CLOEXEC);
                    batch.Add("close", SyscallNumber.Close, low);
                }
                else if (!closeOnExec) batch.Add("fcntl(F_SETFD)", SyscallNumber.Fcntl, d.Number, Sys.F_SETFD, 0);
                placed[d.OpenFile] = d.Number;
            }
            _used.Add(d.Number);
        }
        foreach (DescriptorImage d in image.Descriptors)
        {
            if (batch.IsFull()) batch.Run(pid);
            OpenFileImage file = saved.Tree.OpenFiles[(int)d.OpenFile - 1];
            OpenFileKinds.Of(file).Place(file, d, image, batch);
            foreach (LockImage one in d.Locks)
            {
                var (command, argument) = FileLocks.ForProcess(one);
                batch.Add($"fcntl(F_SETLK) on {file.Link}", SyscallNumber.Fcntl, d.Number, command, batch.Put(argument));
            }
        }
        batch.Add("close", SyscallNumber.Close, park);
    }

    private int Lowest()
    {
        while (_used.Contains(_lowest)) _lowest++;
        return _lowest;
    }
}
