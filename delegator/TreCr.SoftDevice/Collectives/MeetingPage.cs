using System.Runtime.InteropServices;
using TreCr.Linux;

namespace TreCr.SoftDevice.Collectives;

/// <summary>Start of the memory that the members of a communicator share.</summary>
[StructLayout(LayoutKind.Explicit, Size = Bytes)]
struct MeetingHeader
{
    public const int Bytes = 128;
    public const ulong ThisMagic = 0x31_4c_43_43_4e_52_43_54; // "TCRNCCL1"

    [FieldOffset(0)] public ulong Magic;
    [FieldOffset(8)] public uint Size;

    /// <summary>Futex word: 1 when all have joined. Then the file has no name any more.</summary>
    [FieldOffset(64)] public uint IsComplete;
}

/// <summary>What one member shows the others. Only its own process writes it, but for the sleepers.</summary>
[StructLayout(LayoutKind.Explicit, Size = Bytes)]
struct MemberSlot
{
    public const int Bytes = 512;
    /// <summary>How it ended: in order, given up, or with its program.</summary>
    public const uint HasLeft = 1, HasAborted = 2, HasEnded = 4;

    /// <summary>Process and its start (/proc/PID/stat); 0: nobody has come.</summary>
    [FieldOffset(0)] public int Pid;
    [FieldOffset(8)] public ulong Start;

    /// <summary>Descriptor of the process's <see cref="StatusPage"/>.</summary>
    [FieldOffset(16)] public int StatusFd;

    [FieldOffset(24)] public uint End;

    /// <summary>Error of NCCL by which this member's communicator ended, told to the others.</summary>
    [FieldOffset(28)] public uint Error;

    /// <summary>Collectives launched.</summary>
    [FieldOffset(32)] public ulong Launched;

    /// <summary>Words of trecrCommTell.</summary>
    [FieldOffset(64)] public ulong Word0;
    [FieldOffset(72)] public ulong Word1;
    [FieldOffset(80)] public ulong Word2;
    [FieldOffset(88)] public ulong Word3;

    /// <summary>Futex word: steps of collectives that are behind this member.</summary>
    [FieldOffset(128)] public uint Phase;

    /// <summary>Futex word: counts what senders and receivers have done.</summary>
    [FieldOffset(192)] public uint Bell;

    /// <summary>Members that sleep, or are about to, on <see cref="Phase"/> and <see cref="Bell"/>.</summary>
    [FieldOffset(256)] public uint PhaseSleepers;
    [FieldOffset(260)] public uint BellSleepers;

    /// <summary>The collective that this member is in; of the phase that it has posted it for.</summary>
    [FieldOffset(320)] public Calls.Cuda.CollectiveOperation Operation;

    [FieldOffset(400)] public ulong FactorBits;
}

/// <summary>What has gone from one member to another. The sender writes the first half, the receiver the second.</summary>
[StructLayout(LayoutKind.Explicit, Size = Bytes)]
struct PairSlot
{
    public const int Bytes = 192, Ring = 4;

    [FieldOffset(0)] public ulong SendsLaunched;
    [FieldOffset(8)] public uint Posted;
    [FieldOffset(16)] public ulong Address0;
    [FieldOffset(48)] public ulong Bytes0;

    [FieldOffset(128)] public ulong ReceivesLaunched;
    [FieldOffset(136)] public uint Taken;
}

/// <summary>
/// The place where the members of one communicator meet: a file of the runtime directory, named by the communicator's token, that all map. It has a name until the last has joined. Members come from this process and
/// others of the same user and host; a member whose process ended before all were there makes room.
/// </summary>
sealed unsafe class MeetingPage : IDisposable
{
    readonly string path;
    readonly ulong bytes;
    byte* at;

    MeetingPage(string path, byte* at, ulong bytes, uint size)
    {
        this.path = path;
        this.at = at;
        this.bytes = bytes;
        Size = size;
    }

    public uint Size { get; }
    public MeetingHeader* Header => (MeetingHeader*)at;
    public bool IsComplete => Volatile.Read(ref Header->IsComplete) != 0;
    public MemberSlot* Member(uint rank) => (MemberSlot*)(at + MeetingHeader.Bytes + rank * MemberSlot.Bytes);
    public PairSlot* Pair(uint from, uint to) => (PairSlot*)(at + MeetingHeader.Bytes + Size * MemberSlot.Bytes + ((ulong)from * Size + to) * PairSlot.Bytes);

    static ulong BytesFor(uint size) => (ulong)(MeetingHeader.Bytes + (long)size * MemberSlot.Bytes + (long)size * size * PairSlot.Bytes + 4095) & ~4095ul;

    /// <summary>Takes the place of a rank.</summary>
    /// <returns>null: the place is taken, or others came with another size; said why</returns>
    /// <exception cref="LinuxException">the directory cannot be written</exception>
    public static MeetingPage? Join(string directory, string token, uint rank, uint size, int statusFd, out string? problem)
    {
        string path = $"{directory}/nccl-{token}";
        while (true)
        {
            int fd = Sys.Open(path, Sys.O_RDWR | Sys.O_CREAT | Sys.O_CLOEXEC | Sys.O_NOFOLLOW, 0x180);
            try
            {
                Sys.Check(Sys.Flock(fd, Sys.LOCK_EX), "flock", path);
                // Who came last has taken the name away meanwhile, or who gave up: another file then.
                if (!IsStill(path, fd)) continue;
                MeetingPage? page = Map(path, fd, size, out problem);
                if (page is null) return null;
                if (page.Enter(rank, statusFd, out problem)) return page;
                page.Dispose();
                return null;
            }
            finally
            {
                Sys.Flock(fd, Sys.LOCK_UN); // the mapping keeps the open file, and its lock with it
                Sys.Close(fd);
            }
        }
    }

    /// <summary>Removes files of communicators whose members were all killed before they were complete.</summary>
    public static void RemoveAbandoned(string directory)
    {
        foreach (string path in Directory.EnumerateFiles(directory, "nccl-*"))
        {
            long fd = Sys.TryOpen(path, Sys.O_RDWR | Sys.O_CLOEXEC | Sys.O_NOFOLLOW);
            if (fd < 0) continue;
            if (Sys.Flock((int)fd, Sys.LOCK_EX | Sys.LOCK_NB) >= 0)
            {
                MeetingHeader header;
                bool isOurs = Sys.Read((int)fd, &header, MeetingHeader.Bytes) == MeetingHeader.Bytes && header.Magic == MeetingHeader.ThisMagic && Sys.Fstat((int)fd).LengthBytes == (long)BytesFor(header.Size);
                MeetingPage? page = isOurs ? Map(path, (int)fd, header.Size, out _) : null;
                if (page is { IsEmpty: true }) Sys.UnlinkAt(Sys.AT_FDCWD, path);
                page?.Dispose();
                Sys.Flock((int)fd, Sys.LOCK_UN);
            }
            Sys.Close((int)fd);
        }
    }

    /// <summary>Nobody is here who lives.</summary>
    bool IsEmpty
    {
        get
        {
            for (uint n = 0; n < Size; n++)
                if (Member(n)->Pid != 0 && Member(n)->End == 0 && ProcessStart.Of(Member(n)->Pid) == Member(n)->Start) return false;
            return true;
        }
    }

    static bool IsStill(string path, int fd)
    {
        long other = Sys.TryOpen(path, Sys.O_RDWR | Sys.O_CLOEXEC | Sys.O_NOFOLLOW);
        if (other < 0) return false;
        try { return Sys.Fstat((int)other).Inode == Sys.Fstat(fd).Inode; }
        finally { Sys.Close((int)other); }
    }

    static MeetingPage? Map(string path, int fd, uint size, out string? problem)
    {
        problem = null;
        ulong bytes = BytesFor(size);
        long length = Sys.Fstat(fd).LengthBytes;
        if (length == 0) Sys.Ftruncate(fd, (long)bytes);
        else if (length != (long)bytes)
        {
            problem = $"other members of this communicator do not say that it has {size}";
            return null;
        }
        long at = Sys.Check(Sys.Mmap(0, bytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED, fd), "mmap", path);
        MeetingPage page = new(path, (byte*)at, bytes, size);
        if (length == 0) (page.Header->Magic, page.Header->Size) = (MeetingHeader.ThisMagic, size);
        if (page.Header->Magic == MeetingHeader.ThisMagic && page.Header->Size == size) return page;
        problem = $"other members of this communicator do not say that it has {size}";
        page.Dispose();
        return null;
    }

    /// <summary>The file is locked.</summary>
    bool Enter(uint rank, int statusFd, out string? problem)
    {
        problem = null;
        uint there = 0;
        for (uint n = 0; n < Size; n++)
        {
            MemberSlot* slot = Member(n);
            if (slot->Pid != 0 && (slot->End != 0 || ProcessStart.Of(slot->Pid) != slot->Start)) *slot = default;
            if (slot->Pid != 0) there++;
        }
        MemberSlot* own = Member(rank);
        if (own->Pid != 0)
        {
            problem = $"another member of this communicator is rank {rank}";
            return false;
        }
        *own = new MemberSlot { Pid = Environment.ProcessId, Start = ProcessStart.Own, StatusFd = statusFd };
        if (there + 1 < Size) return true;
        Sys.UnlinkAt(Sys.AT_FDCWD, path);
        Volatile.Write(ref Header->IsComplete, 1);
        Sys.FutexWake(&Header->IsComplete);
        return true;
    }

    /// <summary>Ends a rank's part. Before all had come the place is free again, and the last to give up takes the name away.</summary>
    public void Leave(uint rank, uint end)
    {
        Volatile.Write(ref Member(rank)->End, end);
        if (IsComplete) return;
        long fd = Sys.TryOpen(path, Sys.O_RDWR | Sys.O_CLOEXEC | Sys.O_NOFOLLOW);
        if (fd < 0) return;
        if (Sys.Flock((int)fd, Sys.LOCK_EX) >= 0 && !IsComplete && IsEmpty) Sys.UnlinkAt(Sys.AT_FDCWD, path);
        Sys.Close((int)fd);
    }

    public void Dispose()
    {
        if (at == null) return;
        Sys.Munmap((ulong)at, bytes);
        at = null;
    }
}

/// <summary>When processes began: with its number what names a process for ever.</summary>
static class ProcessStart
{
    public static ulong Own { get; } = Of(Environment.ProcessId);

    /// <returns>clock ticks after boot; 0: there is no such process</returns>
    public static ulong Of(int pid)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{pid}/stat");
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? 0 : ulong.Parse(fields[19], System.Globalization.CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException or IndexOutOfRangeException) { return 0; }
    }
}
