using System.Buffers.Binary;

namespace TreCr.Calls.Cuda;

/// <summary>Images that are to be linked into one module: what cuLinkComplete gives a program, and what a fatbin wrapper with several fat binaries (nvcc -rdc=true) becomes.</summary>
/// <remarks>Layout: magic (8 bytes), pieces (4), zero (4), bytes in all (8); then for each piece its length (8) and its bytes, padded to 8. It stands in logs of snapshots: it does not change.</remarks>
public static class LinkedImage
{
    /// <summary>"TreCrLnk", little-endian.</summary>
    public const ulong Magic = 0x6b6e4c7243657254;

    public const int HeaderBytes = 24;

    /// <summary>Bytes of the whole for pieces of these lengths.</summary>
    public static long LengthOf(IEnumerable<long> pieces) => HeaderBytes + pieces.Sum(p => 8 + ((p + 7) & ~7L));

    /// <summary>Puts pieces together.</summary>
    /// <exception cref="OverflowException">more than 2 GiB</exception>
    public static byte[] Make(IReadOnlyList<byte[]> pieces)
    {
        byte[] whole = new byte[checked((int)LengthOf(pieces.Select(p => (long)p.Length)))];
        BinaryPrimitives.WriteUInt64LittleEndian(whole, Magic);
        BinaryPrimitives.WriteInt32LittleEndian(whole.AsSpan(8), pieces.Count);
        BinaryPrimitives.WriteInt64LittleEndian(whole.AsSpan(16), whole.Length);
        int at = HeaderBytes;
        foreach (byte[] piece in pieces)
        {
            BinaryPrimitives.WriteInt64LittleEndian(whole.AsSpan(at), piece.Length);
            piece.CopyTo(whole, at + 8);
            at += 8 + ((piece.Length + 7) & ~7);
        }
        return whole;
    }

    public static bool IsLinked(ReadOnlySpan<byte> image) => image.Length >= HeaderBytes && BinaryPrimitives.ReadUInt64LittleEndian(image) == Magic;

    /// <summary>Places of the pieces; null: it is damaged.</summary>
    public static List<Range>? Pieces(ReadOnlySpan<byte> image)
    {
        int count = BinaryPrimitives.ReadInt32LittleEndian(image[8..]), at = HeaderBytes;
        List<Range> found = [];
        for (int n = 0; n < count; n++)
        {
            if (image.Length - at < 8) return null;
            long length = BinaryPrimitives.ReadInt64LittleEndian(image[at..]);
            if (length < 0 || length > image.Length - at - 8) return null;
            found.Add((at + 8)..(at + 8 + (int)length));
            at += (int)Math.Min(8 + ((length + 7) & ~7L), image.Length - at);
        }
        return found;
    }
}
