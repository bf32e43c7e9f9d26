using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Memory;

/// <summary>Private pages of a frozen process: which there are, and their bytes.</summary>
internal static class MemoryCapture
{
    /// <param name="image">its MemoryPart is set; receives the runs of pages</param>
    /// <returns>plain bytes copied</returns>
    public static long Run(int pid, List<Vma> areas, ProcessImage image, ISnapshotWriter writer, WriteTracker? tracker, PhaseTimes? times)
    {
        List<PageRun> runs = [], guards = [];
        long bytes = tracker?.Capture(writer, areas, runs, guards, times) ?? Whole(pid, areas, runs, guards, writer, image.MemoryPart, times);
        PageRun.Encode(runs, image.RunGapPages, image.RunLengthPages);
        PageRun.Encode(guards, image.GuardGapPages, image.GuardLengthPages);
        return bytes;
    }

    private static long Whole(int pid, List<Vma> areas, List<PageRun> runs, List<PageRun> guards, ISnapshotWriter writer, string partName, PhaseTimes? times)
    {
        using PageScanner scanner = new(pid);
        using PageReader reader = new(pid);
        foreach (Vma area in areas.Where(IsPrivate))
            if (!PageScanner.IsSupported) PagemapReader.Read(pid, area, runs, guards);
            else Sys.Check(scanner.ScanArea(area.Start, area.End, area.Inode != 0, runs, [], guards, 0), "ioctl(PAGEMAP_SCAN)", $"{area.Start:x}");
        times?.Mark("scan");
        MemoryCopier copier = new(reader, writer, writer.OpenPart(partName, ProcessImageFormat.MemoryPartBytes));
        copier.Copy(runs);
        times?.Mark("copy frames", copier.BytesCopied);
        return copier.BytesCopied;
    }

    /// <summary>
    /// Without write tracking all memory is copied in the stop: makes buffers ready for as much as there is. The program runs.
    /// </summary>
    /// <exception cref="Images.ImageException">it does not fit where the snapshot goes (whatever the writer throws)</exception>
    public static void MakeRoom(IEnumerable<int> pids, ISnapshotWriter writer)
    {
        List<(int Pid, Vma Area)> all = [];
        foreach (int pid in pids)
        {
            try { all.AddRange(Vma.ReadAll(pid).Where(a => IsPrivate(a) && a.Writable && a.PopulatedBytes > 0).Select(a => (pid, a))); }
            catch (IOException) { } // it ended
        }
        long bytes = all.Sum(a => (long)a.Area.PopulatedBytes);
        writer.RequireRoom(bytes, (fraction, frame) =>
        {
            long at = (long)(fraction * bytes);
            foreach (var (pid, area) in all)
            {
                if (at < (long)area.PopulatedBytes) return PageReader.TrySample(pid, area.Start + ((ulong)at & ~0xfffful), area.End, frame);
                at -= (long)area.PopulatedBytes;
            }
            return false;
        });
        writer.PrepareFrames((int)Math.Min(int.MaxValue, bytes / ISnapshotWriter.FrameSizeBytes + all.Count));
    }

    /// <summary>Areas whose pages are the process's own.</summary>
    public static bool IsPrivate(Vma area) => !area.IsKernel && !area.Shared;
}
