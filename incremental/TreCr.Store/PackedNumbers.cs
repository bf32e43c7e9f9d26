using System.Numerics;
using System.Runtime.Intrinsics;
using Google.Protobuf;

namespace TreCr.Store;

/// <summary>
/// Protobuf's packed form of repeated numbers (a varint each, one after the other), which manifests hold as a field of bytes: it is the same on the wire, and a reader makes an array of it at once. A generated list takes five
/// times as long, for which a program that is restored lazily would wait. Source: protobuf.dev, "Encoding": packed repeated fields, base 128 varints.
/// </summary>
internal static class PackedNumbers
{
    private const int MostBytes = 10;

    internal static ByteString Pack(ReadOnlySpan<ulong> numbers)
    {
        byte[] bytes = new byte[numbers.Length];
        int at = 0;
        foreach (ulong number in numbers)
        {
            if (bytes.Length - at < MostBytes) Array.Resize(ref bytes, 2 * bytes.Length + MostBytes);
            ulong left = number;
            for (; left >= 0x80; left >>= 7) bytes[at++] = (byte)(left | 0x80);
            bytes[at++] = (byte)left;
        }
        return UnsafeByteOperations.UnsafeWrap(bytes.AsMemory(0, at));
    }

    /// <exception cref="StoreException">Damaged: the last one is cut off, or one is longer than 64 bits</exception>
    internal static ulong[] Unpack(ByteString packed, string what)
    {
        ReadOnlySpan<byte> bytes = packed.Span;
        ulong[] numbers = new ulong[Count(bytes)];
        int at = 0;
        for (int i = 0; i < numbers.Length; i++) numbers[i] = Next(bytes, ref at, what);
        return at == bytes.Length ? numbers : throw Impossible(what);
    }

    /// <summary>The same for numbers below 2³².</summary>
    /// <exception cref="StoreException">Damaged: as <see cref="Unpack"/>, or one is larger</exception>
    internal static uint[] Unpack32(ByteString packed, string what)
    {
        ReadOnlySpan<byte> bytes = packed.Span;
        uint[] numbers = new uint[Count(bytes)];
        int at = 0;
        for (int i = 0; i < numbers.Length; i++)
        {
            ulong number = Next(bytes, ref at, what);
            if (number > uint.MaxValue) throw Impossible(what);
            numbers[i] = (uint)number;
        }
        return at == bytes.Length ? numbers : throw Impossible(what);
    }

    private static int Count(ReadOnlySpan<byte> bytes)
    {
        int count = bytes.Length;
        for (; bytes.Length >= Vector128<byte>.Count; bytes = bytes[Vector128<byte>.Count..]) count -= BitOperations.PopCount(Vector128.Create(bytes).ExtractMostSignificantBits());
        foreach (byte b in bytes) count -= b >> 7;
        return count;
    }

    private static ulong Next(ReadOnlySpan<byte> bytes, ref int at, string what)
    {
        ulong number = bytes[at++];
        if (number < 0x80) return number;
        number &= 0x7f;
        for (int shift = 7; ; shift += 7)
        {
            byte next = bytes[at++];
            if (shift == 63 && next > 1) throw Impossible(what);
            number |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80) return number;
        }
    }

    private static StoreException Impossible(string what) => new(StoreErrorKind.Damaged, $"{what}: a list of numbers is not one");
}
