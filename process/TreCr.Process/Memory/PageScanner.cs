using System.Runtime.InteropServices;
using TreCr.Linux;

namespace TreCr.Process.Memory;

/// <summary>PAGEMAP_SCAN (Linux 6.7) on one process. Source: Documentation/admin-guide/mm/pagemap.rst, process.md §4.</summary>
internal sealed unsafe class PageScanner : IDisposable
{
    /// <summary>Categories.</summary>
    public const long Written = 2, File = 4, Present = 8, Swapped = 0x10, PfnZero = 0x20, Guard = 0x100;
    private const long PagemapScan = 0xC0606610;
    private const int VectorEntries = 16384;

    private static readonly Lazy<bool> s_supported = new(() =>
    {
        if (Environment.GetEnvironmentVariable("TRECR_NO_PAGEMAP_SCAN") == "1") return false;
        using PageScanner own = new(Environment.ProcessId);
        return own.Walk(0, 0, 0, 0, Present, Present, 0, (_, _) => { }) == 0;
    });

    /// <summary>The kernel has PAGEMAP_SCAN, and no test has forbidden it.</summary>
    public static bool IsSupported => s_supported.Value;

    private readonly int _pagemap;
    private readonly long* _vector = (long*)NativeMemory.Alloc(VectorEntries * 24);

    public PageScanner(int pid) => _pagemap = Sys.Open($"/proc/{pid}/pagemap", Sys.O_RDONLY | Sys.O_CLOEXEC);

    /// <summary>Flags: write-protect what matches; fail (EPERM) where tracking is not armed.</summary>
    public const long Protect = 1, OnlyTracked = 2;

    /// <summary>Appends all populated pages of an area in one walk, and protects them.</summary>
    /// <param name="files">the area maps a file: its pages are left out until they are the process's own</param>
    /// <param name="present">receives the pages; null: not wanted</param><param name="written">receives those written since they were protected last</param>
    /// <param name="guards">receives guard pages (Linux 6.13), which are in neither of the others; null: not wanted</param>
    public long ScanArea(ulong start, ulong end, bool files, List<PageRun>? present, List<PageRun> written, List<PageRun>? guards, long flags)
    {
        long forbidden = PfnZero | (files ? File : 0), returned = Written | GuardCategory;
        // Without interest in the rest only what was written needs to come back.
        return Walk(start, end, present is null ? Written : 0, forbidden, Present | Swapped, returned, flags, (run, categories) =>
        {
            if ((categories & Guard) != 0)
            {
                if (guards is not null) PageRun.Append(guards, run);
                return;
            }
            if (present is not null) PageRun.Append(present, run);
            if ((categories & Written) != 0) PageRun.Append(written, run);
        });
    }

    /// <summary><see cref="Guard"/> where the kernel has that category (6.15), else 0.</summary>
    private long GuardCategory => _guard ??= Walk(0, 0, 0, 0, Guard, Guard, 0, (_, _) => { }) == 0 ? Guard : 0;

    private long? _guard;

    /// <summary>Visits the runs of pages whose categories match: all of <paramref name="required"/>, none of <paramref name="forbidden"/>, one of <paramref name="anyOf"/>.</summary>
    /// <returns>0, or -errno (EPERM with <see cref="OnlyTracked"/>: not armed here)</returns>
    private long Walk(ulong start, ulong end, long required, long forbidden, long anyOf, long returned, long flags, Action<PageRun, long> visit)
    {
        long* a = stackalloc long[12];
        do
        {
            // size, flags, start, end, walk_end, vec, vec_len, max_pages, category_inverted, category_mask, category_anyof_mask, return_mask
            (a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]) = (96, flags, (long)start, (long)end, 0, (long)_vector, VectorEntries, 0);
            (a[8], a[9], a[10], a[11]) = (forbidden, required | forbidden, anyOf, returned);
            long n;
            do n = Sys.Raw(SyscallNumber.Ioctl, _pagemap, PagemapScan, (long)a); while (n == -Errno.EINTR);
            if (n < 0) return n;
            for (long i = 0; i < n; i++) visit(new PageRun((ulong)_vector[3 * i], (ulong)_vector[3 * i + 1]), _vector[3 * i + 2]);
            // walk_end is stale where the kernel filled its own buffer of 512 regions before it came to the end (seen on 6.18): room left in ours is the end.
            if (n < VectorEntries) break;
            start = Math.Max((ulong)a[4], (ulong)_vector[3 * n - 2]);
        }
        while (start < end);
        return 0;
    }

    public void Dispose()
    {
        Sys.Close(_pagemap);
        NativeMemory.Free(_vector);
    }
}
