using System.Buffers.Binary;
using Google.Protobuf;

namespace TreCr.Store;

/// <summary>Name of an object in a store: XXH3-128 of its bytes.</summary>
/// <param name="Value">its big-endian bytes are the canonical form</param>
public readonly record struct ContentHash(UInt128 Value)
{
    /// <param name="bytes">[16], canonical form</param>
    /// <exception cref="StoreException">Damaged: another length.</exception>
    public static ContentHash FromBytes(ReadOnlySpan<byte> bytes)
        => bytes.Length == 16 ? new(BinaryPrimitives.ReadUInt128BigEndian(bytes)) : throw new StoreException(StoreErrorKind.Damaged, $"a hash of {bytes.Length} bytes, not 16");

    /// <summary>16 bytes, canonical form: what stands in manifests.</summary>
    public ByteString ToByteString()
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, Value);
        return ByteString.CopyFrom(bytes);
    }

    /// <summary>32 hexadecimal digits.</summary>
    public override string ToString() => Value.ToString("x32", System.Globalization.CultureInfo.InvariantCulture);
}
