using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Resources;

namespace TreCr.Process.Restore;

/// <summary>
/// Descriptors of a process being made: first the sources of its mappings, at the lowest numbers; those that are still needed are then parked above
/// all saved numbers, and the saved descriptors are made in ascending order. Numbers are predicted (openers give the lowest free one) and verified.
/// </summary>
internal sealed class RestoreDescriptors(ProcessImage image, GivenDescriptors given, RemoteBatch batch)
{
    private const int F_SETFL = 4, F_SETFD = 2, F_SETPIPE_SZ = 1031, F_ADD_SEALS = 1033, TIOCSCTTY = 0x540E;

    private readonly Dictionary<(string Path, bool Write), int> _files = [];
    private readonly Dictionary<int, int> _memory = [], _streams = [];
    private readonly Dictionary<int, (int Connection, int Segment, int Pinned)> _sessions = [];
    private readonly SortedSet<int> _used = [];
    private int _next, _park;

    /// <summary>The program's executable, for PR_SET_MM_MAP; valid until <see cref="Place"/>.</summary>
    public int ExecutableDescriptor { get; private set; }

    /// <summary>Adds the opens of everything that mappings and external descriptors come from.</summary>
    public void OpenSources()
    {
        RestoreFiles.MakeMissing(image);
        // The engine's descriptors are taken from inside: pidfd_getfd works for sockets too.
        int engine = Open("pidfd_open of the engine", SyscallNumber.PidfdOpen, Environment.ProcessId);
        int Take(int fd, string what) => fd < 0 ? -1 : Open($"pidfd_getfd of {what}", SyscallNumber.PidfdGetfd, engine, fd);
        foreach (int number in image.Descriptors.Where(d => (DescriptorKind)d.Kind == DescriptorKind.ExternalStream).Select(d => (int)d.Index).Distinct())
            _streams[number] = Take(given.Streams.TryGetValue(number, out int fd) ? fd : throw new RefusedException([$"the image needs standard stream {number} and none was given"]), $"stream {number}");
        var sessions = image.Descriptors.Where(d => (DescriptorKind)d.Kind == DescriptorKind.ExternalConnection).Select(d => (int)d.Index)
            .Concat(image.Vmas.Where(v => (VmaKind)v.Kind is VmaKind.Segment or VmaKind.Pinned).Select(v => (int)v.Index));
        foreach (int number in sessions.Distinct())
        {
            if (!given.Sessions.TryGetValue(number, out var fds)) throw new RefusedException([$"the image needs delegator {number} and none was given"]);
            _sessions[number] = (Take(fds.Connection, "connection"), Take(fds.Segment, "segment"), Take(fds.Pinned, "pinned memory"));
        }
        for (int i = 0; i < image.SharedMemory.Count; i++)
        {
            SharedMemoryImage m = image.SharedMemory[i];
            _memory[i] = Open("memfd_create", SyscallNumber.MemfdCreate, batch.Text(m.Name.Length > 0 ? m.Name : "trecr-anonymous"), m.Seals == 1 ? 0 : Sys.MFD_ALLOW_SEALING);
            batch.Add("ftruncate", SyscallNumber.Ftruncate, _memory[i], (long)m.LengthBytes);
        }
        foreach (VmaImage v in image.Vmas)
        {
            if ((VmaKind)v.Kind != VmaKind.File) continue;
            var key = FileKey(v);
            if (!_files.ContainsKey(key)) _files[key] = Open("open " + v.Path, SyscallNumber.Open, batch.Text(v.Path), key.Write ? Sys.O_RDWR : Sys.O_RDONLY);
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
            VmaKind.File => _files[FileKey(v)],
            VmaKind.SharedMemory => _memory.TryGetValue((int)v.Index - 1, out int m) ? m : -1,
            VmaKind.Segment => _sessions[(int)v.Index].Segment,
            VmaKind.Pinned => _sessions[(int)v.Index].Pinned,
            _ => -1,
        };
        return fd >= 0 ? fd : throw new RefusedException([$"nothing was given for the memory at {v.Start:x} {v.Path}"]);
    }

    /// <summary>Number of a shared memory's descriptor until <see cref="Place"/>.</summary>
    public int SharedMemorySource(int index) => _memory[index];

    /// <summary>Makes the saved descriptors; runs what is in the batch.</summary>
    public void Place(int pid)
    {
        _park = Math.Max(image.Descriptors.Count == 0 ? 0 : image.Descriptors.Max(d => d.Number) + 1, _next) + 8;
        // Room above the saved numbers, whatever the soft limit says; limits are set to the saved ones later.
        batch.AddOptional("prlimit(NOFILE)", SyscallNumber.Prlimit64, 0, 7, batch.Put([image.ResourceLimits[15], image.ResourceLimits[15]]));
        int park = _park;
        foreach (int key in _memory.Keys.ToArray()) _memory[key] = Park(_memory[key], ref park);
        foreach (int key in _streams.Keys.ToArray()) _streams[key] = Park(_streams[key], ref park);
        foreach (int key in _sessions.Keys.ToArray()) _sessions[key] = (Park(_sessions[key].Connection, ref park), -1, -1);
        int pipeRead = park, pipeWrite = park + 1;
        batch.Add("close_range", SyscallNumber.CloseRange, 0, _park - 1);

        foreach (DescriptorImage d in image.Descriptors)
        {
            if (batch.IsFull(d.Data.Length + 16384)) batch.Run(pid);
            if (_used.Contains(d.Number)) continue; // the other end of a pipe made earlier
            long closeOnExec = d.Flags & Sys.O_CLOEXEC;
            if (d.SameAs >= 0)
            {
                batch.Add("dup3", SyscallNumber.Dup3, d.SameAs, d.Number, closeOnExec);
                _used.Add(d.Number);
                continue;
            }
            switch ((DescriptorKind)d.Kind)
            {
                case DescriptorKind.File:
                    PlaceOpened(d, "open " + d.Link, SyscallNumber.Open, batch.Text(d.Link), d.Flags & ~(uint)(Sys.O_CREAT | Sys.O_EXCL | Sys.O_TRUNC | Sys.O_CLOEXEC));
                    Seek(d);
                    break;
                case DescriptorKind.SharedMemory:
                    PlaceOpened(d, "open memfd", SyscallNumber.Open, batch.Text($"/proc/self/fd/{_memory[(int)d.Index - 1]}"), d.Flags & ~(uint)(Sys.O_CREAT | Sys.O_EXCL | Sys.O_TRUNC | Sys.O_CLOEXEC | Sys.O_NOFOLLOW));
                    Seek(d);
                    break;
                case DescriptorKind.Eventfd: PlaceOpened(d, "eventfd2", SyscallNumber.Eventfd2, 0, (d.Flags & (uint)Sys.O_NONBLOCK) | (d.Semaphore ? 1u : 0u)); WriteCount(d); break;
                case DescriptorKind.Epoll: PlaceOpened(d, "epoll_create1", SyscallNumber.EpollCreate1, 0, 0); break;
                case DescriptorKind.ExternalStream: PlaceCopy(d, _streams[(int)d.Index]); break;
                case DescriptorKind.ExternalConnection: PlaceCopy(d, _sessions[(int)d.Index].Connection); break;
                case DescriptorKind.Pipe: PlacePipe(d, pipeRead, pipeWrite); break;
                default: throw new ImageException($"saved descriptor {d.Number} is of unknown kind {d.Kind}");
            }
        }
        foreach (DescriptorImage d in image.Descriptors.Where(d => d.SameAs < 0))
            foreach (EpollTarget t in d.EpollTargets)
            {
                byte[] e = new byte[12]; // struct epoll_event is packed
                BitConverter.TryWriteBytes(e, t.Events);
                BitConverter.TryWriteBytes(e.AsSpan(4), t.Data);
                batch.Add("epoll_ctl", SyscallNumber.EpollCtl, d.Number, 1, t.Number, batch.Put(e));
            }
        for (int i = 0; i < image.SharedMemory.Count; i++)
            if (image.SharedMemory[i].Seals > 1) batch.Add("fcntl(F_ADD_SEALS)", SyscallNumber.Fcntl, _memory[i], F_ADD_SEALS, image.SharedMemory[i].Seals);
        if (image.ControllingTerminal && image.Session == image.Pid && image.Descriptors.FirstOrDefault(d => (DescriptorKind)d.Kind == DescriptorKind.ExternalStream) is { } terminal)
            batch.Add("ioctl(TIOCSCTTY)", SyscallNumber.Ioctl, terminal.Number, TIOCSCTTY, 0);
        batch.Add("close_range", SyscallNumber.CloseRange, _park, uint.MaxValue);
    }

    private int Park(int fd, ref int park)
    {
        if (fd < 0) return -1;
        batch.Add("dup3", SyscallNumber.Dup3, fd, park, Sys.O_CLOEXEC);
        return park++;
    }

    private int Lowest(int from = 0)
    {
        while (_used.Contains(from)) from++;
        return from;
    }

    private void PlaceOpened(DescriptorImage d, string what, SyscallNumber number, long a, long b)
    {
        int low = Lowest();
        batch.AddExpecting(low, what, number, a, b);
        if (low != d.Number)
        {
            batch.Add("dup3", SyscallNumber.Dup3, low, d.Number, d.Flags & Sys.O_CLOEXEC);
            batch.Add("close", SyscallNumber.Close, low);
        }
        else if ((d.Flags & Sys.O_CLOEXEC) != 0) batch.Add("fcntl(F_SETFD)", SyscallNumber.Fcntl, d.Number, F_SETFD, 1);
        _used.Add(d.Number);
    }

    private void PlaceCopy(DescriptorImage d, int source)
    {
        if (source < 0) throw new RefusedException([$"nothing was given for descriptor {d.Number} ({d.Link})"]);
        batch.Add("dup3", SyscallNumber.Dup3, source, d.Number, d.Flags & Sys.O_CLOEXEC);
        SetStatusFlags(d);
        _used.Add(d.Number);
    }

    private void Seek(DescriptorImage d)
    {
        if ((d.Flags & Sys.O_PATH) == 0 && d.Position != 0) batch.AddOptional("lseek", SyscallNumber.Lseek, d.Number, d.Position, 0);
    }

    private void SetStatusFlags(DescriptorImage d)
        => batch.AddOptional("fcntl(F_SETFL)", SyscallNumber.Fcntl, d.Number, F_SETFL, d.Flags & (Sys.O_APPEND | Sys.O_NONBLOCK | 0x4000)); // and O_DIRECT

    /// <summary>The count is written, because eventfd2 takes only 32 bits of it.</summary>
    private void WriteCount(DescriptorImage d)
    {
        if (d.Count != 0) batch.AddExpecting(8, "write to eventfd", SyscallNumber.Write, d.Number, batch.Put([d.Count]), 8);
    }

    private void PlacePipe(DescriptorImage first, int read, int write)
    {
        List<DescriptorImage> ends = [.. image.Descriptors.Where(e => (DescriptorKind)e.Kind == DescriptorKind.Pipe && e.Link == first.Link && e.SameAs < 0)];
        int a = Lowest(), b = Lowest(a + 1);
        long pair = batch.Put([0]);
        batch.Add("pipe2", SyscallNumber.Pipe2, pair, 0);
        batch.Add("dup3", SyscallNumber.Dup3, a, read, 0);
        batch.Add("dup3", SyscallNumber.Dup3, b, write, 0);
        batch.Add("close", SyscallNumber.Close, a);
        batch.Add("close", SyscallNumber.Close, b);
        if (first.Capacity != 65536 && first.Capacity > 0) batch.AddOptional("fcntl(F_SETPIPE_SZ)", SyscallNumber.Fcntl, write, F_SETPIPE_SZ, first.Capacity);
        foreach (DescriptorImage e in ends.Where(e => e.Data.Length > 0))
            batch.AddExpecting(e.Data.Length, "write to pipe", SyscallNumber.Write, write, batch.Put(e.Data.Span), e.Data.Length);
        foreach (DescriptorImage e in ends)
        {
            batch.Add("dup3", SyscallNumber.Dup3, (e.Flags & 3) == Sys.O_WRONLY ? write : read, e.Number, e.Flags & Sys.O_CLOEXEC);
            SetStatusFlags(e);
            _used.Add(e.Number);
        }
        batch.Add("close", SyscallNumber.Close, read);
        batch.Add("close", SyscallNumber.Close, write);
    }
}
