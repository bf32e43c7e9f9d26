using TreCr.Linux;

namespace TreCr.Ring;

/// <summary>A mapped segment. Both sides.</summary>
public sealed unsafe class Segment
{
    private readonly byte* _base;

    private Segment(byte* start) => _base = start;

    /// <summary>Address of the mapping in this process.</summary>
    public byte* Base => _base;

    public SegmentControl* Control => (SegmentControl*)_base;

    public SegmentHeader* Header => (SegmentHeader*)(_base + SegmentLayout.PageBytes);

    /// <summary>Header page of channel <paramref name="index"/> (0 .. MaxChannels-1).</summary>
    public ChannelHeader* Channel(int index) => (ChannelHeader*)(_base + SegmentLayout.ChannelsOffset + (long)index * SegmentLayout.ChannelBytes);

    /// <summary>Maps a segment from its descriptor, which stays the caller's.</summary>
    /// <param name="dontFork">true in the program: a forked child must never touch the parent's segment</param>
    /// <exception cref="LinuxException">mmap failed</exception>
    public static Segment Map(int fd, bool dontFork)
    {
        long address = Sys.Check(Sys.Mmap(0, (ulong)SegmentLayout.SegmentBytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED | Sys.MAP_NORESERVE, fd), "mmap", "segment");
        if (dontFork) Sys.Check(Sys.Madvise((ulong)address, (ulong)SegmentLayout.SegmentBytes, Sys.MADV_DONTFORK), "madvise", "segment");
        return new Segment((byte*)address);
    }

    /// <summary>A new, empty segment with its header filled in.</summary>
    /// <returns>the segment and its memfd, close-on-exec</returns>
    public static (Segment Segment, int Fd) Create(uint deviceCount)
    {
        int fd = Sys.MemfdCreate(SegmentLayout.SegmentName);
        Sys.Ftruncate(fd, SegmentLayout.SegmentBytes);
        Segment segment = Map(fd, dontFork: false);
        segment.Header->Magic = SegmentLayout.Magic;
        segment.Header->ProtocolVersion = SegmentLayout.ProtocolVersion;
        segment.Header->ConnectionDescriptor = -1;
        segment.Header->DeviceCount = deviceCount;
        return (segment, fd);
    }

    public void Unmap() => Sys.Munmap((ulong)_base, (ulong)SegmentLayout.SegmentBytes);
}
