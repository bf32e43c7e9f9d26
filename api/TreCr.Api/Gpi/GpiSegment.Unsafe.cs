using TreCr.Linux;

namespace TreCr.Api.Gpi;

/// <summary>
/// Memory that other ranks of the host write into and read from: a memfd with the segment, then a page with [bell, a futex; length of the segment at its second 8 bytes], then a word for each notification. Or memory of the program's own
/// (gaspi_segment_bind), which only this rank reaches.
/// </summary>
internal sealed unsafe class GpiSegment : IDisposable
{
    /// <summary>Notifications that a segment has.</summary>
    public const uint Notifications = 65_536;

    private const int PageBytes = 4096;

    private readonly ulong _mappedBytes;
    private readonly int _descriptor;

    private GpiSegment(byte* address, long bytes, ulong mappedBytes, int descriptor) => (Address, Bytes, _mappedBytes, _descriptor) = ((nint)address, bytes, mappedBytes, descriptor);

    public nint Address { get; }

    public long Bytes { get; }

    public int Descriptor => _descriptor;

    /// <summary>Whether others can reach it.</summary>
    public bool IsShared => _mappedBytes > 0;

    private uint* Bell => (uint*)(Address + (nint)RoundUp(Bytes));

    /// <summary>Of notifications; the first word of the page is the bell.</summary>
    private uint* Words => Bell + PageBytes / sizeof(uint);

    /// <exception cref="GpiException">NoMemory</exception>
    public static GpiSegment Create(long bytes)
    {
        int descriptor = -1;
        try
        {
            descriptor = Sys.MemfdCreate("trecr-gpi-segment");
            Sys.Ftruncate(descriptor, (long)SharedBytes(bytes));
            GpiSegment segment = Map(descriptor, bytes, keep: true);
            ((long*)segment.Bell)[1] = bytes;
            return segment;
        }
        catch (LinuxException e)
        {
            if (descriptor >= 0) Sys.Close(descriptor);
            throw new GpiException(GpiCode.NoMemory, $"a segment of {bytes} bytes: {e.Message}");
        }
    }

    /// <summary>Another rank's, by its descriptor, which is closed.</summary>
    public static GpiSegment Open(int descriptor)
    {
        try
        {
            long whole = Sys.Status(descriptor).LengthBytes, page = whole - (PageBytes + Notifications * sizeof(uint));
            Span<byte> length = stackalloc byte[8];
            if (page <= 0 || Sys.ReadAt(descriptor, length, page + 8) != 8) throw new GpiException(GpiCode.BadSegment, "this is no segment");
            long bytes = BitConverter.ToInt64(length);
            if (bytes <= 0 || (long)SharedBytes(bytes) != whole) throw new GpiException(GpiCode.BadSegment, "this is no segment");
            return Map(descriptor, bytes, keep: false);
        }
        catch (LinuxException e) { throw new GpiException(GpiCode.NoMemory, e.Message); }
        finally { Sys.Close(descriptor); }
    }

    public static GpiSegment Bind(nint address, long bytes) => new((byte*)address, bytes, 0, -1);

    /// <summary>Puts a notification there and wakes who waits for one.</summary>
    public void Notify(uint id, uint value)
    {
        Volatile.Write(ref Words[id], value);
        Ring();
    }

    /// <summary>Wakes who waits for notifications.</summary>
    public void Ring()
    {
        if (!IsShared) return;
        Interlocked.Increment(ref *Bell);
        Sys.FutexWake(Bell);
    }

    /// <summary>The first of some notifications that is there.</summary>
    /// <returns>null: none</returns>
    public uint? FindNotification(uint first, uint count)
    {
        for (uint id = first; id < first + count; id++)
            if (Volatile.Read(ref Words[id]) != 0) return id;
        return null;
    }

    /// <summary>Takes a notification; one caller alone gets its value.</summary>
    public uint TakeNotification(uint id) => Interlocked.Exchange(ref Words[id], 0);

    /// <summary>For <see cref="WaitBell"/>: read before one looks.</summary>
    public uint BellValue => Volatile.Read(ref *Bell);

    public void WaitBell(uint value, long timeoutNs) => Sys.FutexWait(Bell, value, timeoutNs);

    public void Dispose()
    {
        if (!IsShared) return;
        Sys.Munmap((ulong)Address, _mappedBytes);
        if (_descriptor >= 0) Sys.Close(_descriptor);
    }

    private static GpiSegment Map(int descriptor, long bytes, bool keep)
    {
        ulong mapped = SharedBytes(bytes);
        long address = Sys.Check(Sys.Mmap(0, mapped, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED, descriptor), "mmap");
        return new GpiSegment((byte*)address, bytes, mapped, keep ? descriptor : -1);
    }

    private static ulong SharedBytes(long bytes) => RoundUp(bytes) + PageBytes + Notifications * sizeof(uint);

    private static ulong RoundUp(long bytes) => ((ulong)bytes + PageBytes - 1) / PageBytes * PageBytes;
}
