using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TreCr.Linux;

namespace TreCr.Api.Gpi;

/// <summary>
/// Shared memory with two generations of a rank's checkpoint. It is there as long as one process holds its descriptor: the rank, whoever mirrors it, the agent. Layout: a page with [magic, bytes of a half,
/// generation in the first half, in the second], then the halves. A half's generation is 0 from the first byte that is written into it until the last is there.
/// </summary>
internal sealed unsafe class MirrorImage : IDisposable
{
    private const ulong Magic = 0x3130_5043_4950_4754; // "TGPICP01"
    private const int HeaderBytes = 4096, BlockBytes = 4096;

    private readonly ulong* _header;
    private int _descriptor;

    private MirrorImage(int descriptor, ulong* header, long bytes)
    {
        _descriptor = descriptor;
        _header = header;
        Bytes = bytes;
    }

    /// <summary>Of one half.</summary>
    public long Bytes { get; }

    public int Descriptor => _descriptor;

    private long MappedBytes => HeaderBytes + 2 * Bytes;

    /// <exception cref="GpiException">NoMemory</exception>
    public static MirrorImage Create(long bytes)
    {
        int descriptor = -1;
        try
        {
            descriptor = Sys.MemfdCreate("trecr-gpi-mirror");
            Sys.Ftruncate(descriptor, HeaderBytes + 2 * bytes);
            ulong* header = Map(descriptor, bytes);
            (header[0], header[1]) = (Magic, (ulong)bytes);
            return new MirrorImage(descriptor, header, bytes);
        }
        catch (LinuxException e)
        {
            if (descriptor >= 0) Sys.Close(descriptor);
            throw new GpiException(GpiCode.NoMemory, $"a mirror of {bytes} bytes: {e.Message}");
        }
    }

    /// <summary>Takes over what the agent has kept; the descriptor is closed with this.</summary>
    /// <exception cref="GpiException">it is no mirror of so many bytes</exception>
    public static MirrorImage Open(int descriptor, long bytes)
    {
        try
        {
            if (Sys.Status(descriptor).LengthBytes != HeaderBytes + 2 * bytes) throw new GpiException(GpiCode.BadSize, $"the mirror is not one of {bytes} bytes");
            ulong* header = Map(descriptor, bytes);
            if (header[0] != Magic || header[1] != (ulong)bytes)
            {
                Sys.Munmap((ulong)header, (ulong)(HeaderBytes + 2 * bytes));
                throw new GpiException(GpiCode.BadSize, $"the mirror is not one of {bytes} bytes");
            }
            return new MirrorImage(descriptor, header, bytes);
        }
        catch (Exception e) when (e is LinuxException or GpiException)
        {
            Sys.Close(descriptor);
            throw e as GpiException ?? new GpiException(GpiCode.NoMemory, e.Message);
        }
    }

    /// <summary>Which generation a half has; 0: none as a whole.</summary>
    public ulong Generation(int half) => Volatile.Read(ref _header[2 + half]);

    /// <summary>From now on the half has no generation.</summary>
    public void Begin(int half)
    {
        Volatile.Write(ref _header[2 + half], 0);
        Interlocked.MemoryBarrier();
    }

    /// <summary>All of the half is this generation's.</summary>
    public void Complete(int half, ulong generation) => Volatile.Write(ref _header[2 + half], generation);

    /// <summary>Copies the blocks that differ.</summary>
    /// <returns>bytes that were copied</returns>
    public long Update(int half, long offset, nint source, long bytes)
    {
        byte* from = (byte*)source + offset, to = Half(half) + offset;
        long copied = 0;
        for (long at = 0; at < bytes; at += BlockBytes)
        {
            int block = (int)Math.Min(BlockBytes, bytes - at);
            if (new ReadOnlySpan<byte>(from + at, block).SequenceEqual(new ReadOnlySpan<byte>(to + at, block))) continue;
            CopyBlock(from + at, to + at, block);
            copied += block;
        }
        if (Sse.IsSupported) Sse.StoreFence();
        return copied;
    }

    // Past the caches: nobody reads a mirror soon, and a line that is written without being read first costs a third less of the memory's bandwidth.
    private static void CopyBlock(byte* from, byte* to, int bytes)
    {
        if (!Sse2.IsSupported || bytes % 64 != 0 || (nint)to % 16 != 0)
        {
            Buffer.MemoryCopy(from, to, bytes, bytes);
            return;
        }
        for (int at = 0; at < bytes; at += 64)
        {
            Vector128<byte> a = Vector128.Load(from + at), b = Vector128.Load(from + at + 16), c = Vector128.Load(from + at + 32), d = Vector128.Load(from + at + 48);
            Sse2.StoreAlignedNonTemporal(to + at, a);
            Sse2.StoreAlignedNonTemporal(to + at + 16, b);
            Sse2.StoreAlignedNonTemporal(to + at + 32, c);
            Sse2.StoreAlignedNonTemporal(to + at + 48, d);
        }
    }

    /// <summary>Copies a half out.</summary>
    public void Read(int half, nint into) => Buffer.MemoryCopy(Half(half), (void*)into, Bytes, Bytes);

    public void Dispose()
    {
        int descriptor = Interlocked.Exchange(ref _descriptor, -1);
        if (descriptor < 0) return;
        Sys.Munmap((ulong)_header, (ulong)MappedBytes);
        Sys.Close(descriptor);
    }

    /// <summary>Both halves as a mapping whose changes nobody else sees.</summary>
    public nint MapPrivately() => (nint)Sys.Check(Sys.Mmap(0, (ulong)(2 * Bytes), Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_PRIVATE, _descriptor, HeaderBytes), "mmap");

    public static void Unmap(nint halves, long bytes) => Sys.Munmap((ulong)halves, (ulong)(2 * bytes));

    /// <summary>What was changed in a private mapping is as in the mirror again.</summary>
    public static void ForgetChanges(nint halves, long bytes) => Sys.Madvise((ulong)halves, (ulong)(2 * bytes), Sys.MADV_DONTNEED);

    private byte* Half(int half) => (byte*)_header + HeaderBytes + half * Bytes;

    private static ulong* Map(int descriptor, long bytes)
        => (ulong*)Sys.Check(Sys.Mmap(0, (ulong)(HeaderBytes + 2 * bytes), Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED, descriptor), "mmap");
}
