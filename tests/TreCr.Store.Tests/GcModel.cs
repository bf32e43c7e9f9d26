using TreCr.Images;
using TreCr.XxHash;

namespace TreCr.Store.Tests;

/// <summary>
/// A store beside a model of it that is nothing but sets: checkpoints and waiting snapshots with the objects they need. Numbers make a history; after each gc both have to hold the same.
/// </summary>
internal sealed class GcModel : IDisposable
{
    private const int FrameBytes = ISnapshotWriter.FrameSizeBytes;
    private static readonly byte[][] s_contents = [.. Enumerable.Range(0, 8).Select(Content)];
    private static readonly UInt128[] s_hashes = [.. s_contents.Select(c => XxHash128.HashToUInt128(c))];

    private readonly FakeTime _time = new();
    private readonly RecordingFiles _files = new();
    private readonly SnapshotStore _store;
    private readonly List<Kept> _checkpoints = [];
    private readonly List<Kept> _waiting = [];
    private readonly Dictionary<string, ulong> _epochs = [];

    internal GcModel() => _store = SnapshotStore.Open(_files, new StoreOptions { Time = _time, Workers = 1, MemoryLimitBytes = 4 << 20 });

    /// <summary>Objects of the store and what of them the model says.</summary>
    internal int Collections { get; private set; }

    internal int Removed { get; private set; }

    /// <summary>Does one thing, chosen by a number.</summary>
    internal void Step(int number)
    {
        int n = number & int.MaxValue, what = n % 10, choice = n / 10;
        switch (what)
        {
            case 0 or 1 or 2 or 3: Commit(Take(choice), what == 0 ? "b" : "a"); break;
            case 4: _waiting.Add(Take(choice)); break;
            case 5 or 6 when _waiting.Count > 0:
                Kept taken = _waiting[choice % _waiting.Count];
                if (what == 5) Commit(taken, "a"); else _store.Release(taken.Snapshot);
                _waiting.RemoveAll(w => w.Snapshot == taken.Snapshot);
                break;
            case 7: Die(choice); break;
            case 8: _time.Now += TimeSpan.FromMinutes((choice % 7) switch { 0 => 5, 1 => 61, 2 => 24 * 60 + 1, 3 => -24 * 60 - 1, 4 => -50 * 60, 5 => 30 * 24 * 60, _ => -90 }); break;
            case 9: Collect(new GcOptions { Retention = new() { Last = choice % 4, Hourly = choice / 4 % 4, Daily = choice / 16 % 3 }, Job = (choice / 48 % 3) switch { 0 => "a", 1 => "b", _ => null }, RewriteBelow = 1 }); break;
        }
    }

    internal void Collect(GcOptions options)
    {
        _waiting.RemoveAll(w => _time.Now - w.Time >= TimeSpan.FromHours(24));
        for (int i = 0; i < _waiting.Count; i++)
            if (w(i) < -TimeSpan.FromHours(24)) _waiting[i] = _waiting[i] with { Time = _time.Now };
        Kept[] gone = [.. _checkpoints.Where(c => (options.Job ?? c.Job) == c.Job && !IsKept(c, options.Retention))];
        GcReport report = _store.Gc(options);
        Collections++;
        Removed += gone.Length;
        Assert.That(report.RemovedCheckpoints, Is.EquivalentTo(gone.Select(g => g.Id)));
        foreach (Kept g in gone) _checkpoints.Remove(g);
        Assert.That(_store.ListCheckpoints().Select(c => c.Id), Is.EquivalentTo(_checkpoints.Select(c => c.Id)));
        HashSet<UInt128> needed = [];
        foreach (Kept kept in _checkpoints.Concat(_waiting))
        {
            needed.Add(kept.Snapshot.Value);
            needed.UnionWith(kept.Contents.Select(c => s_hashes[c]));
        }
        Assert.That(_store.Catalog.Packs.SelectMany(p => p.Entries).Select(e => e.Hash).ToHashSet(), Is.EquivalentTo(needed), "what is needed, and nothing else");
        Assert.That(_files.Names.Count(n => n.Directory == StoreDirectory.Sessions), Is.EqualTo(_waiting.Count));
        Assert.That(_store.Verify().Problems, Is.Empty);

        TimeSpan w(int i) => _time.Now - _waiting[i].Time;
    }

    public void Dispose() => _store.Dispose();

    /// <summary>As the words of the manual say it, with no regard to speed.</summary>
    private bool IsKept(Kept c, Retention keep)
    {
        Kept[] newer = [.. _checkpoints.Where(o => o.Job == c.Job && o.Epoch > c.Epoch)];
        return newer.Length < keep.Last || NewestOf(TimeSpan.TicksPerHour, keep.Hourly) || NewestOf(TimeSpan.TicksPerDay, keep.Daily);

        bool NewestOf(long ticks, int most)
            => newer.All(o => o.Time.Ticks / ticks != c.Time.Ticks / ticks) && newer.Select(o => o.Time.Ticks / ticks).Distinct().Count() < most;
    }

    private Kept Take(int choice)
    {
        using StoreSnapshotWriter writer = _store.BeginSnapshot();
        IPartWriter part = writer.OpenPart("memory", 1L << 40);
        int[] contents = [.. Enumerable.Range(0, 8).Where(i => (choice >> i & 1) != 0)];
        foreach (int c in contents) part.WriteFrame(c * (long)FrameBytes, s_contents[c]);
        return new Kept("", 0, _time.Now, writer.Finish().ManifestHash, contents);
    }

    private void Commit(Kept snapshot, string job)
    {
        ulong epoch = _epochs[job] = _epochs.GetValueOrDefault(job) + 1;
        JobManifest manifest = new() { Job = job, Epoch = epoch };
        manifest.Ranks.Add(new RankManifest { Snapshots = { new SnapshotReference { Role = "process", ManifestHash = snapshot.Snapshot.ToByteString() } } });
        _store.CommitCheckpoint(manifest);
        _waiting.RemoveAll(w => w.Snapshot == snapshot.Snapshot);
        _checkpoints.Add(snapshot with { Job = job, Epoch = epoch, Time = _time.Now });
    }

    /// <summary>A writer that is killed: a session that has not ended, and a pack without an index.</summary>
    private void Die(int choice)
    {
        string id = Format.NewSessionId(_time.Now);
        SessionFile.Begin(_files, id, _store.Seal);
        using PackWriter pack = new(_files, id, _store.Seal);
        pack.AppendObject(s_hashes[choice % 8], s_contents[choice % 8]);
        StoreBytes.WriteDurably(_files, StoreDirectory.Checkpoints, $"{Format.TemporaryPrefix}{id}", [1]);
    }

    private static byte[] Content(int seed)
    {
        byte[] bytes = new byte[FrameBytes];
        new Random(seed).NextBytes(bytes.AsSpan(0, seed % 2 == 0 ? FrameBytes : 500));
        return bytes;
    }

    private readonly record struct Kept(string Job, ulong Epoch, DateTimeOffset Time, ContentHash Snapshot, int[] Contents)
    {
        internal string Id => $"{Job}.{Epoch}";
    }
}
