using TreCr.Images;

namespace TreCr.Store.Tests;

public sealed class CheckpointTests : StoreTestBase
{
    [Test]
    public void CommittedCheckpointsAreListedAndFound()
    {
        using SnapshotStore store = Open();
        Assert.That(store.NextEpoch("app-1"), Is.EqualTo(1));
        Assert.That(Checkpoint(store, "app-1", 1, (0, Random(1))), Is.EqualTo("app-1.1"));
        Checkpoint(store, "app-1", 10, (0, Random(2)));
        Checkpoint(store, "app-1", 9, (0, Random(3)));
        Checkpoint(store, "app.1", 2, (0, Random(4)));
        using SnapshotStore other = Open();
        Assert.That(other.ListCheckpoints().Select(c => c.Id), Is.EqualTo(new[] { "app-1.1", "app-1.9", "app-1.10", "app.1.2" }));
        Assert.That(other.FindCheckpoint("app-1").CheckpointId, Is.EqualTo("app-1.10"));
        Assert.That(other.FindCheckpoint("app-1.9").CheckpointId, Is.EqualTo("app-1.9"));
        Assert.That(other.FindCheckpoint("app.1").CheckpointId, Is.EqualTo("app.1.2"));
        Assert.That(other.NextEpoch("app-1"), Is.EqualTo(11));
        Assert.That(KindOf(() => other.FindCheckpoint("app")), Is.EqualTo(StoreErrorKind.NotFound));
        Assert.That(KindOf(() => other.FindCheckpoint("app-1.4")), Is.EqualTo(StoreErrorKind.NotFound));
        Assert.That(KindOf(() => other.Inspect("../format")), Is.EqualTo(StoreErrorKind.NotFound));
        Assert.That(FilesIn("sessions"), Is.Empty);
    }

    [Test]
    public void ACheckpointThatExistsIsNotReplaced()
    {
        using SnapshotStore store = Open();
        Checkpoint(store, "job", 1, (0, Random(1)));
        Assert.That(KindOf(() => Checkpoint(store, "job", 1, (0, Random(2)))), Is.EqualTo(StoreErrorKind.Busy));
        Assert.That(FilesIn("checkpoints"), Has.Length.EqualTo(1));
    }

    [Test]
    public void ACommitThatNamesWhatIsNotThereIsRefused()
    {
        using SnapshotStore store = Open();
        Assert.That(KindOf(() => store.CommitCheckpoint(Job("job", 1, new ContentHash(77)))), Is.EqualTo(StoreErrorKind.Damaged));
        Assert.That(store.ListCheckpoints(), Is.Empty);
        Assert.Throws<ArgumentException>(() => store.CommitCheckpoint(Job("../job", 1)));
        Assert.Throws<ArgumentException>(() => store.CommitCheckpoint(Job("job", 0)));
    }

    [Test]
    public void VerifyNamesThePartOfADamagedFrame()
    {
        using (SnapshotStore store = Open())
        {
            Checkpoint(store, "job", 1, (0, Random(1)), (7, Random(2)));
            Checkpoint(store, "job", 2, (0, Random(3)));
            VerifyReport good = store.Verify();
            Assert.That((good.Checkpoints, good.Frames, good.Problems.Count), Is.EqualTo((2, 3L, 0)));
        }
        string pack = FilesIn("packs").Where(f => f.EndsWith(".pack", StringComparison.Ordinal)).Single(f => new FileInfo(f).Length > 2 * Frame);
        using (FileStream file = new(pack, FileMode.Open))
        {
            file.Position = 1000;
            int b = file.ReadByte();
            file.Position = 1000;
            file.WriteByte((byte)(b ^ 0x10));
        }
        using SnapshotStore again = Open();
        VerifyProblem problem = again.Verify().Problems.Single();
        Assert.That(problem.CheckpointId, Is.EqualTo("job.1"));
        Assert.That(problem.Message, Does.Contain("part memory").And.Contain(Path.GetFileName(pack)));
        Assert.That(again.Verify("job.2").Problems, Is.Empty);
        Assert.That(again.SizesOf(again.Inspect("job.1")), Is.EqualTo(new CheckpointSizes(2 * Frame, 2 * Frame, 2 * Frame)));
        Assert.That(KindOf(() => again.Verify("job.3")), Is.EqualTo(StoreErrorKind.NotFound));
    }

    [TestCase("job.1", "job", 1UL)]
    [TestCase("a.b.12", "a.b", 12UL)]
    public void IdsAreSplitAtTheLastDot(string id, string job, ulong epoch)
    {
        Assert.That(SnapshotStore.TryParseId(id, out string j, out ulong e));
        Assert.That((j, e), Is.EqualTo((job, epoch)));
    }

    [TestCase("job")]
    [TestCase("job.")]
    [TestCase(".1")]
    [TestCase("job.01")]
    [TestCase("job.0")]
    [TestCase("job.x")]
    [TestCase("job.99999999999999999999")]
    [TestCase("a/b.1")]
    [TestCase("")]
    public void OtherTextsAreNoIds(string id) => Assert.That(SnapshotStore.TryParseId(id, out _, out _), Is.False);
}
