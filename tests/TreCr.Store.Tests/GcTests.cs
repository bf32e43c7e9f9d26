using System.Diagnostics;
using TreCr.Images;

namespace TreCr.Store.Tests;

/// <summary>What gc removes, and what it must leave alone.</summary>
public sealed class GcTests : StoreTestBase
{
    [Test]
    public void TheLastCheckpointsOfEachJobAreKeptWithAllTheirFrames()
    {
        using SnapshotStore store = Open();
        byte[][] shared = [.. Enumerable.Range(0, 20).Select(i => Soft(i))];
        for (ulong epoch = 1; epoch <= 5; epoch++)
            Checkpoint(store, "a", epoch, [.. shared.Select((b, i) => ((long)i, b)), (50, Random((int)epoch)), (51, Random(1000 + (int)epoch))]);
        Checkpoint(store, "b", 1, (0, Random(77)));
        long before = store.Du().PackBytes;
        GcReport report = store.Gc();
        Assert.That(report.RemovedCheckpoints, Is.EquivalentTo(new[] { "a.1", "a.2" }));
        Assert.That(report.FreedBytes, Is.GreaterThanOrEqualTo(4 * Frame));
        Assert.That(store.Du().PackBytes, Is.EqualTo(before - report.FreedBytes));
        Assert.That(store.ListCheckpoints().Select(c => c.Id), Is.EqualTo(new[] { "a.3", "a.4", "a.5", "b.1" }));
        Assert.That(store.Verify().Problems, Is.Empty);
        using SnapshotStore other = Open();
        Assert.That(other.Verify().Problems, Is.Empty);
        Assert.That(other.Gc().FreedBytes, Is.Zero);
        Assert.That(other.Gc(new GcOptions { Retention = new() { Last = 1 }, Keep = ["a.3"] }).RemovedCheckpoints, Is.EqualTo(new[] { "a.4" }));
        Assert.That(other.Verify().Problems, Is.Empty);
        // A store that was open meanwhile does not rely on what is gone.
        SnapshotResult again = Snapshot(store, (0, Random(4)));
        Assert.That(again.BytesNew, Is.EqualTo(Frame));
        store.CommitCheckpoint(Job("a", 6, again.ManifestHash));
        Assert.That(store.Verify().Problems, Is.Empty);
    }

    [Test]
    public void AFinishedSnapshotWaitsForItsCheckpoint()
    {
        using SnapshotStore store = Open();
        Checkpoint(store, "a", 1, (0, Random(1)));
        SnapshotResult waiting = Snapshot(store, (0, Random(1)), (1, Random(2)));
        GcReport report = store.Gc(new GcOptions { Retention = new() { Last = 0 } });
        Assert.That(report.RemovedCheckpoints, Is.EqualTo(new[] { "a.1" }));
        store.CommitCheckpoint(Job("a", 2, waiting.ManifestHash));
        Assert.That(store.Verify().Problems, Is.Empty);
        Assert.That(FilesIn("sessions"), Is.Empty);
        SnapshotResult given = Snapshot(store, (9, Random(9)));
        store.Release(given.ManifestHash);
        Assert.That(store.Gc().FreedBytes, Is.GreaterThan(Frame));
    }

    [Test]
    public void GcStandsBackFromWritersAndReaders()
    {
        using SnapshotStore store = Open();
        Checkpoint(store, "a", 1, (0, Random(1)));
        SnapshotResult result = Snapshot(store, (0, Random(2)));
        using SnapshotStore other = Open();
        using (StoreSnapshotWriter writer = store.BeginSnapshot()) Assert.That(KindOf(() => other.Gc()), Is.EqualTo(StoreErrorKind.Busy));
        using (StoreSnapshotReader reader = store.OpenSnapshot(result.ManifestHash)) Assert.That(KindOf(() => other.Gc()), Is.EqualTo(StoreErrorKind.Busy));
        other.Gc();
    }

    [Test]
    public void AKilledSessionIsInvisibleAndCollected()
    {
        using SnapshotStore store = Open();
        Checkpoint(store, "a", 1, (0, Random(1)));
        string[] before = FilesIn("packs");
        using (Process child = StartChild("hang"))
        {
            Assert.That(child.StandardOutput.ReadLine(), Is.EqualTo("written"));
            Assert.That(KindOf(() => store.Gc()), Is.EqualTo(StoreErrorKind.Busy), "the other process writes");
            child.Kill();
            Assert.That(child.WaitForExit(60_000));
        }
        Assert.That(FilesIn("packs"), Has.Length.EqualTo(before.Length + 1));
        Assert.That(FilesIn("sessions"), Has.Length.EqualTo(1));
        Assert.That(store.Verify().Problems, Is.Empty);
        Assert.That(store.Gc().RemovedPacks, Is.EqualTo(1));
        Assert.That(FilesIn("packs"), Is.EquivalentTo(before));
        Assert.That(FilesIn("sessions"), Is.Empty);
        Assert.That(store.Verify().Problems, Is.Empty);
    }

    [Test]
    public void TwoProcessesWriteAtOnce()
    {
        using SnapshotStore store = Open();
        using Process child = StartChild("write");
        Assert.That(child.StandardOutput.ReadLine(), Is.EqualTo("ready"));
        child.StandardInput.WriteLine("go");
        SnapshotResult mine = Snapshot(store, [.. Enumerable.Range(0, 200).Select(i => ((long)i, Soft(i)))]);
        string theirs = child.StandardOutput.ReadLine()!;
        Assert.That(child.WaitForExit(60_000));
        ContentHash other = new(UInt128.Parse(theirs, System.Globalization.NumberStyles.HexNumber));
        store.CommitCheckpoint(Job("both", 1, mine.ManifestHash, other));
        VerifyReport report = store.Verify();
        Assert.That(report.Problems, Is.Empty);
        Assert.That(report.Frames, Is.EqualTo(300), "frames 100 to 199 are in both");
    }

    [Test]
    public void DuAndDiffCount()
    {
        using SnapshotStore store = Open();
        Checkpoint(store, "a", 1, (0, Random(1)), (1, Random(2)));
        byte[] changed = Random(2);
        changed[7] ^= 1;
        changed[9000] ^= 1;
        Checkpoint(store, "a", 2, (0, Random(1)), (1, changed), (5, [1]));
        StoreUsage usage = store.Du();
        Assert.That(usage.Checkpoints.Select(c => c.PlainBytes / Frame), Is.EqualTo(new[] { 2L, 3L }));
        Assert.That(usage.Checkpoints[0].OwnBytes, Is.InRange(Frame, 2 * Frame - 1));
        Assert.That(usage.GarbageBytes, Is.Zero);
        PartDifference difference = store.Diff("a.1", "a.2").Single();
        Assert.That(difference, Is.EqualTo(new PartDifference("rank 0, process 1, part memory", 2, 3, 2, 3)));
        Assert.That(store.Diff("a.1", "a.1"), Is.Empty);
    }

    private Process StartChild(string mode)
    {
        ProcessStartInfo start = new("dotnet") { RedirectStandardOutput = true, RedirectStandardInput = true, UseShellExecute = false, Environment = { ["DOTNET_EnableDiagnostics"] = "0" } };
        start.ArgumentList.Add(typeof(GcTests).Assembly.Location);
        start.ArgumentList.Add(mode);
        start.ArgumentList.Add(Path.Combine(Dir, "store"));
        return Process.Start(start)!;
    }
}
