namespace TreCr.Process.Memory;

/// <summary>Pages next to each other.</summary>
/// <param name="Start">address, page aligned</param>
/// <param name="End">address after the last page</param>
internal readonly record struct PageRun(ulong Start, ulong End)
{
    public const ulong PageBytes = 4096;

    /// <summary>Ascending runs without what lies in others, ascending too.</summary>
    public static List<PageRun> Without(List<PageRun> runs, List<PageRun> others)
    {
        if (others.Count == 0) return runs;
        List<PageRun> left = [];
        int next = 0;
        foreach (PageRun run in runs)
        {
            ulong at = run.Start;
            while (next < others.Count && others[next].End <= at) next++;
            for (int i = next; i < others.Count && others[i].Start < run.End; at = Math.Min(others[i++].End, run.End))
                if (others[i].Start > at) left.Add(new PageRun(at, others[i].Start));
            if (at < run.End) left.Add(new PageRun(at, run.End));
        }
        return left;
    }

    /// <summary>Ascending runs as gaps and lengths in pages.</summary>
    public static void Encode(IEnumerable<PageRun> runs, ICollection<ulong> gaps, ICollection<ulong> lengths)
    {
        ulong last = 0;
        foreach (PageRun run in runs)
        {
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
