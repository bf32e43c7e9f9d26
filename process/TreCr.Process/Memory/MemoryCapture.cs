using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Memory;

/// <summary>Private pages of a frozen process: which there are, and their bytes.</summary>
internal static class MemoryCapture
{
    /// <param name="image">its MemoryPart is set; receives the runs of pages</param>
    /// <returns>plain bytes copied</returns>
    public static long Run(int pid, List<Vma> areas, ProcessImage image, ISnapshotWriter writer, WriteTracker? tracker)
    {
        List<PageRun> runs = [], guards = [];
        using (PageScanner scanner = new(pid))
        {
            foreach (Vma area in areas.Where(IsPrivate))
            {
                Sys.Check(scanner.Scan(area.Start, area.End, 0, PageScanner.File | PageScanner.PfnZero, PageScanner.Present | PageScanner.Swapped, runs), "ioctl(PAGEMAP_SCAN)", $"{area.Start:x}");
                scanner.Scan(area.Start, area.End, PageScanner.Guard, 0, 0, guards); // kernels before 6.15 have no such category and no such pages to find
            }
        }
        runs = PageRun.Without(runs, guards); // the kernel counts guards as swapped pages
        PageRun.Encode(runs, image.RunGapPages, image.RunLengthPages);
        PageRun.Encode(guards, image.GuardGapPages, image.GuardLengthPages);
        if (tracker is not null) return tracker.Capture(writer, areas, runs);
        IPartWriter part = writer.OpenPart(image.MemoryPart, ProcessImageFormat.MemoryPartBytes);
        using MemoryCopier copier = new(pid, part);
        copier.Copy(runs, null);
        return copier.BytesCopied;
    }

    /// <summary>Areas whose pages are the process's own.</summary>
    public static bool IsPrivate(Vma area) => !area.IsKernel && !area.Shared;
}
