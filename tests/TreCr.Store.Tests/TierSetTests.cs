using TreCr.Store.Tiers;

namespace TreCr.Store.Tests;

/// <summary>Tiers of every kind, on nodes that are processes with directories of their own, killed and wiped.</summary>
public sealed class TierSetTests : StoreTestBase
{
    private readonly List<AgentProcess> _nodes = [];

    private string Local => Path.Combine(Dir, "store");

    [TearDown]
    public void EndNodes()
    {
        foreach (AgentProcess node in _nodes) node.Dispose();
        _nodes.Clear();
    }

    private AgentProcess Node(string name)
    {
        AgentProcess node = new(Dir, name);
        _nodes.Add(node);
        return node;
    }

    private static TierSet Tiers(string toml) => new(StorePolicy.Parse(toml, "test.toml"));

    private static string[] Ids(SnapshotStore store) => [.. store.ListCheckpoints().Select(c => c.Id)];

    private static (long, byte[])[] Frames(int seed, int count = 40) => [.. Enumerable.Range(0, count).Select(i => ((long)i, i % 4 == 0 ? Soft(seed + i) : Random(seed + i)))];

    private void LoseLocal() => Directory.Delete(Local, recursive: true);

    [TestCase("memory")]
    [TestCase("disk")]
    [TestCase("shared")]
    public void ADirectoryBringsBackALostStore(string kind)
    {
        TierSet tiers = Tiers($"""
            [[tier]]
            kind = "{kind}"
            path = "{Dir}/far"
            every = 2
            keep = 2
            """);
        using (SnapshotStore local = Open())
        {
            for (ulong epoch = 1; epoch <= 7; epoch++) Checkpoint(local, "job", epoch, Frames((int)epoch));
            Checkpoint(local, "other", 2, Frames(50));
            List<TierProgress> progress = [];
            TierFlush flush = tiers.Flush(local, "job", progress.Add).Single();
            Assert.That((string.Join(' ', flush.Copied), flush.Problem), Is.EqualTo(("job.4 job.6", (string?)null)), "every second, the last two of them");
            Assert.That(progress[^1], Is.EqualTo(new TierProgress($"{kind}-1", "job.6", progress[^1].TotalBytes, progress[^1].TotalBytes)));
            Assert.That(tiers.Flush(local, "job").Single().Copied, Is.Empty);
            Checkpoint(local, "job", 8, Frames(8));
            Assert.That(tiers.Flush(local, "job").Single().Copied, Is.EqualTo(new[] { "job.8" }));
            Assert.That(tiers.Contents().Single().Checkpoints, Is.EqualTo(new[] { "job.6", "job.8" }));
        }
        LoseLocal();
        using SnapshotStore empty = Open();
        WholeReport report = tiers.MakeWhole(empty, "job");
        Assert.That((report.Checkpoint.CheckpointId, report.From.Single().Tier, report.Frames), Is.EqualTo(("job.8", $"{kind}-1", 41L)));
        Assert.That(empty.Verify().Problems, Is.Empty);
        Assert.That(tiers.MakeWhole(empty, "job.6").Checkpoint.Epoch, Is.EqualTo(6));
        Assert.That(Assert.Throws<StoreException>(() => tiers.MakeWhole(empty, "job.5"))!.Kind, Is.EqualTo(StoreErrorKind.NotFound));
        Assert.That(tiers.LastEpoch("job"), Is.EqualTo(8));
    }

    [Test]
    public void APartnerIsKilledWipedAndFilledAgainAndBringsBackALostStore()
    {
        AgentProcess node = Node("b");
        TierSet tiers = Tiers($"""
            [[tier]]
            name = "partner"
            kind = "partner"
            path = "{node.Place}"
            """);
        using (SnapshotStore local = Open())
        {
            Checkpoint(local, "job", 1, Frames(1));
            Assert.That(tiers.Flush(local, "job").Single().Copied, Is.EqualTo(new[] { "job.1" }));
            node.Lose();
            Checkpoint(local, "job", 2, Frames(2));
            Assert.That(tiers.Flush(local, "job").Single().Problem, Does.Contain("no agent answers"));
            Assert.That(Ids(local), Has.Length.EqualTo(2));
            node.Start();
            Assert.That(tiers.Flush(local, "job").Single().Copied, Is.EqualTo(new[] { "job.1", "job.2" }), "a wiped node gets everything again");
        }
        LoseLocal();
        using SnapshotStore empty = Open();
        Assert.That(tiers.MakeWhole(empty, "job").From, Is.EqualTo(new[] { ("partner", 41L) }));
        Assert.That(empty.Verify().Problems, Is.Empty);
        Assert.That(tiers.Verify(null).Single().Report.Problems, Is.Empty);
    }

    [Test]
    public void APartnerThatVanishesInTheMiddleIsFilledOnFromThere()
    {
        AgentProcess node = Node("b");
        TierSet tiers = Tiers($"""
            [[tier]]
            name = "partner"
            kind = "partner"
            path = "{node.Place}"
            """);
        using SnapshotStore local = Open();
        Checkpoint(local, "job", 1, Frames(1, 10));
        tiers.Flush(local, "job");
        Checkpoint(local, "job", 2, Frames(100, 200));
        bool killed = false;
        TierFlush broken = tiers.Flush(local, "job", p =>
        {
            if (killed || p.Bytes == 0) return;
            killed = true;
            node.Kill();
        }).Single();
        Assert.That((killed, broken.Problem), Is.EqualTo((true, broken.Problem)));
        Assert.That(broken.Problem, Does.Contain("the agent is gone"));
        node.Start();
        Assert.That(tiers.Contents().Single().Checkpoints, Is.EqualTo(new[] { "job.1" }), "absent, not half");
        Assert.That(tiers.Verify(null).Single().Report.Problems, Is.Empty);
        Assert.That(tiers.Flush(local, "job").Single().Copied, Is.EqualTo(new[] { "job.2" }));
        Assert.That(tiers.Verify("job.2").Single().Report.Problems, Is.Empty);
    }

    [TestCase("xor", 3, 1)]
    [TestCase("rs", 5, 2)]
    public void ASetLosesNodesAndTheStoreAndBringsItBack(string kind, int count, int parity)
    {
        AgentProcess[] nodes = [.. Enumerable.Range(0, count).Select(i => Node($"n{i}"))];
        TierSet tiers = Tiers($"""
            [[tier]]
            name = "set"
            kind = "{kind}"
            parity = {parity}
            nodes = [{string.Join(", ", nodes.Select(n => $"\"{n.Place}\""))}]
            """);
        using (SnapshotStore local = Open())
        {
            Checkpoint(local, "job", 1, Frames(1));
            Assert.That(tiers.Flush(local, "job").Single().Problem, Is.Null);
        }
        LoseLocal();
        foreach (AgentProcess node in nodes[..parity]) node.Lose();
        using SnapshotStore empty = Open();
        WholeReport report = tiers.MakeWhole(empty, "job");
        Assert.That(report.Frames, Is.EqualTo(41L));
        Assert.That(report.ComputedUnits, Is.GreaterThan(0));
        Assert.That(empty.Verify().Problems, Is.Empty);

        // One more node than the set can bear: refused, and said by name. A node that comes back empty is filled by computing.
        nodes[parity].Kill();
        LoseLocal();
        using (SnapshotStore again = Open())
            Assert.That(Assert.Throws<StoreException>(() => tiers.MakeWhole(again, "job"))!.Kind, Is.EqualTo(StoreErrorKind.NotFound));
        nodes[parity].Start();
        using SnapshotStore last = Open();
        tiers.MakeWhole(last, "job");
        Checkpoint(last, "job", 2, Frames(2));
        Assert.That(tiers.Flush(last, "job").Single().Problem, Does.Contain("cannot be reached"));
        foreach (AgentProcess node in nodes[..parity]) node.Start();
        TierFlush healed = tiers.Flush(last, "job").Single();
        Assert.That((healed.Problem, healed.HealedShards > 0, string.Join(' ', healed.Copied)), Is.EqualTo(((string?)null, true, "job.2")));
        foreach (AgentProcess node in nodes[^parity..]) node.Lose();
        LoseLocal();
        using SnapshotStore end = Open();
        Assert.That(tiers.MakeWhole(end, "job").Checkpoint.Epoch, Is.EqualTo(2));
        Assert.That(end.Verify().Problems, Is.Empty);
    }

    [Test]
    public void DamageHereIsHealedFromTheNearestTierThatHasIt()
    {
        TierSet tiers = Tiers($"""
            [[tier]]
            name = "near"
            kind = "disk"
            path = "{Dir}/near"
            [[tier]]
            name = "far"
            kind = "shared"
            path = "{Dir}/far"
            """);
        using (SnapshotStore local = Open(Small with { Workers = 1 })) // so that frames stand in both packs in one order
        {
            Checkpoint(local, "job", 1, Frames(1));
            tiers.Flush(local, "job");
        }
        Damage(Local, 5000);
        Damage(Path.Combine(Dir, "near"), 5000);
        Damage(Local, 400_000);
        using SnapshotStore damaged = Open();
        Assert.That(damaged.Verify().Problems, Is.Not.Empty);
        WholeReport report = tiers.MakeWhole(damaged, "job");
        Assert.That(report.From.Sum(f => f.Frames), Is.EqualTo(2));
        Assert.That(report.From.Select(f => f.Tier), Does.Contain("far").And.Contain("near"));
        Assert.That(damaged.Verify().Problems, Is.Empty);
        Assert.That(tiers.Repair().Select(r => r.Failed), Has.None.True);
        Assert.That(tiers.Flush(damaged, "job")[0].Copied, Is.EqualTo(new[] { "job.1" }), "what repair dropped on the near tier is brought there again");
        Assert.That(tiers.Verify(null).SelectMany(v => v.Report.Problems), Is.Empty);
    }

    private static void Damage(string store, int offset)
    {
        string pack = Directory.GetFiles(Path.Combine(store, "packs"), "*.pack").Single();
        using FileStream file = File.Open(pack, FileMode.Open);
        file.Position = offset;
        int b = file.ReadByte();
        file.Position = offset;
        file.WriteByte((byte)(b ^ 1));
    }
}
