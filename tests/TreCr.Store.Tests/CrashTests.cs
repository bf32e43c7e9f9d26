namespace TreCr.Store.Tests;

/// <summary>After a crash at any moment, with unsynced writes lost, torn or reordered, the store opens to the old or the new checkpoint.</summary>
public sealed class CrashTests : StoreTestBase
{
    private const int SeedsPerPrefix = 12, ExhaustiveLimit = 6;
    private static readonly StoreOptions OneWorker = new() { MemoryLimitBytes = 4 << 20, Workers = 1 };

    [Test]
    public void EveryPrefixOfACheckpointAndAGcOpensToOldOrNew()
    {
        RecordingFiles files = new();
        using (SnapshotStore store = SnapshotStore.Open(files, OneWorker)) Checkpoint(store, "job", 1, (0, Random(1)), (1, Random(2)), (2, Soft(3)));
        RecordingFiles start = files.Clone(), recorded = files.Clone();
        int committed, collected;
        using (SnapshotStore store = SnapshotStore.Open(recorded, OneWorker))
        {
            Checkpoint(store, "job", 2, (0, Random(1)), (1, Random(22)), (2, Soft(3)), (3, Random(4)));
            committed = recorded.LogLength;
            GcReport report = store.Gc(new GcOptions { Retention = new() { Last = 1 }, RewriteBelow = 1 });
            Assert.That((report.RemovedCheckpoints.Count, report.RewrittenPacks), Is.EqualTo((1, 1)), "the gc of this test has to delete and rewrite");
            collected = recorded.LogLength;
        }
        int states = 0;
        for (int prefix = 0; prefix <= collected; prefix++)
        {
            int unsynced = recorded.CountUnsynced(prefix);
            if (unsynced <= ExhaustiveLimit)
            {
                for (int mask = 0; mask < 1 << unsynced; mask++, states++)
                    Check(recorded.AfterCrash(start, prefix, i => (mask >> i & 1) != 0 ? RecordingFiles.Fate.Kept : RecordingFiles.Fate.Dropped), prefix, mask);
            }
            else
            {
                for (int seed = 0; seed < SeedsPerPrefix; seed++, states++)
                {
                    Random random = new(seed);
                    Check(recorded.AfterCrash(start, prefix, _ => (RecordingFiles.Fate)random.Next(3)), prefix, seed);
                }
            }
        }
        TestContext.Out.WriteLine($"{collected} operations, {states} states");
        Assert.That(states, Is.GreaterThan(200));

        void Check(RecordingFiles disk, int prefix, int variant)
        {
            string at = $"prefix {prefix} of {collected} (commit returned at {committed}), variant {variant}";
            using SnapshotStore store = SnapshotStore.Open(disk, OneWorker);
            string[] ids = [.. store.ListCheckpoints().Select(c => c.Id)];
            Assert.That(ids, Is.EqualTo(new[] { "job.1" }).Or.EqualTo(new[] { "job.2" }).Or.EqualTo(new[] { "job.1", "job.2" }), at);
            if (prefix >= committed) Assert.That(ids, Does.Contain("job.2"), at);
            if (prefix <= committed) Assert.That(ids, Does.Contain("job.1"), at);
            Assert.That(store.Verify().Problems.Select(p => p.Message), Is.Empty, at);
            // The store is usable: what the crash left is collected, and the next checkpoint succeeds.
            store.Gc();
            Checkpoint(store, "job", 3, (0, Random(1)), (5, Soft(prefix)));
            Assert.That(store.Verify().Problems.Select(p => p.Message), Is.Empty, at);
            Assert.That(disk.Names.Where(n => n.Name.StartsWith(".tmp", StringComparison.Ordinal) && n.Directory is StoreDirectory.Packs or StoreDirectory.Checkpoints), Is.Empty, at);
        }
    }

    [Test]
    public void EveryPrefixOfMakingAStoreCanBeOpened()
    {
        RecordingFiles empty = new(), recorded = new();
        SnapshotStore.Open(recorded, OneWorker).Dispose();
        for (int prefix = 0; prefix <= recorded.LogLength; prefix++)
        {
            for (int mask = 0; mask < 1 << (2 * recorded.CountUnsynced(prefix)); mask++)
            {
                using SnapshotStore store = SnapshotStore.Open(recorded.AfterCrash(empty, prefix, i => (RecordingFiles.Fate)Math.Min(2, mask >> 2 * i & 3)), OneWorker);
                Checkpoint(store, "job", 1, (0, Random(1)));
            }
        }
    }

    [Test]
    public void AFullDiskAtAnyWriteLeavesTheOldCheckpoint()
    {
        int writes = 0;
        bool ended = false;
        for (int failing = 1; !ended; failing++)
        {
            RecordingFiles files = new();
            using SnapshotStore store = SnapshotStore.Open(files, OneWorker);
            Checkpoint(store, "job", 1, (0, Random(1)));
            int before = files.Names.Count, n = 0;
            int at = failing;
            files.BeforeWrite = _ =>
            {
                if (Interlocked.Increment(ref n) == at) throw new StoreException(StoreErrorKind.NoSpace, "pwrite: no space");
            };
            try
            {
                // More than a chunk of 1 MiB, so that writes fail in the middle too.
                Checkpoint(store, "job", 2, [.. Enumerable.Range(0, 40).Select(i => ((long)i, Random(i)))]);
                ended = true;
            }
            catch (StoreException e)
            {
                files.BeforeWrite = null;
                writes++;
                Assert.That(e.Kind, Is.EqualTo(StoreErrorKind.NoSpace));
                Assert.That(store.ListCheckpoints().Select(c => c.Id), Is.EqualTo(new[] { "job.1" }));
                Assert.That(store.Verify().Problems, Is.Empty);
                Assert.That(files.Names.Select(f => f.Name), Has.None.StartsWith(".tmp"), $"write {at}");
            }
        }
        Assert.That(writes, Is.GreaterThanOrEqualTo(6));
    }
}
