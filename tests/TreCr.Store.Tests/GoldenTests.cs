using TreCr.Images;

namespace TreCr.Store.Tests;

/// <summary>Stores written by released versions stay readable: golden/vN is never written again.</summary>
public sealed class GoldenTests : StoreTestBase
{
    /// <summary>Key of the stores of versions 2 and 4.</summary>
    private static readonly StoreKey s_key = StoreKey.FromBytes([.. Enumerable.Range(1, StoreKey.LengthBytes).Select(i => (byte)i)]);

    [TestCase("v1")]
    [TestCase("v2")]
    [TestCase("v3")]
    [TestCase("v4")]
    public void AStoreOfThisVersionIsReadCollectedAndContinued(string version)
    {
        string from = Path.Combine(TestContext.CurrentContext.TestDirectory, "golden", version), to = Path.Combine(Dir, "store");
        foreach (string file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            string copy = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
        using SnapshotStore store = Open(Small with { TrustOtherOwner = true, Key = version is "v2" or "v4" ? s_key : null }); // a checkout has the umask's modes
        Assert.That(store.Verify().Problems, Is.Empty);
        JobManifest job = store.FindCheckpoint("golden");
        Assert.That((job.Epoch, job.CreatedUnixMs, job.Command[0], job.Ranks[0].Snapshots[0].Pid), Is.EqualTo((2UL, 1700000000000UL, "./app", 17)));
        Assert.That(job.FormatVersion, Is.EqualTo(uint.Parse(version[1..])));
        ContentHash hash = ContentHash.FromBytes(job.Ranks[0].Snapshots[0].ManifestHash.Span);
        using (StoreSnapshotReader reader = store.OpenSnapshot(hash))
        {
            IPartReader part = reader.OpenPart("memory");
            Assert.That(part.FrameOffsets, Is.EqualTo(new[] { 0L, 7 * Frame, (1L << 47) - Frame }));
            byte[] frame = new byte[Frame];
            part.ReadFrame(0, frame);
            Assert.That(frame, Is.EqualTo(Soft(1)));
            part.ReadFrame(7 * Frame, frame);
            Assert.That(frame, Is.EqualTo(Soft(3)));
            part.ReadFrame((1L << 47) - Frame, frame);
            Assert.That(frame.AsSpan(0, 100).SequenceEqual(Soft(2, 100)));
            Assert.That(reader.GetRecord("core"), Is.EqualTo(Soft(12, 1000)));
            Assert.That(reader.GetRecord("zeroes"), Is.EqualTo(new byte[70000]));
        }
        Assert.That(store.IsEncrypted, Is.EqualTo(version is "v2" or "v4"));
        Assert.That(Snapshot(store, (5, Soft(3))).BytesNew, Is.Zero);
        store.Gc(new GcOptions { Retention = new() { Last = 1 } });
        Assert.That(store.Verify("golden.2").Problems, Is.Empty);
    }
}
