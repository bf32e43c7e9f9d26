using System.Buffers.Binary;

namespace TreCr.Store;

/// <summary>Where an object stands in a pack.</summary>
/// <param name="Hash">XXH3-128 of the plain bytes</param>
/// <param name="OffsetBytes">of the payload in the pack</param>
/// <param name="StoredBytes">length of the payload; equal to <paramref name="PlainBytes"/>: not compressed</param>
/// <param name="PlainBytes">length of the object</param>
internal readonly record struct IndexEntry(UInt128 Hash, long OffsetBytes, int StoredBytes, int PlainBytes)
{
    internal void Write(Span<byte> into)
    {
        BinaryPrimitives.WriteUInt128BigEndian(into, Hash);
        BinaryPrimitives.WriteInt64LittleEndian(into[16..], OffsetBytes);
        BinaryPrimitives.WriteInt32LittleEndian(into[24..], StoredBytes);
        BinaryPrimitives.WriteInt32LittleEndian(into[28..], PlainBytes);
    }

    internal static IndexEntry Read(ReadOnlySpan<byte> from) => new(
        BinaryPrimitives.ReadUInt128BigEndian(from),
        BinaryPrimitives.ReadInt64LittleEndian(from[16..]),
        BinaryPrimitives.ReadInt32LittleEndian(from[24..]),
        BinaryPrimitives.ReadInt32LittleEndian(from[28..]));
}
