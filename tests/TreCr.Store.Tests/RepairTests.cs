namespace TreCr.Store.Tests;

/// <summary>Repair makes indexes anew and takes damaged frames out of use.</summary>
public sealed class RepairTests : StoreTestBase
{
    private static readonly StoreOptions OneWorker = new() { MemoryLimitBytes = 4 << 20, Workers = 1 };

    [Test]
    public void ADamagedOrCutIndexIsMadeAnew()
    {
        RecordingFiles files = new();
        using (SnapshotStore store = SnapshotStore.Open(files, OneWorker)) Checkpoint(store, "job", 1, (0, Random(1)), (1, Soft(2)), (2, Soft(3)));
        (StoreDirectory directory, string name) = files.Names.Single(n => n.Name.EndsWith(".idx", StringComparison.Ordinal));
        byte[] index = files.Get(directory, name);
        files.Set(directory, name, index[..90]);
        using SnapshotStore damaged = SnapshotStore.Open(files, OneWorker);
        Assert.That(damaged.Verify().Problems, Is.Not.Empty);
        RepairReport report = damaged.Repair();
        Assert.That((report.RewrittenIndexes, report.RecoveredObjects, report.LostCheckpoints.Count), Is.EqualTo((1, 4L, 0)));
        Assert.That(files.Get(directory, name), Is.EqualTo(index));
        Assert.That(damaged.Verify().Problems, Is.Empty);
        Assert.That(damaged.Repair().RewrittenIndexes, Is.Zero);
    }

    [Test]
    public void AnIndexThatIsGoneIsMadeAnewWhereACheckpointNeedsIt()
    {
        using (SnapshotStore store = Open(OneWorker))
        {
            Checkpoint(store, "job", 1, (0, Random(1)), (1, Soft(2)));
            Checkpoint(store, "job", 2, (0, Random(1)), (1, Soft(3)), (2, Random(4)));
            Snapshot(store, (0, Random(99))); // no checkpoint names it
        }
        Dictionary<string, byte[]> indexes = FilesIn("packs").Where(f => f.EndsWith(".idx", StringComparison.Ordinal)).ToDictionary(f => f, File.ReadAllBytes);
        Assert.That(indexes, Has.Count.EqualTo(3));
        foreach (string index in indexes.Keys) File.Delete(index);
        using SnapshotStore damaged = Open(OneWorker);
        Assert.That(damaged.Verify().Problems, Has.Count.EqualTo(2));
        RepairReport report = damaged.Repair();
        Assert.That((report.Packs, report.RewrittenIndexes, report.RecoveredObjects, report.LostCheckpoints.Count), Is.EqualTo((2, 2, 6L, 0)));
        Assert.That(damaged.Verify().Problems, Is.Empty);
        string[] now = [.. FilesIn("packs").Where(f => f.EndsWith(".idx", StringComparison.Ordinal))];
        Assert.That(now, Has.Length.EqualTo(2), "a pack that nothing needs is left to gc");
        foreach (string index in now) Assert.That(File.ReadAllBytes(index), Is.EqualTo(indexes[index]));
        Assert.That(damaged.Repair().RewrittenIndexes, Is.Zero);
    }

    [Test]
    public void ADamagedFrameIsStoredAgainByTheNextCheckpointThatHasIt()
    {
        RecordingFiles files = new();
        using SnapshotStore store = SnapshotStore.Open(files, OneWorker);
        Checkpoint(store, "job", 1, (0, Random(1)), (1, Random(2)));
        (StoreDirectory directory, string name) = files.Names.Single(n => n.Name.EndsWith(".pack", StringComparison.Ordinal));
        byte[] pack = files.Get(directory, name);
        pack[5000] ^= 4;
        files.Set(directory, name, pack);
        using SnapshotStore damaged = SnapshotStore.Open(files, OneWorker);
        RepairReport report = damaged.Repair();
        Assert.That((report.DroppedObjects, report.RewrittenIndexes), Is.EqualTo((1L, 1)));
        Assert.That(report.LostCheckpoints, Is.EqualTo(new[] { "job.1" }));
        Assert.That(damaged.Verify("job.1").Problems, Has.Count.EqualTo(1));
        Checkpoint(damaged, "job", 2, (5, Random(1)), (6, Random(2)));
        Assert.That(damaged.Verify().Problems, Is.Empty, "the frame came back");
    }
}
