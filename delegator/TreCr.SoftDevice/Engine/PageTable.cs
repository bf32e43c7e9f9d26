using TreCr.Linux;

namespace TreCr.SoftDevice.Engine;

/// <summary>
/// One byte for each 4 KiB page of the 47-bit address space: <see cref="Readable"/> and <see cref="Writable"/>. Emitted code looks here, inline, when an address is outside of its window. 32 GiB of
/// address space, of which only the bytes of pages in use are ever backed.
/// </summary>
/// <remarks>Tried first: a call that returned where the address was allowed after all. The call alone, never taken, made RyuJIT spill every live value around each access (2 to 5 times slower).</remarks>
static unsafe class PageTable
{
    public const int PageShift = 12, AddressBits = 47;
    /// <summary>What kernels may do with a page. A page that can be written can be read.</summary>
    public const byte None = 0, Readable = 1, Writable = 2;
    /// <summary>Behind the table, for what else code names by address.</summary>
    public const ulong TablesBytes = 16 << 20;
    /// <summary>Where it lies if nothing else does: code that was kept (<see cref="Cache.KernelCache"/>) names it. Below the arenas of device and pinned memory, above what the system gives out first.</summary>
    const ulong Wanted = 0x6d00_0000_0000;
    public static byte* Table { get; } = Reserve();
    public static byte* Tables => Table + (1UL << AddressBits - PageShift);

    static byte* Reserve()
    {
        ulong bytes = (1UL << AddressBits - PageShift) + TablesBytes;
        long at = Sys.Mmap(Wanted, bytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_PRIVATE | Sys.MAP_ANONYMOUS | Sys.MAP_NORESERVE);
        if (at < 0) throw new OutOfMemoryException("32 GiB of address space for the software device's page table");
        Sys.Madvise((ulong)at, bytes, Sys.MADV_NOHUGEPAGE);
        return (byte*)at;
    }

    /// <summary>Marks whole pages; a range must begin and end on a page.</summary>
    public static void Mark(ulong address, ulong bytes, bool accessible) => Mark(address, bytes, accessible ? (byte)(Readable | Writable) : None);

    /// <summary>Marks whole pages with <see cref="None"/>, <see cref="Readable"/> or both; a range must begin and end on a page.</summary>
    public static void Mark(ulong address, ulong bytes, byte allowed)
    {
        if (bytes == 0 || address >> AddressBits != 0 || (address + bytes - 1) >> AddressBits != 0) return;
        ulong first = address >> PageShift, end = address + bytes + 4095 >> PageShift;
        new Span<byte>(Table + first, checked((int)(end - first))).Fill(allowed);
    }

    public static bool IsAccessible(ulong address, ulong bytes, bool writes = false)
    {
        if (bytes == 0) return true;
        if (address >> AddressBits != 0 || address + bytes - 1 >> AddressBits != 0) return false;
        for (ulong page = address >> PageShift; page <= address + bytes - 1 >> PageShift; page++)
            if ((Table[page] & (writes ? Writable : Readable)) == 0) return false;
        return true;
    }
}
