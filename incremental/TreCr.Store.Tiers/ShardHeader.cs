using System.Buffers.Binary;
using TreCr.Images;
using TreCr.XxHash;

namespace TreCr.Store.Tiers;

/// <summary>
/// The first 64 bytes of a shard, and how a file is cut (docs/format.md): stripe s of k units goes to k + m shards, each with its hash in front. The last stripe's units are as short as they can be.
/// </summary>
/// <param name="FileId">chance, made with the file: shards of one file have the same</param><param name="LengthBytes">of the file</param>
internal readonly record struct ShardHeader(int Data, int Parity, int Number, UInt128 FileId, long LengthBytes)
{
    internal const int HeaderBytes = 64, HashBytes = 16, UnitBytes = 64 << 10;

    private static ReadOnlySpan<byte> Magic => "TreCrShd"u8;

    internal long Stripes => (LengthBytes + StripeBytes - 1) / StripeBytes;

    internal long StripeBytes => (long)Data * UnitBytes;

    /// <summary>Length of the units of a stripe.</summary>
    internal int UnitBytesOf(long stripe) => TailUnitBytes(Math.Min(StripeBytes, LengthBytes - stripe * StripeBytes), Data);

    internal static int TailUnitBytes(long bytes, int data) => (int)(((bytes + data - 1) / data + 7) & ~7L);

    internal static long OffsetOf(long stripe) => HeaderBytes + stripe * (HashBytes + UnitBytes);

    internal void Write(Span<byte> into)
    {
        into[..HeaderBytes].Clear();
        Magic.CopyTo(into);
        BinaryPrimitives.WriteUInt32LittleEndian(into[8..], FormatVersion.Current);
        (into[12], into[13], into[14]) = ((byte)Data, (byte)Parity, (byte)Number);
        BinaryPrimitives.WriteUInt128BigEndian(into[16..], FileId);
        BinaryPrimitives.WriteInt64LittleEndian(into[32..], LengthBytes);
        BinaryPrimitives.WriteInt32LittleEndian(into[40..], UnitBytes);
        XxHash128.Hash(into[..48], into[48..]);
    }

    /// <returns>false: not the header of a shard of this set, or not whole</returns>
    /// <exception cref="StoreException">NewerFormat</exception>
    internal static bool TryRead(IStoreFile file, int data, int parity, int number, string path, out ShardHeader header)
    {
        header = default;
        Span<byte> bytes = stackalloc byte[HeaderBytes];
        if (file.ReadAt(0, bytes) != HeaderBytes || !bytes[..8].SequenceEqual(Magic) || BinaryPrimitives.ReadUInt128BigEndian(bytes[48..]) != XxHash128.HashToUInt128(bytes[..48])) return false;
        uint version = BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]);
        if (version > FormatVersion.Current) throw new StoreException(StoreErrorKind.NewerFormat, $"{path}: format version {version}; this build reads up to {FormatVersion.Current}: use a newer trecr");
        header = new ShardHeader(bytes[12], bytes[13], bytes[14], BinaryPrimitives.ReadUInt128BigEndian(bytes[16..]), BinaryPrimitives.ReadInt64LittleEndian(bytes[32..]));
        return header.Data == data && header.Parity == parity && header.Number == number && header.LengthBytes >= 0 && BinaryPrimitives.ReadInt32LittleEndian(bytes[40..]) == UnitBytes;
    }
}
