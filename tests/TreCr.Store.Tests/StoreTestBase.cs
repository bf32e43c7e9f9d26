using Google.Protobuf;
using TreCr.Images;

namespace TreCr.Store.Tests;

/// <summary>A directory for each test, and short ways to write and read snapshots.</summary>
public abstract class StoreTestBase
{
    protected const int Frame = ISnapshotWriter.FrameSizeBytes;

    protected string Dir { get; private set; } = "";

    protected static StoreOptions Small => new() { MemoryLimitBytes = 16 << 20, Workers = 2 };

    [SetUp]
    public void MakeDirectory() => Dir = Directory.CreateTempSubdirectory("trecr-store-test-").FullName;

    [TearDown]
    public void RemoveDirectory() => Directory.Delete(Dir, recursive: true);

    protected SnapshotStore Open(StoreOptions? options = null) => SnapshotStore.Open(Path.Combine(Dir, "store"), options ?? Small);

    /// <summary>Bytes that depend on the seed and compress badly.</summary>
    protected static byte[] Random(int seed, int lengthBytes = Frame)
    {
        byte[] bytes = new byte[lengthBytes];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>Bytes that depend on the seed and compress well.</summary>
    protected static byte[] Soft(int seed, int lengthBytes = Frame)
    {
        byte[] bytes = new byte[lengthBytes];
        for (int i = 0; i < lengthBytes; i++) bytes[i] = (byte)((i / 64 * 7 + seed) & 0x3F);
        System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(bytes, seed);
        return bytes;
    }

    /// <summary>Writes a snapshot of one part from (offset in frames, bytes).</summary>
    protected static SnapshotResult Snapshot(SnapshotStore store, params (long Index, byte[] Bytes)[] frames)
    {
        using StoreSnapshotWriter writer = store.BeginSnapshot();
        IPartWriter part = writer.OpenPart("memory", 1L << 47);
        foreach ((long index, byte[] bytes) in frames) part.WriteFrame(index * Frame, bytes);
        return writer.Finish();
    }

    protected static JobManifest Job(string name, ulong epoch, params ContentHash[] snapshots)
    {
        JobManifest job = new() { Job = name, Epoch = epoch, TrecrVersion = "test", DeviceKind = "soft" };
        RankManifest rank = new() { Rank = 0, Host = "here" };
        foreach (ContentHash hash in snapshots) rank.Snapshots.Add(new SnapshotReference { Role = "process", Pid = 1, ManifestHash = hash.ToByteString() });
        job.Ranks.Add(rank);
        return job;
    }

    /// <summary>Commits a checkpoint of one snapshot with these frames.</summary>
    protected static string Checkpoint(SnapshotStore store, string job, ulong epoch, params (long Index, byte[] Bytes)[] frames)
        => store.CommitCheckpoint(Job(job, epoch, Snapshot(store, frames).ManifestHash));

    /// <summary>The snapshot of the newest checkpoint of "job".</summary>
    protected static ContentHash LastOf(SnapshotStore store) => ContentHash.FromBytes(store.FindCheckpoint("job").Ranks[0].Snapshots[0].ManifestHash.Span);

    protected static StoreErrorKind KindOf(TestDelegate action) => Assert.Throws<StoreException>(action)!.Kind;

    protected string[] FilesIn(string directory) => Directory.Exists(Path.Combine(Dir, "store", directory)) ? Directory.GetFiles(Path.Combine(Dir, "store", directory)) : [];
}
