namespace TreCr.Api.Scr;

/// <summary>.scr/flush.scr: which datasets are in the cache, and which of them still have to come to the prefix directory; for scripts.</summary>
public sealed class FlushFile(PrefixDirectory prefix)
{
    /// <param name="Due">whether it is to come to the prefix directory</param>
    /// <param name="Flushed">whether it has</param>
    public sealed record Entry(int Id, string Name, int Flags, bool Due, bool Flushed);

    private string Location => prefix.OwnPath("flush.scr");

    /// <summary>The oldest first.</summary>
    public IReadOnlyList<Entry> Read()
    {
        KvTree datasets = (KvTree.Load(Location) ?? new KvTree())["DATASET"];
        return [.. datasets.Numbers.Select(id => (id, Tree: datasets[id])).Select(d =>
            new Entry(d.id, d.Tree.Value("NAME") ?? "", (int)(d.Tree.Number("FLAGS") ?? 0), d.Tree.Number("DUE") == 1, d.Tree.Find("LOCATION")?.Find("PFS") is not null))];
    }

    public void Write(IEnumerable<Entry> entries)
    {
        KvTree tree = new();
        foreach (Entry entry in entries)
        {
            KvTree dataset = tree["DATASET"][entry.Id];
            dataset.Set("NAME", entry.Name);
            dataset.Set("FLAGS", entry.Flags);
            dataset.Set("DUE", entry.Due ? 1 : 0);
            _ = dataset["LOCATION"]["CACHE"];
            if (entry.Flushed) _ = dataset["LOCATION"]["PFS"];
        }
        tree.Save(Location, durable: false);
    }
}
