using System.Globalization;

namespace TreCr.Api.Scr;

/// <summary>The datasets in the prefix directory: .scr/index.scr, in the original's format (version 2).</summary>
public sealed class PrefixIndex
{
    private const int Version = 2;

    private readonly KvTree _tree;

    public PrefixIndex(KvTree? tree)
    {
        _tree = tree ?? new KvTree();
        _tree.Set("VERSION", Version);
    }

    /// <summary>A dataset's entry.</summary>
    /// <param name="Failed">it could not be read, or the program would not have it</param>
    public sealed record Entry(int Id, string Name, int Flags, bool Complete, bool Failed, string? Flushed, string? Fetched)
    {
        public bool IsCheckpoint => (Flags & DatasetInfo.Checkpoint) != 0;
    }

    public KvTree Tree => _tree;

    /// <summary>Name of the checkpoint that a restart begins with; null: none.</summary>
    public string? Current
    {
        get => _tree.Value("CURRENT");
        set
        {
            if (value is null) _tree.Remove("CURRENT");
            else _tree.Set("CURRENT", value);
        }
    }

    /// <summary>All of them, the oldest first.</summary>
    public IReadOnlyList<Entry> Entries
        => [.. _tree["DSET"].Numbers.SelectMany(id => _tree["DSET"][id]["NAME"].Names.Select(name => Read(id, name, _tree["DSET"][id]["NAME"][name])))];

    public Entry? Find(string name) => Entries.LastOrDefault(e => e.Name == name);

    public Entry? Find(int id) => Entries.LastOrDefault(e => e.Id == id);

    /// <summary>Adds a dataset whose files are all there. A checkpoint that is newer than the current one takes its place.</summary>
    /// <returns>the dataset that had the name; null: none had</returns>
    public int? Add(DatasetInfo dataset)
    {
        Entry? older = Find(dataset.Name) is { } named && named.Id != dataset.Id ? named : null;
        if (older is not null) Remove(older);
        KvTree entry = _tree["DSET"][dataset.Id]["NAME"][dataset.Name];
        entry.Set("COMPLETE", 1);
        entry.Set("FLAGS", dataset.Flags);
        entry.Set("FLUSHED", Now());
        entry.Remove("FAILED");
        _tree["NAME"][dataset.Name].Set("DSET", dataset.Id);
        if (dataset.IsCheckpoint && (Current is not { } current || Find(current) is not { } now || now.Id <= dataset.Id)) Current = dataset.Name;
        return older?.Id;
    }

    public void MarkFailed(Entry entry) => Tag(entry, "FAILED", Now());

    public void MarkFetched(Entry entry) => Tag(entry, "FETCHED", Now());

    public void Remove(Entry entry)
    {
        _tree["DSET"].Remove(entry.Id.ToString(CultureInfo.InvariantCulture));
        _tree["NAME"].Remove(entry.Name);
        if (Current != entry.Name) return;
        Current = Entries.LastOrDefault(e => e.IsCheckpoint && e.Complete && !e.Failed && e.Id < entry.Id)?.Name;
    }

    private void Tag(Entry entry, string name, string value) => _tree["DSET"][entry.Id]["NAME"][entry.Name].Set(name, value);

    private static Entry Read(int id, string name, KvTree tree)
        => new(id, name, (int)(tree.Number("FLAGS") ?? DatasetInfo.Checkpoint), tree.Number("COMPLETE") == 1, tree.Value("FAILED") is not null, tree.Value("FLUSHED"), tree.Value("FETCHED"));

    private static string Now() => DateTime.Now.ToString("yyyy-MM-ddTHH:mm:ss", CultureInfo.InvariantCulture);
}
