namespace TreCr.Store.Tests;

/// <summary>What gc keeps by number and by time, against a model of sets, also where the clock jumps.</summary>
public sealed class RetentionTests : StoreTestBase
{
    private const ulong Hour = 3_600_000;

    [Test]
    public void TheNewestOfEachHourAndDayIsKept()
    {
        Retention keep = new() { Last = 1, Hourly = 2, Daily = 3 };
        ulong day = 24 * Hour, t = 100 * day;
        Assert.That(Kept(keep, t + 5 * Hour + 9, t + 5 * Hour, t + 4 * Hour + 1, t + 4 * Hour, t + 1, t - 1, t - Hour, t - day - 1, t - 2 * day - 1), Is.EqualTo(new[] { 0, 2, 5, 7 }));
        Assert.That(Kept(new() { Last = 0 }, t, t), Is.Empty);
        Assert.That(Kept(new() { Last = 5 }, t, t), Is.EqualTo(new[] { 0, 1 }));
    }

    [Test]
    public void AClockThatJumpsMakesNothingNewerThanItIs()
    {
        ulong t = 1000 * Hour;
        // The clock was a year ahead for two checkpoints, then right again: the newest by number is kept, and the two cost the history nothing but their own hour.
        Assert.That(Kept(new() { Last = 1, Hourly = 4 }, t + 2 * Hour, t + Hour, t + 9000 * Hour + 1, t + 9000 * Hour, t), Is.EqualTo(new[] { 0, 1, 2, 4 }));
        Assert.That(Kept(new() { Last = 0, Hourly = 1 }, t, t + 9000 * Hour), Is.EqualTo(new[] { 0 }));
    }

    [Test]
    public void RandomHistoriesLeaveWhatTheModelOfSetsLeaves()
    {
        int collections = 0, removed = 0;
        Properties.Hold<int[]>(120, history =>
        {
            using GcModel model = new();
            foreach (int number in history) model.Step(number * 7919); // FsCheck's numbers are small
            model.Collect(new GcOptions { RewriteBelow = 1 });
            collections += model.Collections;
            removed += model.Removed;
        });
        Assert.That(collections, Is.GreaterThan(200), "the histories have to say something");
        Assert.That(removed, Is.GreaterThan(100));
    }

    [Test]
    public void TimesThatCannotBeReadAreNotGuessed()
    {
        RecordingFiles files = new();
        using SnapshotStore store = SnapshotStore.Open(files, Small);
        for (ulong epoch = 1; epoch <= 4; epoch++) Checkpoint(store, "job", epoch, (0, Random((int)epoch)));
        byte[] bytes = files.Get(StoreDirectory.Checkpoints, "job.1");
        bytes[30] ^= 1;
        files.Set(StoreDirectory.Checkpoints, "job.1", bytes);
        StoreException refused = Assert.Throws<StoreException>(() => store.Gc(new GcOptions { Retention = new() { Last = 1, Hourly = 5 } }))!;
        Assert.That(refused.Kind, Is.EqualTo(StoreErrorKind.Damaged));
        Assert.That(refused.Message, Does.Contain("job.1").And.Contain("--drop-damaged"));
        Assert.That(store.ListCheckpoints(), Has.Count.EqualTo(4), "nothing was touched");
        Assert.That(KindOf(() => store.Gc(new GcOptions { Job = "other", Retention = new() { Last = 0 }, DropDamaged = true })), Is.EqualTo(StoreErrorKind.Damaged), "nor does one job's gc drop another's");
        Assert.That(store.Gc(new GcOptions { Retention = new() { Last = 1, Hourly = 5 }, DropDamaged = true }).RemovedCheckpoints, Is.EquivalentTo(new[] { "job.1", "job.2", "job.3" }));
    }

    [Test]
    public void WritersCommitWhileGcRuns()
    {
        using SnapshotStore mine = Open(), others = Open();
        using CancellationTokenSource end = new();
        int collected = 0;
        Task gc = Task.Run(() =>
        {
            while (!end.IsCancellationRequested)
            {
                try
                {
                    others.Gc(new GcOptions { Retention = new() { Last = 2 }, RewriteBelow = 1, Wait = TimeSpan.FromMilliseconds(200) });
                    Interlocked.Increment(ref collected);
                }
                catch (StoreException e) when (e.Kind == StoreErrorKind.Busy) { }
                end.Token.WaitHandle.WaitOne(5); // a writer asks every 20 ms whether the lock is free
            }
        });
        try
        {
            long until = Environment.TickCount64 + 60_000;
            for (ulong epoch = 1; epoch <= 15 || (Volatile.Read(ref collected) < 5 && Environment.TickCount64 < until); epoch++)
            {
                Checkpoint(mine, "job", epoch, (0, Random(1)), (1, Soft((int)epoch)), (2, Soft((int)(epoch % 3))));
                Assert.That(mine.Verify($"job.{epoch}").Problems, Is.Empty);
            }
        }
        finally { end.Cancel(); }
        Assert.That(gc.Wait(60_000));
        Assert.That(collected, Is.GreaterThanOrEqualTo(5));
        mine.Gc(new GcOptions { Retention = new() { Last = 2 } });
        Assert.That(mine.ListCheckpoints(), Has.Count.EqualTo(2));
        Assert.That(mine.Verify().Problems, Is.Empty);
    }

    private static int[] Kept(Retention keep, params ulong[] createdUnixMs) => [.. keep.Keeps(createdUnixMs).Index().Where(k => k.Item).Select(k => k.Index)];
}
