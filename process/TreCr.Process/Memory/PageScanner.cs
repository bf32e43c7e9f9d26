using TreCr.Linux;

namespace TreCr.Process.Memory;

/// <summary>Populated and written pages of one process (<see cref="PagemapScan"/>; process.md §4).</summary>
internal sealed class PageScanner(int pid) : IDisposable
{
    /// <inheritdoc cref="PagemapScan.Protect"/>
    public const long Protect = PagemapScan.Protect, OnlyTracked = PagemapScan.OnlyTracked;

    private static readonly Lazy<bool> s_supported = new(() =>
    {
        if (Environment.GetEnvironmentVariable("TRECR_NO_PAGEMAP_SCAN") == "1") return false;
        using PagemapScan own = new(Environment.ProcessId);
        return own.Walk(0, 0, 0, 0, PagemapScan.Present, PagemapScan.Present, 0, (_, _, _) => { }) == 0;
    });

    /// <summary>The kernel has PAGEMAP_SCAN, and no test has forbidden it.</summary>
    public static bool IsSupported => s_supported.Value;

    private readonly PagemapScan _pages = new(pid);

    /// <summary>Appends all populated pages of an area in one walk, and protects them.</summary>
    /// <param name="files">the area maps a file: its pages are left out until they are the process's own</param>
    /// <param name="present">receives the pages; null: not wanted</param><param name="written">receives those written since they were protected last</param>
    /// <param name="guards">receives guard pages (Linux 6.13), which are in neither of the others; null: not wanted</param>
    /// <returns>as <see cref="PagemapScan.Walk"/></returns>
    public long ScanArea(ulong start, ulong end, bool files, List<PageRun>? present, List<PageRun> written, List<PageRun>? guards, long flags)
    {
        long forbidden = PagemapScan.PfnZero | (files ? PagemapScan.File : 0), returned = PagemapScan.Written | GuardCategory;
        // Without interest in the rest only what was written needs to come back.
        return _pages.Walk(start, end, present is null ? PagemapScan.Written : 0, forbidden, PagemapScan.Present | PagemapScan.Swapped, returned, flags, (first, behind, categories) =>
        {
            PageRun run = new(first, behind);
            if ((categories & PagemapScan.Guard) != 0)
            {
                if (guards is not null) PageRun.Append(guards, run);
                return;
            }
            if (present is not null) PageRun.Append(present, run);
            if ((categories & PagemapScan.Written) != 0) PageRun.Append(written, run);
        });
    }

    /// <summary><see cref="PagemapScan.Guard"/> where the kernel has that category (6.15), else 0.</summary>
    private long GuardCategory => _guard ??= _pages.Walk(0, 0, 0, 0, PagemapScan.Guard, PagemapScan.Guard, 0, (_, _, _) => { }) == 0 ? PagemapScan.Guard : 0;

    private long? _guard;

    public void Dispose() => _pages.Dispose();
}
