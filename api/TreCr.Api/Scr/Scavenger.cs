namespace TreCr.Api.Scr;

/// <summary>
/// After a run that has ended: brings what lies in the caches and not in the prefix directory there, and computes what is missing. Output from the oldest on, then the newest checkpoint. It reaches
/// the caches of this machine, and those of all nodes in stores with VIEW=GLOBAL.
/// </summary>
public sealed class Scavenger(ScrParameters parameters, string node, Action<string> say)
{
    /// <returns>false: something that should have come could not be brought</returns>
    public bool Run()
    {
        PrefixDirectory prefix = new(parameters.Prefix);
        IReadOnlyList<StoreDescriptor> stores = parameters.Stores();
        NodeCache[] caches = [.. NodeCache.Reachable(stores, parameters.CacheOwner, node)];
        List<(NodeCache Cache, StoreDescriptor Store, RankFiles Files)> parts = [];
        foreach (NodeCache cache in caches)
            foreach ((StoreDescriptor store, int id, int rank) in cache.List())
                if (cache.Read(store, id, rank) is { } files && files.Dataset.Id == id) parts.Add((cache, store, files));
        bool all = true, checkpoint = false;
        int limit = int.MaxValue;
        var datasets = parts.GroupBy(p => p.Files.Dataset.Id).Select(g => g.Where(p => p.Files.Dataset.Created == g.Max(q => q.Files.Dataset.Created)).ToArray()).OrderBy(g => g[0].Files.Dataset.Id).ToArray();
        foreach (var dataset in datasets.Where(d => d[0].Files.Dataset.IsOutput))
            if (!Bring(dataset))
            {
                all = false;
                limit = dataset[0].Files.Dataset.Id;
                break;
            }
        foreach (var dataset in datasets.AsEnumerable().Reverse().Where(d => d[0].Files.Dataset.IsCheckpoint && d[0].Files.Dataset.Id < limit))
        {
            checkpoint = Bring(dataset);
            if (checkpoint) break;
            all = false;
        }
        return all || checkpoint;

        bool Bring((NodeCache Cache, StoreDescriptor Store, RankFiles Files)[] of)
        {
            DatasetInfo info = of[0].Files.Dataset;
            if (prefix.Index.Find(info.Id) is { Complete: true })
            {
                prefix.TryCommit(info.Id); // its files may not have their names yet
                return true;
            }
            prefix.Forget(info.Id);
            foreach ((NodeCache cache, StoreDescriptor store, RankFiles files) in of) Copy(prefix, cache, store, files);
            string? missing = prefix.Build(info.Id);
            say(missing is null ? $"{info}: brought to {prefix.Path}" : $"{missing}; it stays in the caches");
            if (missing is not null) prefix.Forget(info.Id);
            return missing is null;
        }
    }

    /// <summary>A rank's part; what is damaged of it stays away, and is computed.</summary>
    private void Copy(PrefixDirectory prefix, NodeCache cache, StoreDescriptor store, RankFiles files)
    {
        int id = files.Dataset.Id;
        Directory.CreateDirectory(prefix.DatasetPath(id));
        for (int i = 0; i < files.Files.Count; i++) Try(cache.FilePath(store, id, files.Rank, files.Files[i].Path), prefix.StagedPath(id, files.Rank, i), files.Files[i]);
        if (files.Set is { Kept: { } kept } set) Try(cache.ParityPath(store, id, set, files.Rank), $"{prefix.DatasetPath(id)}/{set.ParityName(files.Rank)}", kept);
        prefix.WriteMap(files);
    }

    private void Try(string from, string to, SavedFile file)
    {
        try { FileDigest.Copy(from, to, file.Bytes, file.Hash, durable: true); }
        catch (CheckpointException e) { say(e.Message); }
    }
}
