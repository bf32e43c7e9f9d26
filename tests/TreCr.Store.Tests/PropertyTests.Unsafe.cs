using TreCr.Store.Tiers;
using TreCr.XxHash;

namespace TreCr.Store.Tests;

/// <summary>Frame index and erasure codes under random content.</summary>
public sealed unsafe class PropertyTests : StoreTestBase
{
    [Test]
    public void AnIndexFindsWhatIsInItAndNothingElse() => Properties.Hold<(int Seed, int[] Numbers)>(200, input =>
    {
        Random random = new(input.Seed);
        // Hashes that lie close together, so that neighbours and both ends are asked for.
        IndexEntry[] entries = [.. input.Numbers.Select(n => (uint)n).Distinct().Order().Select(n => Entry(n, random))];
        RecordingFiles files = new();
        string id = Format.NewSessionId(DateTimeOffset.UnixEpoch.AddMilliseconds(random.Next()));
        long length = entries.Select(e => e.OffsetBytes + e.StoredBytes).DefaultIfEmpty(Format.HeaderBytes).Max();
        byte[] pack = new byte[length];
        Format.WriteHeader(pack, Format.PackMagic, id, StoreSeal.None);
        files.Set(StoreDirectory.Packs, id + ".pack", pack);
        byte[] index = PackIndex.Serialize(id, entries, length, StoreSeal.None);
        files.Set(StoreDirectory.Packs, id + ".idx", index);
        using (PackIndex read = PackIndex.Load(files, id, StoreSeal.None))
        {
            Assert.That(read.Problem, Is.Null);
            Assert.That(read.Entries, Is.EqualTo(entries));
            HashSet<UInt128> known = [.. entries.Select(e => e.Hash)];
            foreach (UInt128 hash in known.SelectMany(h => (UInt128[])[h - 1, h, h + 1]).Append(UInt128.MaxValue))
            {
                int at = read.Find(hash);
                Assert.That(at >= 0, Is.EqualTo(known.Contains(hash)));
                if (at >= 0) Assert.That(read.Entries[at].Hash, Is.EqualTo(hash));
            }
        }
        using (StoreCatalog catalog = new(files, StoreSeal.None))
        {
            catalog.Refresh();
            Assert.That(entries.All(e => catalog.TryFind(e.Hash, out _, out IndexEntry found) && found == e));
        }
        byte[] damaged = [.. index];
        int byteAt = random.Next(damaged.Length);
        damaged[byteAt] ^= (byte)random.Next(1, 256);
        files.Set(StoreDirectory.Packs, id + ".idx", random.Next(3) == 0 ? index[..byteAt] : damaged);
        using PackIndex bad = PackIndex.Load(files, id, StoreSeal.None);
        Assert.That(bad.Problem?.Message, Does.Contain(id + ".idx"));
        Assert.That(bad.Entries, Is.Empty);
    });

    [Test]
    public void AnyLossThatACodeCanBearGivesTheSameBytes() => Properties.Hold<(int Seed, byte[] Bytes)>(200, input =>
    {
        Random random = new(input.Seed);
        int k = random.Next(1, 9), m = random.Next(1, 6), length = input.Bytes.Length;
        byte[][] units = [.. Enumerable.Range(0, k + m).Select(i => { byte[] b = new byte[length]; if (i < k) { input.Bytes.CopyTo(b, 0); random.NextBytes(b.AsSpan(length / 2)); } return b; })];
        Apply((at, n) => new ErasureCode(k, m).Encode(at[..k], at[k..], n), units);
        int[] order = [.. Enumerable.Range(0, k + m)];
        random.Shuffle(order);
        int[] lost = order[..random.Next(1, m + 1)], there = order[m..];
        byte[][] again = [.. lost.Select(_ => new byte[length])];
        Apply((at, n) => new ErasureCode(k, m).Rebuild(there, lost).Apply(at[..k], at[k..], n), [.. there.Select(i => units[i]), .. again]);
        for (int i = 0; i < lost.Length; i++) Assert.That(again[i].SequenceEqual(units[lost[i]]), $"{k}+{m}, lost {string.Join(',', lost)}");
    });

    [Test]
    public void AStoreOnASetIsTheSameAfterAnyLossItCanBear() => Properties.Hold<(int Seed, byte[] Contents)>(30, input =>
    {
        Random random = new(input.Seed);
        int parity = random.Next(1, 4), data = random.Next(2, 6);
        RecordingFiles[] nodes = [.. Enumerable.Range(0, data + parity).Select(_ => new RecordingFiles())];
        (long, byte[])[] frames = [.. input.Contents.Distinct().Select(b => ((long)b, b % 2 == 0 ? Soft(b) : Random(b)))];
        StoreOptions small = new() { MemoryLimitBytes = 4 << 20, Workers = 1 };
        using (SnapshotStore store = SnapshotStore.Open(Set(nodes), small)) Checkpoint(store, "job", 1, frames);
        foreach (int lost in Enumerable.Range(0, nodes.Length).OrderBy(_ => random.Next()).Take(parity)) nodes[lost] = random.Next(2) == 0 ? new RecordingFiles() : Damaged(nodes[lost], random);
        using SnapshotStore again = SnapshotStore.Open(Set(nodes), small);
        Assert.That(again.Verify().Problems, Is.Empty);
        Assert.That(again.Verify().Frames, Is.EqualTo(frames.Length));

        ErasureStoreFiles Set(RecordingFiles[] of) => new([.. of], [.. of.Select(_ => "node")], parity);
    });

    private static RecordingFiles Damaged(RecordingFiles node, Random random)
    {
        foreach ((StoreDirectory directory, string name) in node.Names)
        {
            byte[] bytes = node.Get(directory, name);
            if (random.Next(2) == 0) bytes = bytes[..random.Next(bytes.Length)];
            else bytes[random.Next(bytes.Length)] ^= 1;
            node.Set(directory, name, bytes);
        }
        return node;
    }

    private static IndexEntry Entry(UInt128 hash, Random random)
    {
        int stored = random.Next(1, 2000);
        return new IndexEntry(hash, Format.HeaderBytes + Format.RecordHeaderBytes + 8 * random.Next(10_000), stored, random.Next(stored, 70_000));
    }

    /// <summary>Gives pinned units to what works on pointers.</summary>
    private static void Apply(Action<nint[], int> work, byte[][] units)
    {
        System.Runtime.InteropServices.GCHandle[] pins = [.. units.Select(u => System.Runtime.InteropServices.GCHandle.Alloc(u, System.Runtime.InteropServices.GCHandleType.Pinned))];
        try { work([.. pins.Select(p => p.AddrOfPinnedObject())], units[0].Length); }
        finally { foreach (var pin in pins) pin.Free(); }
    }
}
