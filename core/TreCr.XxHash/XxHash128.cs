using System.Buffers.Binary;
using System.Runtime.InteropServices;

// Arguments are blittable everywhere: no marshalling stubs.
[assembly: System.Runtime.CompilerServices.DisableRuntimeMarshalling]

namespace TreCr.XxHash;

/// <summary>
/// XXH3-128 through libxxhash.so.0 (Debian package libxxhash0). Static members shaped like System.IO.Hashing.XxHash128, which could
/// take its place. Detects damage; it is not a cryptographic hash.
/// </summary>
public static unsafe partial class XxHash128
{
    /// <summary>Bytes of a hash in canonical form.</summary>
    public const int HashLengthBytes = 16;

    /// <summary>The hash as a number; its big-endian bytes are the canonical form.</summary>
    /// <remarks>Any thread; does not allocate.</remarks>
    public static UInt128 HashToUInt128(ReadOnlySpan<byte> source)
    {
        fixed (byte* p = source)
        {
            Hash128 hash = XXH3_128bits(p, (nuint)source.Length);
            return new UInt128(hash.High, hash.Low);
        }
    }

    /// <summary>Writes the canonical (big-endian) hash.</summary>
    /// <param name="destination">[16 or more]</param>
    /// <returns>16</returns>
    public static int Hash(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt128BigEndian(destination, HashToUInt128(source));
        return HashLengthBytes;
    }

    [LibraryImport("libxxhash.so.0")]
    private static partial Hash128 XXH3_128bits(byte* input, nuint length);

    /// <summary>XXH128_hash_t. Source: xxhash.h 0.8.</summary>
    private readonly struct Hash128(ulong low, ulong high)
    {
        public readonly ulong Low = low, High = high;
    }
}
