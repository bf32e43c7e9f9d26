namespace TreCr.Store.Tests;

/// <summary>How manifests and indexes are read: numbers in protobuf's packed form, objects by guessing where a hash must lie.</summary>
public sealed class LookupTests
{
    [Test]
    public void AnObjectIsFound_HoweverTheHashesLie()
    {
        Random random = new(7);
        UInt128 Any(int kind) => kind switch
        {
            0 => new UInt128((ulong)random.NextInt64(long.MinValue, long.MaxValue), (ulong)random.NextInt64()), // as hashes are
            1 => new UInt128(42, (ulong)random.Next(100_000)), // guesses do not help: the first half is the same
            2 => UInt128.MaxValue - (UInt128)random.Next(100_000),
            3 => (UInt128)1 << random.Next(128), // each guess is far off
            _ => (UInt128)random.Next(100_000),
        };
        for (int round = 0; round < 300; round++)
        {
            int kind = round % 5;
            IndexEntry[] entries = [.. Enumerable.Range(0, random.Next(round < 5 ? 2 : 3000)).Select(_ => Any(kind)).Distinct().Order().Select(h => new IndexEntry(h, 0, 0, 0))];
            for (int i = 0; i < entries.Length; i++) Assert.That(PackIndex.Find(entries, entries[i].Hash), Is.EqualTo(i));
            foreach (UInt128 other in Enumerable.Range(0, 100).Select(i => Any(i % 5)).Where(h => !Array.Exists(entries, e => e.Hash == h)))
                Assert.That(PackIndex.Find(entries, other), Is.Negative);
        }
    }

    [Test]
    public void PackedNumbersAreWhatProtobufWrites()
    {
        Random random = new(8);
        ulong[] numbers = [0, 1, 127, 128, 16383, 16384, uint.MaxValue, ulong.MaxValue >> 1, ulong.MaxValue, .. Enumerable.Range(0, 2000).Select(_ => (ulong)random.NextInt64() >> random.Next(64))];
        using MemoryStream stream = new();
        using (Google.Protobuf.CodedOutputStream output = new(stream, leaveOpen: true))
            foreach (ulong number in numbers) output.WriteUInt64(number);
        Assert.That(PackedNumbers.Pack(numbers).ToByteArray(), Is.EqualTo(stream.ToArray()));
        Assert.That(PackedNumbers.Unpack(PackedNumbers.Pack(numbers), ""), Is.EqualTo(numbers));
        uint[] small = [.. numbers.Select(n => (uint)n)];
        for (int count = 0; count < 100; count++) Assert.That(PackedNumbers.Unpack32(PackedNumbers.Pack([.. small[..count].Select(n => (ulong)n)]), ""), Is.EqualTo(small[..count]));
        Assert.That(PackedNumbers.Unpack(Google.Protobuf.ByteString.Empty, ""), Is.Empty);
    }
}
