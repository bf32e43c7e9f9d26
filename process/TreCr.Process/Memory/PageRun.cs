namespace TreCr.Process.Memory;

/// <summary>Pages next to each other.</summary>
/// <param name="Start">address, page aligned</param>
/// <param name="End">address after the last page</param>
internal readonly record struct PageRun(ulong Start, ulong End)
{
    public const ulong PageBytes = 4096;

    /// <summary>Appends a run, or lengthens the last one where it goes on there.</summary>
    public static void Append(List<PageRun> runs, PageRun run)
    {
        if (runs.Count > 0 && runs[^1].End == run.Start) runs[^1] = runs[^1] with { End = run.End }; else runs.Add(run);
    }

    /// <summary>Ascending runs as gaps and lengths in pages.</summary>
    public static void Encode(IEnumerable<PageRun> runs, ICollection<ulong> gaps, ICollection<ulong> lengths)
    {
        ulong last = 0;
        foreach (PageRun run in runs)
        {
            if (run.Start < last || run.End <= run.Start) throw new InvalidOperationException($"pages out of order: {run.Start:x}-{run.End:x} after {last:x}");
            gaps.Add((run.Start - last) / PageBytes);
            lengths.Add((run.End - run.Start) / PageBytes);
            last = run.End;
        }
    }

    /// <exception cref="Images.ImageException">lists of different length, or addresses beyond user space</exception>
    public static List<PageRun> Decode(IReadOnlyList<ulong> gaps, IReadOnlyList<ulong> lengths)
    {
        if (gaps.Count != lengths.Count) throw new Images.ImageException("the image's list of pages is damaged");
        List<PageRun> runs = new(gaps.Count);
        ulong at = 0;
        for (int i = 0; i < gaps.Count; i++)
        {
            if (gaps[i] > 1UL << 35 || lengths[i] is 0 or > 1UL << 35) throw new Images.ImageException("the image's list of pages is damaged");
            ulong start = at + gaps[i] * PageBytes;
            at = start + lengths[i] * PageBytes;
            if (at > 1UL << 47) throw new Images.ImageException("the image's list of pages is damaged");
            runs.Add(new PageRun(start, at));
        }
        return runs;
    }
}
