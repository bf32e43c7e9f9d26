using System.Text;
using TreCr.Images;
using TreCr.Store.Tiers;

namespace TreCr.Store.Tests;

/// <summary>Stores with a key: what lies on the disk says nothing, and without the right key nothing is read or written.</summary>
public sealed class SealTests : StoreTestBase
{
    private static readonly StoreKey s_key = StoreKey.FromBytes(Random(1, 32)), s_other = StoreKey.FromBytes(Random(2, 32));
    private static readonly StoreOptions s_one = new() { MemoryLimitBytes = 4 << 20, Workers = 1 };

    private static StoreOptions With(StoreKey? key, bool namesOnly = false) => s_one with { Key = key, KeyedNamesOnly = namesOnly };

    private static RecordingFiles Made(StoreKey? key, bool namesOnly = false)
    {
        RecordingFiles files = new();
        using SnapshotStore store = SnapshotStore.Open(files, With(key, namesOnly));
        Checkpoint(store, "job", 1, (0, Secret(1)), (1, Random(2)), (2, Soft(3)));
        JobManifest second = Job("job", 2, Snapshot(store, (0, Secret(1)), (1, Random(5))).ManifestHash);
        second.Command.Add("command-line-secret");
        store.CommitCheckpoint(second);
        return files;
    }

    /// <summary>A frame in which a text stands again and again.</summary>
    private static byte[] Secret(int seed) => Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat($"the secret {seed} of the program ", 3000)))[..Frame];

    [TestCase(false)]
    [TestCase(true)]
    public void EverythingWorksAsWithoutAKey(bool namesOnly)
    {
        RecordingFiles files = Made(s_key, namesOnly);
        using SnapshotStore store = SnapshotStore.Open(files, With(s_key, namesOnly));
        Assert.That(store.IsEncrypted, Is.Not.EqualTo(namesOnly));
        Assert.That(store.Verify().Problems, Is.Empty);
        JobManifest job = store.FindCheckpoint("job");
        Assert.That(job.Command, Is.EqualTo(new[] { "command-line-secret" }));
        using (StoreSnapshotReader reader = store.OpenSnapshot(ContentHash.FromBytes(job.Ranks[0].Snapshots[0].ManifestHash.Span)))
        {
            byte[] frame = new byte[Frame];
            reader.OpenPart("memory").ReadFrame(0, frame);
            Assert.That(frame, Is.EqualTo(Secret(1)));
        }
        Assert.That(Snapshot(store, (7, Secret(1))).BytesNew, Is.Zero, "equal frames are stored once");
        Assert.That(store.Gc(new GcOptions { Retention = new() { Last = 1 }, RewriteBelow = 1 }).RewrittenPacks, Is.GreaterThan(0));
        Assert.That(store.Repair().DroppedObjects, Is.Zero);
        Assert.That(store.Verify().Problems, Is.Empty);
        MemoryStream exported = new();
        store.Export("job", exported);
        Assert.That(Contains(exported.ToArray(), "command-line-secret"), Is.EqualTo(namesOnly));
        using SnapshotStore second = SnapshotStore.Open(new RecordingFiles(), With(s_key, namesOnly)), foreign = SnapshotStore.Open(new RecordingFiles(), With(s_other)), plain = SnapshotStore.Open(new RecordingFiles(), With(null));
        exported.Position = 0;
        Assert.That(second.Import(exported), Is.EqualTo("job.2"));
        Assert.That(second.Verify().Problems, Is.Empty);
        foreach (SnapshotStore wrong in new[] { foreign, plain })
        {
            exported.Position = 0;
            Assert.That(KindOf(() => wrong.Import(exported)), Is.EqualTo(StoreErrorKind.WrongKey));
            Assert.That(KindOf(() => wrong.Fill(job, [store])), Is.EqualTo(StoreErrorKind.WrongKey));
            Assert.That(wrong.ListCheckpoints(), Is.Empty);
        }
    }

    [Test]
    public void TheDiskSaysNothingOfWhatIsStored()
    {
        RecordingFiles files = Made(s_key), names = Made(s_key, namesOnly: true);
        foreach (RecordingFiles disk in new[] { files, names })
        {
            bool found = disk.Names.Any(n => Contains(disk.Get(n.Directory, n.Name), "command-line-secret") || Contains(disk.Get(n.Directory, n.Name), "secret 1 of the program"));
            Assert.That(found, Is.EqualTo(disk == names), "the search has to find it where it is");
        }
        // No name is a hash that somebody who guesses the content could compute.
        HashSet<UInt128> guessed = [.. new[] { Secret(1), Random(2), Soft(3) }.Select(b => XxHash.XxHash128.HashToUInt128(b))];
        using SnapshotStore store = SnapshotStore.Open(files, With(s_key)), other = SnapshotStore.Open(Made(s_other), With(s_other)), same = SnapshotStore.Open(Made(s_key), With(s_key));
        HashSet<UInt128> mine = [.. store.Catalog.Packs.SelectMany(p => p.Entries).Select(e => e.Hash)];
        Assert.That(mine.Overlaps(guessed), Is.False);
        Assert.That(mine.Overlaps(other.Catalog.Packs.SelectMany(p => p.Entries).Select(e => e.Hash)), Is.False);
        Assert.That(mine.Overlaps(same.Catalog.Packs.SelectMany(p => p.Entries).Select(e => e.Hash)), "the same key gives the same names, in each store and tier");
    }

    [Test]
    public void NoTwoObjectsHaveTheSameSaltNumberAndName()
    {
        HashSet<(string, string)> seen = [];
        foreach (RecordingFiles files in new[] { Made(s_key), Made(s_key) }) // the same content twice under one key
        {
            using SnapshotStore store = SnapshotStore.Open(files, With(s_key));
            foreach (PackIndex pack in store.Catalog.Packs)
                foreach (IndexEntry entry in pack.Entries)
                {
                    byte[] head = new byte[32];
                    pack.Pack!.ReadAt(entry.OffsetBytes, head);
                    Assert.That(seen.Add((Convert.ToHexString(head), "")), "salt and number alone differ already");
                }
        }
        Assert.That(seen, Has.Count.GreaterThan(8));
    }

    [Test]
    public void WithoutTheRightKeyNothingIsReadAndTheErrorSaysWhich()
    {
        RecordingFiles files = Made(s_key);
        foreach ((StoreKey? key, string says) in new[] { (null, "none is given"), (s_other, $"the one that is given is {s_other}") })
        {
            StoreException e = Assert.Throws<StoreException>(() => SnapshotStore.Open(files, With(key)))!;
            Assert.That(e.Kind, Is.EqualTo(StoreErrorKind.WrongKey));
            Assert.That(e.Message, Does.Contain($"{s_key}").And.Contain(says));
            Assert.That(e.Message, Does.Not.Contain(Convert.ToHexStringLower(s_key.Secret)));
        }
        StoreException plain = Assert.Throws<StoreException>(() => SnapshotStore.Open(Made(null), With(s_key)))!;
        Assert.That((plain.Kind, plain.Message), Is.EqualTo((StoreErrorKind.WrongKey, plain.Message)));
        Assert.That(plain.Message, Does.Contain("is not encrypted"));
        Assert.That($"{s_key}", Has.Length.EqualTo(16), "the id, not the key");
    }

    [Test]
    public void AKeyComesFromAPrivateFileOrAsDigitsAndNeverShowsInMessages()
    {
        string file = Path.Combine(Dir, "key"), digits = Convert.ToHexStringLower(s_key.Secret);
        File.WriteAllText(file, digits + "\n");
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        Assert.That(Assert.Throws<StoreException>(() => StoreKeySource.FromFile(file))!.Message, Does.Contain("others may read it"));
        File.SetUnixFileMode(file, UnixFileMode.UserRead);
        Assert.That(StoreKeySource.FromFile(file).Id, Is.EqualTo(s_key.Id));
        File.Delete(file);
        File.WriteAllBytes(file, s_key.Secret.ToArray());
        File.SetUnixFileMode(file, UnixFileMode.UserRead);
        Assert.That(StoreKeySource.FromFile(file).Id, Is.EqualTo(s_key.Id));
        foreach (string bad in new[] { "", digits[1..], digits + "0", digits[..^1] + "x" })
        {
            StoreException e = Assert.Throws<StoreException>(() => StoreKeySource.Parse(Encoding.ASCII.GetBytes(bad), "TEST"))!;
            Assert.That(e.Kind, Is.EqualTo(StoreErrorKind.WrongKey));
            if (bad.Length > 0) Assert.That(e.Message, Does.Not.Contain(bad[..8]));
        }
        Assert.That(KindOf(() => StoreKeySource.FromFile(Path.Combine(Dir, "none"))), Is.EqualTo(StoreErrorKind.WrongKey));
    }

    [Test]
    public void EveryAlteredByteIsNoticed()
    {
        RecordingFiles good = Made(s_key);
        foreach ((StoreDirectory directory, string name) in good.Names)
        {
            byte[] bytes = good.Get(directory, name);
            int step = Math.Max(1, bytes.Length / 40);
            for (int at = 0; at < bytes.Length; at += step)
            {
                RecordingFiles files = good.Clone();
                byte[] damaged = [.. bytes];
                damaged[at] ^= 0x10;
                files.Set(directory, name, damaged);
                bool seen;
                try
                {
                    using SnapshotStore store = SnapshotStore.Open(files, With(s_key));
                    seen = store.Verify().Problems.Count > 0;
                    foreach (CheckpointInfo info in store.ListCheckpoints().Where(c => c.Problem is null))
                        try { CheckContent(store, info); }
                        catch (StoreException) { seen = true; }
                }
                catch (StoreException) { seen = true; }
                // Padding and what is only read by repair may be anything.
                if (directory != StoreDirectory.Packs || name.EndsWith(".idx", StringComparison.Ordinal)) Assert.That(seen, $"{directory}/{name}, byte {at}");
            }
        }
    }

    [Test]
    public void AFileOfAnotherKeyOrAnotherNameIsForeign()
    {
        RecordingFiles files = Made(s_key);
        // A job manifest under another's name, with everything that is not encrypted made to fit.
        files.Set(StoreDirectory.Checkpoints, "job.1", files.Get(StoreDirectory.Checkpoints, "job.2"));
        using (SnapshotStore store = SnapshotStore.Open(files, With(s_key)))
            Assert.That(Assert.Throws<StoreException>(() => store.Inspect("job.1"))!.Message, Does.Contain("encrypted under this name"));
        RecordingFiles mixed = Made(s_key), foreign = Made(s_other), plain = Made(null);
        foreach (RecordingFiles from in new[] { foreign, plain })
            foreach ((StoreDirectory directory, string name) in from.Names.Where(n => n.Directory is StoreDirectory.Packs)) mixed.Set(directory, name, from.Get(directory, name));
        using SnapshotStore other = SnapshotStore.Open(mixed, With(s_key));
        VerifyReport report = other.Verify();
        Assert.That(report.Problems.Select(p => (p.Kind, p.CheckpointId)).Distinct(), Is.EqualTo(new[] { (StoreErrorKind.Damaged, "") }), "named, and no checkpoint is the worse for it");
        Assert.That(report.Problems.Select(p => p.Message), Has.Some.Contains($"encrypted with key {s_other}").And.Some.Contains("without a key"));
        Assert.That(KindOf(() => other.Gc()), Is.EqualTo(StoreErrorKind.Damaged));
        Assert.That(other.Gc(new GcOptions { DropDamaged = true }).RemovedPacks, Is.GreaterThan(0));
        Assert.That(other.Verify().Problems, Is.Empty);
    }

    [Test]
    public void RepairFindsEncryptedObjectsAgain()
    {
        RecordingFiles files = Made(s_key);
        foreach ((StoreDirectory directory, string name) in files.Names.Where(n => n.Name.EndsWith(".idx", StringComparison.Ordinal)))
            files.Set(directory, name, [1, 2, 3]);
        using SnapshotStore store = SnapshotStore.Open(files, With(s_key));
        Assert.That(store.Verify().Problems, Is.Not.Empty);
        Assert.That(store.Repair().LostCheckpoints, Is.Empty);
        Assert.That(store.Verify().Problems, Is.Empty);
    }

    [Test]
    public void ASetOfNodesCarriesEncryptedBytes()
    {
        RecordingFiles[] nodes = [.. Enumerable.Range(0, 4).Select(_ => new RecordingFiles())];
        using (SnapshotStore local = SnapshotStore.Open(Made(s_key), With(s_key)))
        using (SnapshotStore set = SnapshotStore.Open(new ErasureStoreFiles([.. nodes], ["a", "b", "c", "d"], 2), With(s_key)))
            set.Fill(local.FindCheckpoint("job.2"), [local]);
        foreach (RecordingFiles node in nodes)
            foreach ((StoreDirectory directory, string name) in node.Names) Assert.That(Contains(node.Get(directory, name), "secret"), Is.False);
        nodes[0] = new RecordingFiles();
        nodes[3] = new RecordingFiles();
        using SnapshotStore left = SnapshotStore.Open(new ErasureStoreFiles([.. nodes], ["a", "b", "c", "d"], 2), With(s_key)), again = SnapshotStore.Open(new RecordingFiles(), With(s_key));
        again.Fill(left.FindCheckpoint("job.2"), [left]);
        Assert.That(again.Verify().Problems, Is.Empty);
    }

    [Test]
    public void PlainStoresAreOfVersionOneAndReadersOfVersionOneRefuseKeyedOnesByName()
    {
        foreach ((RecordingFiles files, uint version) in new[] { (Made(null), 1U), (Made(s_key), 2U), (Made(s_key, true), 2U) })
        {
            // The rule of version 1: the first line is "trecr-store VERSION HASH", and the version stands at offset 8 of every file.
            string[] words = Encoding.ASCII.GetString(files.Get(StoreDirectory.Root, "format")).Split('\n')[0].Split(' ');
            Assert.That((words[0], words[1], words[2]), Is.EqualTo(("trecr-store", $"{version}", XxHash.XxHash128.HashToUInt128(Encoding.ASCII.GetBytes($"trecr-store {version}")).ToString("x32"))));
            foreach ((StoreDirectory directory, string name) in files.Names.Where(n => n.Directory != StoreDirectory.Root))
                Assert.That(BitConverter.ToUInt32(files.Get(directory, name), 8), Is.EqualTo(version), name);
        }
    }

    private static void CheckContent(SnapshotStore store, CheckpointInfo info)
    {
        using StoreSnapshotReader reader = store.OpenSnapshot(ContentHash.FromBytes(info.Manifest!.Ranks[0].Snapshots[0].ManifestHash.Span));
        byte[] frame = new byte[Frame];
        reader.OpenPart("memory").ReadFrame(0, frame);
        Assert.That(frame.SequenceEqual(Secret(1)));
    }

    private static bool Contains(byte[] bytes, string text) => bytes.AsSpan().IndexOf(Encoding.ASCII.GetBytes(text)) >= 0;
}
