using System.Runtime.InteropServices;
using TreCr.Linux;

namespace TreCr.SoftDevice.Collectives;

/// <summary>
/// What a process with communicators shows to all that have one in common with it: where its device memory is (a table of blocks), and, while its gate is to close, how far it is. Two memfds, which the others open as
/// /proc/PID/fd/N: the kernel lets only this user's processes do that.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = Bytes)]
unsafe struct StatusPage
{
    public const int Bytes = 4096, MostPeers = (Bytes - 128) / 16;

    /// <summary>1 while the gate is to close and nothing more has to be issued, as far as this process could see.</summary>
    [FieldOffset(0)] public uint IsSettled;

    /// <summary>Counts changes of what stands here.</summary>
    [FieldOffset(4)] public uint Version;

    /// <summary>Operations launched in all communicators.</summary>
    [FieldOffset(8)] public ulong Launches;

    /// <summary>Sum of the peers' launches when this process settled: it is settled only as long as that is true.</summary>
    [FieldOffset(16)] public ulong PeerLaunches;

    [FieldOffset(24)] public int DeviceFd;
    [FieldOffset(28)] public int TableFd;
    [FieldOffset(32)] public ulong DeviceBytes;
    [FieldOffset(40)] public int PeerCount;

    /// <summary>Processes with which it shares a communicator: number, descriptor of their page, start.</summary>
    [FieldOffset(128)] public fixed ulong Peers[MostPeers * 2];
}

/// <summary>Another process's page and device memory, or this one's.</summary>
sealed unsafe class PeerProcess
{
    /// <summary>Blocks of device memory as the GMMU makes them, and their addresses.</summary>
    public const ulong BlockBytes = 2 << 20, FirstAddress = 0x7000_0000_0000, AddressBytes = 8UL << 40, TableBytes = AddressBytes / BlockBytes * 8;

    readonly int pidfd = -1;
    byte* memory;
    ulong* table;

    PeerProcess(int pid, ulong start, StatusPage* page, int pidfd)
    {
        (Pid, Start, this.pidfd) = (pid, start, pidfd);
        Page = page;
        IsOwn = pid == Environment.ProcessId;
    }

    public int Pid { get; }
    public ulong Start { get; }
    public StatusPage* Page { get; }
    public bool IsOwn { get; }

    public static PeerProcess Own(StatusPage* page) => new(Environment.ProcessId, ProcessStart.Own, page, -1);

    /// <returns>null: it has ended</returns>
    public static PeerProcess? Open(int pid, ulong start, int statusFd)
    {
        int pidfd = Sys.PidfdOpen(pid);
        if (pidfd < 0) return null;
        if (ProcessStart.Of(pid) == start)
        {
            byte* page = Map(pid, statusFd, StatusPage.Bytes);
            if (page != null) return new(pid, start, (StatusPage*)page, pidfd);
        }
        Sys.Close(pidfd);
        return null;
    }

    static byte* Map(int pid, int fd, ulong bytes)
    {
        long file = Sys.TryOpen($"/proc/{pid}/fd/{fd}", Sys.O_RDONLY | Sys.O_CLOEXEC);
        if (file < 0) return null;
        long at = Sys.Mmap(0, bytes, Sys.PROT_READ, Sys.MAP_SHARED | Sys.MAP_NORESERVE, (int)file);
        Sys.Close((int)file);
        return at < 0 ? null : (byte*)at;
    }

    public bool HasEnded
    {
        get
        {
            if (IsOwn) return false;
            Span<PollEntry> entry = [new PollEntry { Fd = pidfd, Events = Sys.POLLIN }];
            return Sys.Poll(entry, 0) > 0;
        }
    }

    /// <summary>Where memory of that process can be read here.</summary>
    /// <param name="bytes">in: asked for; out: at that place, up to the end of the block</param>
    /// <returns>null: there is none</returns>
    public byte* Read(ulong address, ref ulong bytes)
    {
        if (IsOwn) return (byte*)address;
        if (address < FirstAddress || address - FirstAddress >= AddressBytes) return null;
        if (memory == null)
        {
            if (Page->DeviceBytes == 0) return null;
            if (table == null) table = (ulong*)Map(Pid, Page->TableFd, TableBytes);
            memory = Map(Pid, Page->DeviceFd, Page->DeviceBytes);
            if (table == null || memory == null) return null;
        }
        ulong block = (address - FirstAddress) / BlockBytes, inside = address % BlockBytes, offset = Volatile.Read(ref table[block]);
        if (offset == 0) return null;
        bytes = Math.Min(bytes, BlockBytes - inside);
        return memory + (offset - 1) + inside;
    }

    /// <summary>Where a block of that process's device memory lies in its descriptor.</summary>
    /// <returns>null: it has none there</returns>
    public ulong? OffsetOf(ulong address)
    {
        if (address < FirstAddress || address - FirstAddress >= AddressBytes) return null;
        if (table == null) table = (ulong*)Map(Pid, Page->TableFd, TableBytes);
        if (table == null) return null;
        ulong offset = Volatile.Read(ref table[(address - FirstAddress) / BlockBytes]);
        return offset == 0 ? null : offset - 1;
    }

    public void Close()
    {
        if (IsOwn) return;
        if (memory != null) Sys.Munmap((ulong)memory, Page->DeviceBytes);
        if (table != null) Sys.Munmap((ulong)table, TableBytes);
        Sys.Munmap((ulong)Page, StatusPage.Bytes);
        Sys.Close(pidfd);
    }
}
