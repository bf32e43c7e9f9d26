using System.Diagnostics;
using TreCr.Linux;

namespace TreCr.Store.Tests;

/// <summary>Errors and kills at the store's fault points, on real files: the old checkpoint or the new one is whole, and nothing is left.</summary>
[NonParallelizable]
public sealed class FaultTests : StoreTestBase
{
    [TearDown]
    public void Disarm() => Fault.Arm(null);

    [Test]
    public void AnErrorAtAnyPointLeavesTheOldCheckpointAndNoFiles()
    {
        using SnapshotStore store = Open(Small with { Workers = 1 });
        Checkpoint(store, "job", 1, (0, Random(1)));
        string[] before = AllFiles();
        int hits = 0;
        foreach (FaultPoint point in new[] { FaultPoint.StoreWrite, FaultPoint.StoreSync, FaultPoint.ManifestRename })
        {
            for (int n = 1; ; n++)
            {
                Fault.Arm($"{point}:{n}:errno");
                SnapshotResult? snapshot = null;
                try
                {
                    snapshot = Snapshot(store, [.. Enumerable.Range(0, 40).Select(i => ((long)i, Random(1000 * hits + i)))]);
                    string id = store.CommitCheckpoint(Job("job", store.NextEpoch("job"), snapshot.Value.ManifestHash));
                    Fault.Arm(null);
                    Assert.That(store.Verify(id).Problems, Is.Empty);
                    store.Gc(new GcOptions { Retention = new() { Last = 0 }, Keep = ["job.1"] });
                    break;
                }
                catch (StoreException e)
                {
                    Fault.Arm(null);
                    hits++;
                    Assert.That(e.Kind, Is.EqualTo(StoreErrorKind.IO));
                    Assert.That(store.FindCheckpoint("job").CheckpointId, Is.EqualTo("job.1"), $"{point}:{n}");
                    Assert.That(store.Verify().Problems, Is.Empty);
                    if (snapshot is { } finished)
                    {
                        store.Release(finished.ManifestHash);
                        store.Gc();
                    }
                    Assert.That(AllFiles(), Is.EquivalentTo(before), $"{point}:{n}");
                }
            }
        }
        Assert.That(hits, Is.GreaterThanOrEqualTo(9));
    }

    [TestCase("StoreWrite:3:kill")]
    [TestCase("StoreSync:1:kill")]
    [TestCase("StoreSync:2:kill")]
    [TestCase("StorePatch:1:kill")]
    [TestCase("ManifestRename:kill")]
    public void AKillAtAPointLeavesTheOldCheckpoint(string fault)
    {
        using SnapshotStore store = Open();
        Checkpoint(store, "job", 1, (0, Random(1)));
        string[] before = AllFiles();
        ProcessStartInfo start = new("dotnet") { UseShellExecute = false, Environment = { ["TRECR_FAULT"] = fault, ["DOTNET_EnableDiagnostics"] = "0" } }; // killed, it would leave a socket and FIFOs in /tmp
        foreach (string argument in new[] { typeof(FaultTests).Assembly.Location, "commit", Path.Combine(Dir, "store") }) start.ArgumentList.Add(argument);
        using (Process child = Process.Start(start)!)
        {
            Assert.That(child.WaitForExit(60_000));
            Assert.That(child.ExitCode, Is.EqualTo(137));
        }
        Assert.That(store.ListCheckpoints().Select(c => c.Id), Is.EqualTo(new[] { "job.1" }));
        Assert.That(store.Verify().Problems, Is.Empty);
        store.Gc();
        Assert.That(FilesIn("checkpoints"), Has.Length.EqualTo(1));
        if (fault.StartsWith("Store", StringComparison.Ordinal)) Assert.That(AllFiles(), Is.EquivalentTo(before));
        else Assert.That(FilesIn("sessions"), Has.Length.EqualTo(1), "the finished snapshot waits for its checkpoint for 24 hours");
        Checkpoint(store, "job", 2, (0, Random(5)));
    }

    private string[] AllFiles() => Directory.GetFiles(Path.Combine(Dir, "store"), "*", SearchOption.AllDirectories);
}
