using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;

namespace TreCr.Process.Lazy;

/// <summary>
/// What a successor needs to serve the pages of one process when this engine dies: where the process has its areas now. A memfd of one process's server, held by the
/// supervisor too, beside the userfaultfd.
/// </summary>
/// <remarks>
/// Layout, u32: 0 magic, 4 <see cref="LazyStatus"/>, 8 pid, 12 which copy of the list is valid (0, 1), 16 and 20 their lengths, 24 the server's <see cref="DescriptorKeeper"/>; at 4096 and 4096 + ListBytes the lists of (start, end, source), u64.
/// One writer. A list is written beside the valid one and then made valid by one store. A server that dies between reading an event and noting it leaves <see cref="LazyStatus.Unsure"/>: what the
/// event took away would come back with old bytes, so that nobody may go on.
/// </remarks>
internal sealed unsafe class LazyState : IDisposable
{
    /// <summary>A process with more areas than that is filled before it runs; one that makes more of them while pages are missing ends, by name.</summary>
    public const int MaxAreas = 4096;

    private const uint Magic = 0x5a414c54; // "TLAZ"
    private const ulong ListBytes = MaxAreas * 24, TotalBytes = 4096 + 2 * ListBytes;

    private readonly byte* _base;

    private LazyState(int fd, byte* mapping)
    {
        Descriptor = fd;
        _base = mapping;
    }

    public int Descriptor { get; }

    public int Pid => (int)Words[2];

    public LazyStatus Status
    {
        get => (LazyStatus)Volatile.Read(ref Words[1]);
        set => Volatile.Write(ref Words[1], (uint)value);
    }

    /// <summary>Pid of the server's <see cref="DescriptorKeeper"/>.</summary>
    public int Keeper
    {
        get => (int)Words[6];
        set => Words[6] = (uint)value;
    }

    private uint* Words => (uint*)_base;

    public static LazyState Create(int pid)
    {
        int fd = Sys.MemfdCreate("trecr-lazy");
        Sys.Ftruncate(fd, (long)TotalBytes);
        LazyState state = Open(fd, check: false);
        (state.Words[0], state.Words[2]) = (Magic, (uint)pid);
        return state;
    }

    /// <param name="fd">owned from here on</param>
    /// <exception cref="ProcessException">not such a file</exception>
    public static LazyState Open(int fd, bool check = true)
    {
        long at = Sys.Mmap(0, TotalBytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED, fd);
        Sys.Check(at, "mmap", "state of a lazy restore");
        LazyState state = new(fd, (byte*)at);
        if (check && state.Words[0] != Magic) throw new ProcessException("the state of the lazy restore is damaged");
        return state;
    }

    /// <summary>Whether all of them are done, without a mapping.</summary>
    /// <param name="descriptors">userfaultfd and state, in turn</param>
    public static bool AreDone(IReadOnlyList<int> descriptors)
    {
        for (int i = 1; i < descriptors.Count; i += 2)
        {
            uint status = 0;
            if (Sys.Raw(SyscallNumber.Pread64, descriptors[i], (long)&status, 4, 4) != 4 || status != (uint)LazyStatus.Done) return false;
        }
        return true;
    }

    public List<LazyArea> Areas
    {
        get
        {
            uint which = Words[3] & 1;
            int count = (int)Math.Min(MaxAreas, Words[4 + which]);
            List<LazyArea> areas = [];
            for (ulong* at = List(which); count-- > 0; at += 3) areas.Add(new LazyArea(at[0], at[1], at[2]));
            return areas;
        }
    }

    /// <returns>false: too many</returns>
    public bool TrySet(List<LazyArea> areas)
    {
        if (areas.Count > MaxAreas) return false;
        uint which = 1 - (Words[3] & 1);
        ulong* at = List(which);
        foreach (LazyArea area in areas)
        {
            (at[0], at[1], at[2]) = (area.Start, area.End, area.Source);
            at += 3;
        }
        Words[4 + which] = (uint)areas.Count;
        Volatile.Write(ref Words[3], which);
        return true;
    }

    private ulong* List(uint which) => (ulong*)(_base + 4096 + which * ListBytes);

    public void Dispose()
    {
        Sys.Munmap((ulong)_base, TotalBytes);
        Sys.Close(Descriptor);
    }
}

/// <summary>How far the pages of a process are.</summary>
internal enum LazyStatus : uint
{
    /// <summary>Some are missing; a successor can go on.</summary>
    Serving,

    /// <summary>All are there.</summary>
    Done,

    /// <summary>An event is being read, or a child of the process misses pages: a successor could not know enough.</summary>
    Unsure,
}

/// <summary>Addresses of a process whose pages may be missing.</summary>
/// <param name="Source">address that the first page has in the snapshot: mremap moves areas</param>
internal readonly record struct LazyArea(ulong Start, ulong End, ulong Source);
