using TreCr.Store.Tiers;

namespace TreCr.Store.Tests;

/// <summary>The code against a plain implementation of the field, bit by bit, and against every loss.</summary>
public sealed unsafe class ErasureCodeTests
{
    [Test]
    public void ParityIsWhatTheFormatSays([Values] bool narrow)
    {
        Random random = new(71);
        for (int round = 0; round < 40; round++)
        {
            int k = random.Next(1, 12), m = random.Next(1, 8), length = random.Next(0, 300);
            Units units = new(k + m, length, random);
            if (narrow) new ErasureCode(k, m).EncodeNarrow(units.At[..k], units.At[k..], length);
            else new ErasureCode(k, m).Encode(units.At[..k], units.At[k..], length);
            for (int i = 0; i < m; i++)
            {
                // docs/format.md: row i, column j is (k XOR j) / ((k + i) XOR j).
                int[] row = [.. Enumerable.Range(0, k).Select(j => Divide(k ^ j, (k + i) ^ j))];
                byte[] expected = new byte[length];
                for (int x = 0; x < length; x++)
                    for (int j = 0; j < k; j++) expected[x] ^= (byte)Multiply(row[j], units[j][x]);
                Assert.That(units[k + i].SequenceEqual(expected), $"round {round}: k {k}, m {m}, length {length}, parity {i}");
            }
        }
    }

    [TestCase(2, 1)]
    [TestCase(5, 1)]
    [TestCase(3, 2)]
    [TestCase(4, 3)]
    [TestCase(6, 4)]
    [TestCase(3, 5)]
    public void AnyLossOfAsManyAsThereAreParitiesIsComputedAgain(int k, int m)
    {
        const int length = 1000; // not a multiple of 32
        Random random = new(k * 100 + m);
        Units units = new(k + m, length, random);
        ErasureCode code = new(k, m);
        code.Encode(units.At[..k], units.At[k..], length);
        Units again = new(m, length, random);
        int patterns = 0;
        for (int lost = 0; lost < 1 << (k + m); lost++)
        {
            if (System.Numerics.BitOperations.PopCount((uint)lost) != m) continue;
            patterns++;
            int[] gone = [.. Enumerable.Range(0, k + m).Where(i => (lost >> i & 1) != 0)], there = [.. Enumerable.Range(0, k + m).Except(gone)];
            random.Shuffle(there);
            code.Rebuild(there, gone).Apply([.. there.Select(i => units.At[i])], again.At, length);
            for (int i = 0; i < m; i++) Assert.That(again[i].SequenceEqual(units[gone[i]]), $"lost {string.Join(',', gone)}");
        }
        Assert.That(patterns, Is.GreaterThan(m));
    }

    [Test]
    public void AUnitThatComesTwiceIsRefused() => Assert.That(() => new ErasureCode(3, 2).Rebuild([0, 1, 1], [2]), Throws.ArgumentException);

    /// <summary>Product in GF(2⁸), polynomial 0x11D, by shifting and adding.</summary>
    private static int Multiply(int a, int b)
    {
        int product = 0;
        for (; b != 0; b >>= 1)
        {
            if ((b & 1) != 0) product ^= a;
            a <<= 1;
            if ((a & 0x100) != 0) a ^= 0x11D;
        }
        return product;
    }

    private static int Divide(int a, int b) => Enumerable.Range(0, 256).Single(q => Multiply(q, b) == a);

    private sealed class Units(int count, int length, Random random)
    {
        private readonly byte[][] _bytes = [.. Enumerable.Range(0, count).Select(_ =>
        {
            byte[] unit = GC.AllocateArray<byte>(length + 1, pinned: true);
            random.NextBytes(unit);
            return unit;
        })];

        /// <summary>One byte behind the begin, so that nothing is aligned.</summary>
        internal nint[] At => [.. _bytes.Select(b => System.Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(b, 0) + 1)];

        internal ReadOnlySpan<byte> this[int i] => _bytes[i].AsSpan(1);
    }
}
