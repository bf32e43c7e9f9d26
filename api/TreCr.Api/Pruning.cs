namespace TreCr.Api;

/// <summary>Which old versions may go. Ranks are not equally far when one of them is killed: a version goes only when enough newer ones are there of all ranks.</summary>
public static class Pruning
{
    /// <summary>Versions kept beyond those asked for, where the other ranks' files cannot be seen (scratch directories of several nodes).</summary>
    private const int Unseen = 2;

    /// <param name="versions">of one rank</param>
    /// <param name="keep">0: all</param>
    /// <param name="complete">whether all ranks have it</param>
    /// <param name="seesAll">false: <paramref name="complete"/> cannot know</param>
    public static IReadOnlyList<int> Superfluous(IEnumerable<int> versions, int keep, Func<int, bool> complete, bool seesAll = true)
    {
        if (keep <= 0) return [];
        List<int> superfluous = [];
        int newer = 0, newerComplete = 0;
        foreach (int version in versions.OrderDescending())
        {
            if (newerComplete >= keep || (!seesAll && newer >= keep + Unseen)) superfluous.Add(version);
            newer++;
            if (complete(version)) newerComplete++;
        }
        return superfluous;
    }

    /// <summary>Looks whether each of the ranks 0 to <paramref name="ranks"/> - 1 has a file of a version in one of the directories, all written by one launch.</summary>
    public static Func<int, bool> Complete(string name, int ranks, params CheckpointDirectory[] directories)
    {
        if (ranks == 1) return _ => true;
        ILookup<int, (CheckpointDirectory Directory, CheckpointId Id)> files = directories.SelectMany(d => d.All(name).Where(i => i.Rank < ranks).Select(i => (d, i))).ToLookup(f => f.i.Version);
        return version =>
        {
            Dictionary<int, HashSet<int>> ranksOfLaunch = [];
            foreach ((CheckpointDirectory directory, CheckpointId id) in files[version])
            {
                int launch = directory.LaunchOf(id);
                if (!ranksOfLaunch.TryGetValue(launch, out HashSet<int>? of)) ranksOfLaunch[launch] = of = [];
                of.Add(id.Rank);
            }
            return ranksOfLaunch.Values.Any(of => of.Count == ranks);
        };
    }
}
