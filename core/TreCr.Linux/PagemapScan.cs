using System.Runtime.InteropServices;

namespace TreCr.Linux;

/// <summary>PAGEMAP_SCAN (Linux 6.7) on the memory of one process: what its pages are, and which were written since they were write-protected. Source: Documentation/admin-guide/mm/pagemap.rst.</summary>
/// <remarks>One thread at a time.</remarks>
public sealed unsafe class PagemapScan : IDisposable
{
    /// <summary>Categories of pages (PAGE_IS_*). A page that nothing is known of (never touched, or a shared page that the kernel took back) has none of them.</summary>
    public const long Written = 2, File = 4, Present = 8, Swapped = 0x10, PfnZero = 0x20, Guard = 0x100;

    /// <summary>Flags: write-protect what matches; fail (EPERM) where userfaultfd does not track writes.</summary>
    public const long Protect = 1, OnlyTracked = 2;

    private const long Request = 0xC0606610;
    private const int VectorEntries = 16384;

    private readonly int _pagemap;
    private readonly long* _vector = (long*)NativeMemory.Alloc(VectorEntries * 24);

    /// <exception cref="LinuxException">no such process, or not ours to look at</exception>
    public PagemapScan(int pid) => _pagemap = Sys.Open($"/proc/{pid}/pagemap", Sys.O_RDONLY | Sys.O_CLOEXEC);

    /// <summary>A run of pages with the same categories.</summary>
    /// <param name="start">address</param><param name="end">behind its last byte</param>
    public delegate void Visitor(ulong start, ulong end, long categories);

    /// <summary>Visits the runs of pages whose categories match: all of <paramref name="required"/>, none of <paramref name="forbidden"/>, one of <paramref name="anyOf"/> (0: whatever they are).</summary>
    /// <param name="returned">categories that tell runs apart and are told</param>
    /// <param name="orNot">categories whose absence matches like one of <paramref name="anyOf"/></param>
    /// <returns>0, or -errno (EPERM with <see cref="OnlyTracked"/>: not armed here; what lies before that place has been visited)</returns>
    public long Walk(ulong start, ulong end, long required, long forbidden, long anyOf, long returned, long flags, Visitor visit, long orNot = 0)
    {
        long* a = stackalloc long[12];
        do
        {
            // size, flags, start, end, walk_end, vec, vec_len, max_pages, category_inverted, category_mask, category_anyof_mask, return_mask
            (a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]) = (96, flags, (long)start, (long)end, 0, (long)_vector, VectorEntries, 0);
            (a[8], a[9], a[10], a[11]) = (forbidden | orNot, required | forbidden, anyOf | orNot, returned);
            long n;
            do n = Sys.Raw(SyscallNumber.Ioctl, _pagemap, Request, (long)a); while (n == -Errno.EINTR);
            if (n < 0) return n;
            for (long i = 0; i < n; i++) visit((ulong)_vector[3 * i], (ulong)_vector[3 * i + 1], _vector[3 * i + 2]);
            // walk_end is stale where the kernel filled its own buffer of 512 regions before it came to the end (seen on 6.18): room left in ours is the end.
            if (n < VectorEntries) break;
            start = Math.Max((ulong)a[4], (ulong)_vector[3 * n - 2]);
        }
        while (start < end);
        return 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Sys.Close(_pagemap);
        NativeMemory.Free(_vector);
    }
}
