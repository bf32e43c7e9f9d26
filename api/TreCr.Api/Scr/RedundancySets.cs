namespace TreCr.Api.Scr;

/// <summary>Which ranks protect each other: those with the same place in different failure groups, cut into sets of a size or a little more (facts/api.md §2.5).</summary>
public static class RedundancySets
{
    /// <param name="groups">[ranks] failure group of each</param>
    /// <returns>sets of ranks; a set of one has nobody</returns>
    public static IReadOnlyList<int[]> Form(IReadOnlyList<string> groups, int setSize)
    {
        int[][] members = [.. Enumerable.Range(0, groups.Count).GroupBy(r => groups[r]).Select(g => g.ToArray())];
        List<int[]> sets = [];
        for (int level = 0; members.Any(m => m.Length > level); level++)
        {
            int[] ranks = [.. members.Where(m => m.Length > level).Select(m => m[level])];
            int count = Math.Max(1, ranks.Length / Math.Max(2, setSize)), start = 0;
            for (int i = 0; i < count; i++)
            {
                int size = ranks.Length / count + (i < ranks.Length % count ? 1 : 0);
                sets.Add(ranks[start..(start + size)]);
                start += size;
            }
        }
        return sets;
    }

    /// <summary>What a set of so many members can have of what was asked for.</summary>
    public static (CopyType Type, int Parity) Given(CopyDescriptor asked, int members) => (asked.Type, members) switch
    {
        (CopyType.Single, _) or (_, 1) => (CopyType.Single, 0),
        (CopyType.Rs, _) => (CopyType.Rs, Math.Clamp(asked.SetFailures, 1, members - 1)),
        _ => (asked.Type, 1),
    };
}
