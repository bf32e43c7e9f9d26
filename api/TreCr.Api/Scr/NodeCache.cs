namespace TreCr.Api.Scr;

/// <summary>
/// The caches of a node: <c>BASE[/node.NAME]/USER/scr.JOB/scr.dataset.ID/</c> with a directory for each rank, in which its files lie under the paths that they have below the prefix directory, and
/// <c>.scr</c> with what is known of them. A rank's part counts when its filemap is there.
/// </summary>
/// <param name="owner">USER/scr.JOB</param>
public sealed class NodeCache(IReadOnlyList<StoreDescriptor> stores, string owner, string node)
{
    private const string Prefix = "scr.dataset.";

    public IReadOnlyList<StoreDescriptor> Stores => stores;

    /// <summary>The caches of all nodes that can be reached from here: this one's, and of a store for all nodes each node's.</summary>
    public static IEnumerable<NodeCache> Reachable(IReadOnlyList<StoreDescriptor> stores, string owner, string node)
    {
        foreach (StoreDescriptor store in stores)
        {
            if (!store.Global) yield return new NodeCache([store], owner, node);
            else if (Directory.Exists(store.Base))
                foreach (string path in Directory.EnumerateDirectories(store.Base, "node.*").Order(StringComparer.Ordinal)) yield return new NodeCache([store], owner, Path.GetFileName(path)["node.".Length..]);
        }
    }

    public string PathOf(StoreDescriptor store) => $"{store.Base}{(store.Global ? $"/node.{node}" : "")}/{owner}";

    public string PathOf(StoreDescriptor store, int id) => $"{PathOf(store)}/{Prefix}{id}";

    public string FilePath(StoreDescriptor store, int id, int rank, string path) => $"{PathOf(store, id)}/{rank}/{path}";

    /// <summary>Path of something of ours beside a dataset's files.</summary>
    public string OwnPath(StoreDescriptor store, int id, string name) => $"{PathOf(store, id)}/.scr/{name}";

    /// <summary>The parts that are in the caches, by what their names say.</summary>
    public IEnumerable<(StoreDescriptor Store, int Id, int Rank)> List()
    {
        foreach (StoreDescriptor store in stores)
        {
            if (!Directory.Exists(PathOf(store))) continue;
            foreach (string dataset in Directory.EnumerateDirectories(PathOf(store), Prefix + "*"))
            {
                if (!int.TryParse(Path.GetFileName(dataset).AsSpan(Prefix.Length), out int id) || !Directory.Exists($"{dataset}/.scr")) continue;
                foreach (string map in Directory.EnumerateFiles($"{dataset}/.scr", RankFiles.FileName(0)[..^1] + "*"))
                    if (int.TryParse(Path.GetFileName(map).AsSpan(RankFiles.FileName(0).Length - 1), out int rank)) yield return (store, id, rank);
            }
        }
    }

    public RankFiles? Read(StoreDescriptor store, int id, int rank) => RankFiles.FromTree(KvTree.Load(OwnPath(store, id, RankFiles.FileName(rank))));

    public void Write(StoreDescriptor store, RankFiles files)
    {
        Directory.CreateDirectory(OwnPath(store, files.Dataset.Id, ""));
        files.ToTree().Save(OwnPath(store, files.Dataset.Id, RankFiles.FileName(files.Rank)), durable: false);
    }

    /// <summary>Removes a rank's part; the last one takes the directory with it. Other ranks of the node may do the same meanwhile.</summary>
    /// <param name="forNew">the directory stays, for a new part</param>
    public void Delete(StoreDescriptor store, int id, int rank, bool forNew = false)
    {
        string path = PathOf(store, id), own = OwnPath(store, id, "");
        try
        {
            File.Delete(own + RankFiles.FileName(rank)); // first: without it nothing is one
            foreach (string parity in Directory.EnumerateFiles(own, $"{rank}.*")) File.Delete(parity);
        }
        catch (DirectoryNotFoundException) { }
        try { Directory.Delete($"{path}/{rank}", recursive: true); }
        catch (DirectoryNotFoundException) { }
        if (forNew) return;
        foreach (string directory in (string[])[own, path])
            try { Directory.Delete(directory); }
            catch (IOException) { } // another rank's part is there, or it has gone already
    }

    /// <summary>Where a rank keeps parity.</summary>
    public string ParityPath(StoreDescriptor store, int id, SetRecord set, int rank) => OwnPath(store, id, set.ParityName(rank));

    /// <summary>Whether a rank's files are there as they were written.</summary>
    public bool HasFiles(StoreDescriptor store, RankFiles files) => files.Files.All(f => FileDigest.Matches(FilePath(store, files.Dataset.Id, files.Rank, f.Path), f.Bytes, f.Hash));

    /// <summary>Whether the parity that a rank keeps is there as it was written; true where it keeps none.</summary>
    public bool HasParity(StoreDescriptor store, RankFiles files)
        => files.Set is not { } set || (set.Kept is { } kept && FileDigest.Matches(ParityPath(store, files.Dataset.Id, set, files.Rank), kept.Bytes, kept.Hash));
}
