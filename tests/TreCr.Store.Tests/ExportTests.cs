using TreCr.Images;

namespace TreCr.Store.Tests;

/// <summary>A checkpoint as one stream, to another store and back.</summary>
public sealed class ExportTests : StoreTestBase
{
    private static readonly StoreOptions OneWorker = new() { MemoryLimitBytes = 4 << 20, Workers = 1 };

    private static byte[] Exported()
    {
        using SnapshotStore store = SnapshotStore.Open(new RecordingFiles(), OneWorker);
        Checkpoint(store, "job", 1, (0, Random(1)), (1, Soft(2)), (9, Soft(2)));
        MemoryStream stream = new();
        store.Export("job", stream);
        return stream.ToArray();
    }

    [Test]
    public void AnImportedCheckpointIsTheSame()
    {
        RecordingFiles files = new();
        using SnapshotStore store = SnapshotStore.Open(files, OneWorker);
        byte[] exported = Exported();
        Assert.That(store.Import(new MemoryStream(exported)), Is.EqualTo("job.1"));
        Assert.That(store.Verify("job.1").Problems, Is.Empty);
        JobManifest job = store.FindCheckpoint("job");
        Assert.That(job.Imported);
        using (StoreSnapshotReader reader = store.OpenSnapshot(ContentHash.FromBytes(job.Ranks[0].Snapshots[0].ManifestHash.Span)))
        {
            byte[] frame = new byte[Frame];
            reader.OpenPart("memory").ReadFrame(9 * Frame, frame);
            Assert.That(frame, Is.EqualTo(Soft(2)));
        }
        int before = files.Names.Count;
        Assert.That(KindOf(() => store.Import(new MemoryStream(exported))), Is.EqualTo(StoreErrorKind.Busy));
        Assert.That(files.Names, Has.Count.EqualTo(before));
        Assert.That(store.Import(new MemoryStream(exported), "copy"), Is.EqualTo("copy.1"));
        Assert.That(store.Verify().Problems, Is.Empty);
    }

    [Test]
    public void ADamagedOrCutStreamLeavesNothing()
    {
        byte[] exported = Exported();
        RecordingFiles files = new();
        using SnapshotStore store = SnapshotStore.Open(files, OneWorker);
        for (int seed = 0; seed < 300; seed++)
        {
            Random random = new(seed);
            byte[] bytes = [.. exported];
            if (seed % 3 == 0) bytes = bytes[..random.Next(bytes.Length)];
            else bytes[random.Next(seed % 3 == 1 ? bytes.Length : 2000)] ^= (byte)(1 << random.Next(8));
            try
            {
                store.Import(new MemoryStream(bytes));
                // Only padding between records has no hash.
                Assert.That(store.Verify().Problems, Is.Empty, $"seed {seed}");
                store.Gc(new GcOptions { Retention = new() { Last = 0 } });
            }
            catch (StoreException e) { Assert.That(e.Kind, Is.EqualTo(StoreErrorKind.Damaged).Or.EqualTo(StoreErrorKind.NewerFormat), $"seed {seed}: {e.Message}"); }
            Assert.That(files.Names.Select(n => n.Name), Is.EqualTo(new[] { "format" }), $"seed {seed}");
        }
    }
}
