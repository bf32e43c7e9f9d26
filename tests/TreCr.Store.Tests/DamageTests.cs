using TreCr.Images;

namespace TreCr.Store.Tests;

/// <summary>Damaged, cut off, missing, newer and foreign files: an exception that names the file; never other bytes, a crash or a hang.</summary>
public sealed class DamageTests : StoreTestBase
{
    private static readonly StoreOptions OneWorker = new() { MemoryLimitBytes = 4 << 20, Workers = 1 };

    private static RecordingFiles TwoCheckpoints()
    {
        RecordingFiles files = new();
        using SnapshotStore store = SnapshotStore.Open(files, OneWorker);
        Checkpoint(store, "job", 1, (0, Random(1)), (1, Soft(2)), (4, Soft(3)));
        Checkpoint(store, "job", 2, (0, Random(1)), (1, Soft(9)));
        store.BeginSnapshot().Finish();
        return files;
    }

    [Test]
    public void RandomDamageIsNoticedOrHarmless()
    {
        RecordingFiles good = TwoCheckpoints();
        int noticed = 0, total = 0;
        for (int seed = 0; seed < 600; seed++)
        {
            Random random = new(seed);
            RecordingFiles files = good.Clone();
            (StoreDirectory directory, string name) = files.Names[random.Next(files.Names.Count)];
            byte[] bytes = files.Get(directory, name);
            string what;
            switch (random.Next(6))
            {
                case 0: bytes = bytes[..random.Next(bytes.Length)]; what = $"cut to {bytes.Length}"; break;
                case 1: random.NextBytes(bytes.AsSpan(random.Next(bytes.Length))); what = "garbage from somewhere on"; break;
                case 2: bytes = [.. bytes, .. Random(seed, random.Next(1, 200))]; what = "longer"; break;
                case 3: bytes = []; what = "empty"; break;
                default:
                    int at = random.Next(bytes.Length), bit = random.Next(8);
                    bytes[at] ^= (byte)(1 << bit);
                    what = $"bit {bit} of byte {at}";
                    break;
            }
            files.Set(directory, name, bytes);
            string context = $"seed {seed}: {directory}/{name}: {what}";
            total++;
            try
            {
                using SnapshotStore store = SnapshotStore.Open(files, OneWorker);
                if (store.Verify().Problems.Count > 0) noticed++;
                foreach (CheckpointInfo info in store.ListCheckpoints())
                {
                    try { CheckContent(store, info, context); }
                    catch (ImageException e) { Assert.That(e.Message, Is.Not.Empty); }
                }
                try { store.Gc(new GcOptions { Retention = new() { Last = 1 } }); }
                catch (StoreException) { store.Gc(new GcOptions { Retention = new() { Last = 1 }, DropDamaged = true }); }
                store.Du();
                Checkpoint(store, "job", 7, (0, Soft(1)));
            }
            catch (ImageException)
            {
                noticed++;
            }
            catch (Exception e) when (e is not AssertionException)
            {
                Assert.Fail($"{context}: {e}");
            }
        }
        Assert.That(noticed, Is.GreaterThan(total / 2));
    }

    [Test]
    public void EveryFlippedBitOfAManifestOrIndexIsNoticed()
    {
        RecordingFiles good = TwoCheckpoints();
        foreach ((StoreDirectory directory, string name) in good.Names)
        {
            if (directory == StoreDirectory.Sessions || name.EndsWith(".pack", StringComparison.Ordinal)) continue;
            byte[] bytes = good.Get(directory, name);
            for (int bit = 0; bit < bytes.Length * 8; bit += bytes.Length > 100 ? 5 : 1)
            {
                RecordingFiles files = good.Clone();
                byte[] damaged = [.. bytes];
                damaged[bit / 8] ^= (byte)(1 << bit % 8);
                files.Set(directory, name, damaged);
                bool seen;
                try
                {
                    using SnapshotStore store = SnapshotStore.Open(files, OneWorker);
                    seen = store.Verify().Problems.Any(p => p.Message.Contains(name));
                }
                catch (StoreException e) { seen = e.Message.Contains(name); }
                Assert.That(seen, $"{name}, bit {bit}");
            }
        }
    }

    private static void CheckContent(SnapshotStore store, CheckpointInfo info, string context)
    {
        if (info.Problem is { } problem) throw problem;
        using StoreSnapshotReader reader = store.OpenSnapshot(ContentHash.FromBytes(info.Manifest!.Ranks[0].Snapshots[0].ManifestHash.Span));
        reader.ReadFrames("memory", (offset, bytes) =>
        {
            for (int at = 0; at < bytes.Length; at += Frame)
            {
                byte[] expected = ((offset + at) / Frame) switch { 0 => Random(1), 1 => Soft(info.Epoch == 1 ? 2 : 9), _ => Soft(3) };
                Assert.That(bytes.Slice(at, Frame).SequenceEqual(expected), context);
            }
        }, threads: 1);
    }

    [Test]
    public void ANewerStoreIsRefusedAsNewer()
    {
        RecordingFiles files = TwoCheckpoints();
        string line = $"trecr-store {FormatVersion.NewestStore + 1}"; // also where manifests go further
        UInt128 hash = XxHash.XxHash128.HashToUInt128(System.Text.Encoding.ASCII.GetBytes(line));
        files.Set(StoreDirectory.Root, "format", System.Text.Encoding.ASCII.GetBytes($"{line} {hash:x32}\nwith more to say\n"));
        StoreException e = Assert.Throws<StoreException>(() => SnapshotStore.Open(files, OneWorker))!;
        Assert.That(e.Kind, Is.EqualTo(StoreErrorKind.NewerFormat));
        Assert.That(e.Message, Does.Contain("version 3").And.Contain("newer trecr"));
    }

    [Test]
    public void ANewerCheckpointInThisStoreIsListedAndRefused()
    {
        RecordingFiles files = TwoCheckpoints();
        byte[] bytes = files.Get(StoreDirectory.Checkpoints, "job.2");
        bytes[8] = (byte)(FormatVersion.Newest + 1);
        XxHash.XxHash128.Hash(bytes.AsSpan(0, bytes.Length - 16), bytes.AsSpan(bytes.Length - 16));
        files.Set(StoreDirectory.Checkpoints, "job.2", bytes);
        using SnapshotStore store = SnapshotStore.Open(files, OneWorker);
        Assert.That(store.ListCheckpoints().Select(c => c.Problem?.Kind), Is.EqualTo(new StoreErrorKind?[] { null, StoreErrorKind.NewerFormat }));
        Assert.That(KindOf(() => store.FindCheckpoint("job")), Is.EqualTo(StoreErrorKind.NewerFormat));
        Assert.That(store.FindCheckpoint("job.1").Epoch, Is.EqualTo(1));
        Assert.That(KindOf(() => store.Gc()), Is.EqualTo(StoreErrorKind.NewerFormat));
    }

    [Test]
    public void AKeptFrameThatIsGoneFailsTheSnapshot()
    {
        RecordingFiles files = TwoCheckpoints();
        using SnapshotStore store = SnapshotStore.Open(files, OneWorker);
        JobManifest job = store.FindCheckpoint("job.2");
        using StoreSnapshotWriter writer = store.BeginSnapshot(ContentHash.FromBytes(job.Ranks[0].Snapshots[0].ManifestHash.Span));
        IPartWriter part = writer.OpenPart("memory", 1L << 47);
        part.KeepFrame(0);
        foreach ((StoreDirectory d, string n) in files.Names)
            if (n.EndsWith(".idx", StringComparison.Ordinal) && files.Get(d, n).Length > 150) files.Set(d, n, null);
        using (SnapshotStore other = SnapshotStore.Open(files, OneWorker)) Assert.That(other.Verify().Problems, Is.Not.Empty);
        store.Verify();
        Assert.That(KindOf(() => writer.Finish()), Is.EqualTo(StoreErrorKind.Damaged));
    }
}
