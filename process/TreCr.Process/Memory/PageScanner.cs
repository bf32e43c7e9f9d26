using System.Runtime.InteropServices;
using TreCr.Linux;

namespace TreCr.Process.Memory;

/// <summary>PAGEMAP_SCAN (Linux 6.7) on one process. Source: Documentation/admin-guide/mm/pagemap.rst, process.md §4.</summary>
internal sealed unsafe class PageScanner : IDisposable
{
    public const long Written = 2, File = 4, Present = 8, Swapped = 0x10, PfnZero = 0x20, Guard = 0x100;
    private const long PagemapScan = 0xC0606610;
    private const int VectorEntries = 4096;

    private readonly int _pagemap;
    private readonly long* _vector = (long*)NativeMemory.Alloc(VectorEntries * 24);

    public PageScanner(int pid) => _pagemap = Sys.Open($"/proc/{pid}/pagemap", Sys.O_RDONLY | Sys.O_CLOEXEC);

    /// <summary>Appends the runs of pages whose categories match: all of <paramref name="required"/>, none of <paramref name="forbidden"/>, one of <paramref name="anyOf"/>.</summary>
    /// <param name="flags">1: write-protect what matches; 2: fail unless write tracking is armed</param>
    /// <returns>0, or -errno (EPERM with flag 2: not armed here)</returns>
    public long Scan(ulong start, ulong end, long required, long forbidden, long anyOf, List<PageRun> into, long flags = 0)
    {
        long* a = stackalloc long[12];
        while (start < end)
        {
            // size, flags, start, end, walk_end, vec, vec_len, max_pages, category_inverted, category_mask, category_anyof_mask, return_mask
            (a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]) = (96, flags, (long)start, (long)end, 0, (long)_vector, VectorEntries, 0);
            (a[8], a[9], a[10], a[11]) = (forbidden, required | forbidden, anyOf, required | anyOf);
            long n;
            do n = Sys.Raw(SyscallNumber.Ioctl, _pagemap, PagemapScan, (long)a); while (n == -Errno.EINTR);
            if (n < 0) return n;
            for (long i = 0; i < n; i++)
            {
                PageRun run = new((ulong)_vector[3 * i], (ulong)_vector[3 * i + 1]);
                if (into.Count > 0 && into[^1].End == run.Start) into[^1] = into[^1] with { End = run.End }; else into.Add(run);
            }
            ulong next = (ulong)a[4];
            if (next <= start) break;
            start = next;
        }
        return 0;
    }

    public void Dispose()
    {
        Sys.Close(_pagemap);
        NativeMemory.Free(_vector);
    }
}
