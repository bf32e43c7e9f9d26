namespace TreCr.Store.Tests;

/// <summary>Checkpoints brought from one store to another: only what is missing, whole or absent, and on from where it stopped.</summary>
public sealed class FillTests : StoreTestBase
{
    private static readonly StoreOptions OneWorker = new() { MemoryLimitBytes = 4 << 20, Workers = 1 };
    private static readonly (long, byte[])[] s_first = [(0, Random(1)), (1, Random(2)), (2, Soft(3)), (9, Random(4))];

    [Test]
    public void OnlyWhatIsMissingIsBrought()
    {
        using SnapshotStore from = SnapshotStore.Open(new RecordingFiles(), OneWorker), to = SnapshotStore.Open(new RecordingFiles(), OneWorker);
        Checkpoint(from, "job", 1, s_first);
        Checkpoint(from, "job", 2, [.. s_first, (10, Random(5))]);
        List<FillProgress> progress = [];
        FillReport one = to.Fill(from.Inspect("job.1"), [from], new FillOptions { Progress = progress.Add });
        Assert.That((one.Objects, one.ObjectsFrom[0], one.Damaged), Is.EqualTo((5L, 5L, 0L)));
        Assert.That(progress[^1], Is.EqualTo(new FillProgress(one.Bytes, one.Bytes)));
        Assert.That(to.HasAllOf(from.Inspect("job.2")), Is.False);
        FillReport two = to.Fill(from.Inspect("job.2"), [from]);
        Assert.That(two.Objects, Is.EqualTo(2L), "one frame and the manifest");
        Assert.That(to.HasAllOf(from.Inspect("job.2")));
        Assert.That(to.Fill(from.Inspect("job.2"), [from]).Objects, Is.Zero);
        Assert.That(to.Verify().Problems, Is.Empty);
        Assert.That(to.Inspect("job.2").CreatedUnixMs, Is.EqualTo(from.Inspect("job.2").CreatedUnixMs));
        to.Gc(new GcOptions { Retention = new() { Last = 1 } });
        Assert.That(to.Verify().Problems, Is.Empty);
    }

    [Test]
    public void WhatIsDamagedInOnePlaceComesFromTheOther()
    {
        RecordingFiles a = new(), b = new(), c = new();
        using (SnapshotStore from = SnapshotStore.Open(a, OneWorker))
        {
            Checkpoint(from, "job", 1, s_first);
            foreach (RecordingFiles other in (RecordingFiles[])[b, c])
                using (SnapshotStore to = SnapshotStore.Open(other, OneWorker)) to.Fill(from.Inspect("job.1"), [from]);
        }
        Flip(a, 100);
        Flip(b, 70_000);
        Flip(b, 100);
        Flip(c, 140_000);
        using SnapshotStore first = SnapshotStore.Open(a, OneWorker), second = SnapshotStore.Open(b, OneWorker), third = SnapshotStore.Open(c, OneWorker);
        Assert.That(first.Verify().Problems, Has.Count.EqualTo(1));
        FillReport report = first.Fill(first.Inspect("job.1"), [second, third], new FillOptions { Verify = true });
        Assert.That((report.Damaged, report.ObjectsFrom[0], report.ObjectsFrom[1]), Is.EqualTo((1L, 0L, 1L)));
        Assert.That(first.Verify().Problems, Is.Empty, "the damaged frame is read from its new pack");
        using (SnapshotStore again = SnapshotStore.Open(a, OneWorker)) Assert.That(again.Verify().Problems, Is.Empty);
        Assert.That(first.Repair().LostCheckpoints, Is.Empty);
        first.Gc(new GcOptions { RewriteBelow = 1 });
        Assert.That(first.Verify().Problems, Is.Empty);
    }

    [Test]
    public void ADiskOrAgentThatFailsInTheMiddleIsReplacedByTheNext()
    {
        RecordingFiles a = new(), b = new(), c = new();
        using SnapshotStore first = SnapshotStore.Open(a, OneWorker), second = SnapshotStore.Open(b, OneWorker), third = SnapshotStore.Open(c, OneWorker);
        Checkpoint(first, "job", 1, s_first);
        second.Fill(first.Inspect("job.1"), [first]);
        int reads = 0;
        a.BeforeRead = b.BeforeRead = () =>
        {
            if (++reads > 3) throw new StoreException(StoreErrorKind.IO, "gone");
        };
        Assert.That(Assert.Throws<StoreException>(() => third.Fill(first.Inspect("job.1"), [first, second]))!.Message, Does.Contain("gone").And.Contain("no other tier"));
        Assert.That(third.ListCheckpoints(), Is.Empty);
        reads = 0;
        b.BeforeRead = null;
        FillReport report = third.Fill(second.Inspect("job.1"), [first, second]);
        Assert.That(report.ObjectsFrom, Has.All.GreaterThan(0));
        Assert.That(third.Verify().Problems, Is.Empty);
        // The store's own disk fails for what it has: it is written again.
        int own = 0;
        c.BeforeRead = () => { if (++own is > 3 and < 6) throw new StoreException(StoreErrorKind.IO, "EIO"); };
        Assert.That(third.Fill(second.Inspect("job.1"), [second], new FillOptions { Verify = true }).Damaged, Is.InRange(1, 2));
    }

    [Test]
    public void WhatNobodyHasWholeIsRefusedAndLeavesNoCheckpoint()
    {
        RecordingFiles a = new(), b = new();
        using (SnapshotStore from = SnapshotStore.Open(a, OneWorker)) Checkpoint(from, "job", 1, s_first);
        Flip(a, 100);
        using SnapshotStore damaged = SnapshotStore.Open(a, OneWorker), to = SnapshotStore.Open(b, OneWorker);
        StoreException refusal = Assert.Throws<StoreException>(() => to.Fill(damaged.Inspect("job.1"), [damaged]))!;
        Assert.That((refusal.Kind, refusal.Message), Is.EqualTo((StoreErrorKind.Damaged, refusal.Message)));
        Assert.That(refusal.Message, Does.Contain("job.1").And.Contain("no other tier"));
        Assert.That(to.ListCheckpoints(), Is.Empty);
        Assert.That(b.Names.Select(n => n.Directory), Has.None.EqualTo(StoreDirectory.Sessions));
    }

    [Test]
    public void AnotherCheckpointOfTheSameNameIsNotReplaced()
    {
        using SnapshotStore from = SnapshotStore.Open(new RecordingFiles(), OneWorker), to = SnapshotStore.Open(new RecordingFiles(), OneWorker);
        Checkpoint(from, "job", 1, s_first);
        Checkpoint(to, "job", 1, (0, Random(77)));
        Assert.That(KindOf(() => to.Fill(from.Inspect("job.1"), [from])), Is.EqualTo(StoreErrorKind.Busy));
        Assert.That(to.Verify().Problems, Is.Empty);
    }

    [Test]
    public void AfterACrashAtAnyMomentItGoesOnAndBringsLess()
    {
        using SnapshotStore from = SnapshotStore.Open(new RecordingFiles(), OneWorker);
        (long, byte[])[] frames = [.. Enumerable.Range(0, 12).Select(i => ((long)i, Random(i)))];
        Checkpoint(from, "job", 1, frames[..3]);
        Checkpoint(from, "job", 2, frames);
        RecordingFiles start = new();
        using (SnapshotStore to = SnapshotStore.Open(start, OneWorker)) to.Fill(from.Inspect("job.1"), [from]);
        start = start.Clone();
        RecordingFiles recorded = start.Clone();
        using (SnapshotStore to = SnapshotStore.Open(recorded, OneWorker)) to.Fill(from.Inspect("job.2"), [from], new FillOptions { PieceBytes = 150_000 });
        int least = int.MaxValue, most = 0;
        for (int prefix = 0; prefix <= recorded.LogLength; prefix++)
        {
            for (int seed = 0; seed < 6; seed++)
            {
                Random random = new(seed);
                RecordingFiles disk = recorded.AfterCrash(start, prefix, _ => (RecordingFiles.Fate)random.Next(3));
                using SnapshotStore to = SnapshotStore.Open(disk, OneWorker);
                Assert.That(to.ListCheckpoints().Select(c => c.Id), Is.EqualTo(new[] { "job.1" }).Or.EqualTo(new[] { "job.1", "job.2" }), $"prefix {prefix}, seed {seed}");
                Assert.That(to.Verify().Problems.Select(p => p.Message), Is.Empty, $"prefix {prefix}, seed {seed}");
                int brought = (int)to.Fill(from.Inspect("job.2"), [from]).Objects;
                (least, most) = (Math.Min(least, brought), Math.Max(most, brought));
                Assert.That(to.Verify().Problems, Is.Empty);
                to.Gc();
                Assert.That(to.Verify().Problems.Select(p => p.Message), Is.Empty);
                Assert.That(disk.Names.Where(n => n.Name.StartsWith(".tmp", StringComparison.Ordinal) && n.Directory != StoreDirectory.Sessions), Is.Empty);
            }
        }
        Assert.That((least, most), Is.EqualTo((0, 10)));
    }

    [Test]
    public void ACancelledFillIsContinued()
    {
        using SnapshotStore from = SnapshotStore.Open(new RecordingFiles(), OneWorker), to = SnapshotStore.Open(new RecordingFiles(), OneWorker);
        Checkpoint(from, "job", 1, [.. Enumerable.Range(0, 200).Select(i => ((long)i, Random(i)))]);
        using CancellationTokenSource cancel = new();
        FillOptions options = new() { Cancel = cancel.Token, PieceBytes = 2 << 20, MaxBytesPerSecond = 1L << 40, Progress = p => { if (p.Bytes > 3 << 20) cancel.Cancel(); } };
        Assert.That(() => to.Fill(from.Inspect("job.1"), [from], options), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(to.ListCheckpoints(), Is.Empty);
        Assert.That(to.Fill(from.Inspect("job.1"), [from]).Objects, Is.InRange(1, 180));
        Assert.That(to.Verify().Problems, Is.Empty);
    }

    private static void Flip(RecordingFiles files, int offset)
    {
        (StoreDirectory directory, string name) = files.Names.Single(n => n.Name.EndsWith(".pack", StringComparison.Ordinal));
        byte[] pack = files.Get(directory, name);
        pack[offset] ^= 16;
        files.Set(directory, name, pack);
    }
}
