using System.Runtime.CompilerServices;
using TreCr.Store.Tiers;

namespace TreCr.Store.Tests;

/// <summary>A store over the nodes of a set: whole after every loss of as many as it has parities, after crashes and with flipped bits.</summary>
public sealed class ErasureStoreTests : StoreTestBase
{
    private static readonly StoreOptions OneWorker = new() { MemoryLimitBytes = 4 << 20, Workers = 1 };

    private static SnapshotStore Open(IReadOnlyList<RecordingFiles?> nodes, int parity, out ErasureStoreFiles set)
        => SnapshotStore.Open(set = new ErasureStoreFiles([.. nodes], [.. nodes.Select((_, i) => $"node {i}")], parity), OneWorker);

    /// <summary>Several stripes, and files of every length near their ends.</summary>
    private static RecordingFiles[] Write(int data, int parity)
    {
        RecordingFiles[] nodes = [.. Enumerable.Range(0, data + parity).Select(_ => new RecordingFiles())];
        using SnapshotStore store = Open(nodes, parity, out _);
        Checkpoint(store, "job", 1, [.. Enumerable.Range(0, 21).Select(i => ((long)i, i % 3 == 0 ? Soft(i) : Random(i)))]);
        Checkpoint(store, "job", 2, (0, Random(1)), (3, Random(99)));
        return nodes;
    }

    [TestCase(2, 1)]
    [TestCase(4, 1)]
    [TestCase(3, 2)]
    [TestCase(2, 3)]
    public void AnyNodesUpToTheParityMayBeLost(int data, int parity)
    {
        RecordingFiles[] whole = Write(data, parity);
        for (int lost = 0; lost < 1 << (data + parity); lost++)
        {
            int count = System.Numerics.BitOperations.PopCount((uint)lost);
            if (count > parity + 1) continue;
            // Half of them cannot be reached, half came back empty.
            RecordingFiles?[] left = [.. whole.Select((node, i) => (lost >> i & 1) == 0 ? node : i % 2 == 0 ? null : new RecordingFiles())];
            if (count > parity)
            {
                Assert.That(Assert.Throws<StoreException>(() => Open(left, parity, out _))!.Message, Does.Contain($"{data} are needed"), $"lost {lost:b}: never taken for a new set");
                continue;
            }
            using SnapshotStore store = Open(left, parity, out ErasureStoreFiles set);
            Assert.That(store.Verify().Problems.Select(p => p.Message), Is.Empty, $"lost {lost:b}");
            Assert.That(store.ListCheckpoints().Select(c => c.Id), Is.EqualTo(new[] { "job.1", "job.2" }));
            Assert.That(set.RebuiltUnits > 0, Is.EqualTo((lost & ((1 << data) - 1)) != 0), $"lost {lost:b}: units are computed where data is lost");
            Assert.That(set.IsDegraded(), Is.EqualTo(count > 0));
            if (left.Contains(null))
                Assert.That(Assert.Throws<StoreException>(() => Checkpoint(store, "job", 3, (0, Random(5))))!.Message, Does.Contain("cannot be reached"));
        }
    }

    [Test]
    public void LostShardsAreComputedAgainAndOthersMayBeLostThen()
    {
        RecordingFiles[] nodes = Write(3, 2), before = [.. nodes.Select(n => n.Clone())];
        (nodes[0], nodes[4]) = (new RecordingFiles(), new RecordingFiles());
        using (SnapshotStore store = Open(nodes, 2, out ErasureStoreFiles set))
        {
            Assert.That(set.Heal(thorough: false), Is.GreaterThanOrEqualTo(14));
            Assert.That(set.IsDegraded(), Is.False);
            Assert.That(set.Heal(thorough: true), Is.Zero);
        }
        foreach (int i in (int[])[0, 4])
            foreach ((StoreDirectory directory, string name) in before[i].Names)
                Assert.That(nodes[i].Get(directory, name).AsSpan().SequenceEqual(before[i].Get(directory, name)), $"node {i}, {name}");
        (nodes[1], nodes[2]) = (new RecordingFiles(), new RecordingFiles());
        using (SnapshotStore store = Open(nodes, 2, out _)) Assert.That(store.Verify().Problems, Is.Empty);
    }

    [Test]
    public void DamagedShardsAreSeenAndComputedAgain()
    {
        RecordingFiles[] whole = Write(3, 2);
        Random random = new(9);
        for (int round = 0; round < 8; round++)
        {
            RecordingFiles[] nodes = [.. whole.Select(n => n.Clone())];
            foreach (int node in Enumerable.Range(0, 5).OrderBy(_ => random.Next()).Take(2))
            {
                foreach ((StoreDirectory directory, string name) in nodes[node].Names)
                {
                    byte[] bytes = nodes[node].Get(directory, name);
                    if (bytes.Length == 0) continue; // the lock
                    if (random.Next(4) == 0) bytes = bytes[..random.Next(bytes.Length)];
                    else for (int i = random.Next(1, 4); i > 0; i--) bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                    nodes[node].Set(directory, name, bytes);
                }
            }
            using SnapshotStore store = Open(nodes, 2, out ErasureStoreFiles set);
            Assert.That(store.Verify().Problems.Select(p => p.Message), Is.Empty, $"round {round}");
            Assert.That(set.Heal(thorough: true), Is.GreaterThan(0));
            for (int i = 0; i < 5; i++)
                foreach ((StoreDirectory directory, string name) in whole[i].Names) Assert.That(nodes[i].Get(directory, name).AsSpan().SequenceEqual(whole[i].Get(directory, name)), $"round {round}, node {i}, {name}");
        }
    }

    [Test]
    public void AfterACrashOfAllNodesAtAnyMomentTheOldOrTheNewCheckpointIsThere()
    {
        StrongBox<int> clock = new();
        RecordingFiles[] start = [.. Enumerable.Range(0, 3).Select(_ => new RecordingFiles())];
        using (SnapshotStore store = Open(start, 1, out _)) Checkpoint(store, "job", 1, (0, Random(1)), (1, Random(2)));
        start = [.. start.Select(n => n.Clone())];
        RecordingFiles[] recorded = [.. start.Select(n =>
        {
            RecordingFiles copy = new() { Clock = clock };
            foreach ((StoreDirectory d, string name) in n.Names) copy.Set(d, name, n.Get(d, name));
            return copy;
        })];
        int committed;
        using (SnapshotStore store = Open(recorded, 1, out _))
        {
            Checkpoint(store, "job", 2, (0, Random(1)), (1, Random(22)), (2, Random(23)), (3, Random(24)));
            committed = clock.Value;
            Assert.That(store.Gc(new GcOptions { Retention = new() { Last = 1 }, RewriteBelow = 1 }).RewrittenPacks, Is.EqualTo(1));
        }
        for (int time = 0; time <= clock.Value; time++)
        {
            for (int seed = 0; seed < 2; seed++)
            {
                Random random = new(seed * 1000 + time);
                RecordingFiles[] disks = [.. recorded.Select((n, i) => n.AfterCrash(start[i], n.PrefixAt(time), _ => (RecordingFiles.Fate)random.Next(3)))];
                string at = $"time {time} of {clock.Value} (committed at {committed}), seed {seed}";
                using SnapshotStore store = Open(disks, 1, out ErasureStoreFiles set);
                string[] ids = [.. store.ListCheckpoints().Select(c => c.Id)];
                Assert.That(ids, Is.EqualTo(new[] { "job.1" }).Or.EqualTo(new[] { "job.2" }).Or.EqualTo(new[] { "job.1", "job.2" }), at);
                if (time >= committed) Assert.That(ids, Does.Contain("job.2"), at);
                Assert.That(store.Verify().Problems.Select(p => p.Message), Is.Empty, at);
                set.Heal(thorough: true);
                store.Gc();
                disks[random.Next(3)] = new RecordingFiles();
                using SnapshotStore less = Open(disks, 1, out ErasureStoreFiles rest);
                Assert.That(less.Verify().Problems.Select(p => p.Message), Is.Empty, at);
                rest.Heal(thorough: false);
                Checkpoint(less, "job", 3, (0, Random(1)), (7, Random(time)));
                Assert.That(less.Verify().Problems, Is.Empty, at);
            }
        }
    }
}
