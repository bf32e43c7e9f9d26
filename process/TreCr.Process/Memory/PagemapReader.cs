using System.Runtime.InteropServices;
using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Memory;

/// <summary>
/// Populated pages of a frozen process from /proc/PID/pagemap, for kernels without PAGEMAP_SCAN (before 6.7, Debian 12's own 6.1): 8 bytes a page are read, and
/// nobody knows what was written. Source: Documentation/admin-guide/mm/pagemap.rst.
/// </summary>
internal static unsafe class PagemapReader
{
    private const ulong Present = 1UL << 63, Swapped = 1UL << 62, FileOrShared = 1UL << 61, GuardRegion = 1UL << 58;
    private const int BatchPages = 32 * 1024;

    /// <summary>Appends the process's own pages of an area.</summary>
    /// <param name="area">with what smaps counted: where that is nothing, or where there are only zero pages, nothing is read. A large reservation with little in it costs 1 to 2 s a TiB</param>
    /// <param name="guards">receives guard pages, which kernels from 6.15 on tell</param>
    public static void Read(int pid, Vma area, List<PageRun> runs, List<PageRun> guards)
    {
        if (area.PopulatedBytes == 0) return;
        int fd = Sys.Open($"/proc/{pid}/pagemap", Sys.O_RDONLY | Sys.O_CLOEXEC);
        ulong* entries = (ulong*)NativeMemory.Alloc(BatchPages, sizeof(ulong));
        try
        {
            for (ulong at = area.Start; at < area.End;)
            {
                long wanted = (long)Math.Min(BatchPages, (area.End - at) / PageRun.PageBytes) * 8;
                long got = Sys.Check(Sys.Raw(SyscallNumber.Pread64, fd, (long)entries, wanted, (long)(at / PageRun.PageBytes * 8)), "pread", $"/proc/{pid}/pagemap");
                if (got < 8) throw new Engine.ProcessException($"/proc/{pid}/pagemap ends at {at:x}");
                for (long i = 0; i < got / 8; i++, at += PageRun.PageBytes)
                {
                    ulong entry = entries[i];
                    if ((entry & (Present | Swapped)) == 0) continue;
                    PageRun page = new(at, at + PageRun.PageBytes);
                    if ((entry & GuardRegion) != 0)
                    {
                        PageRun.Append(guards, page);
                        continue;
                    }
                    if ((entry & FileOrShared) == 0) PageRun.Append(runs, page);
                }
            }
        }
        finally
        {
            NativeMemory.Free(entries);
            Sys.Close(fd);
        }
    }
}
