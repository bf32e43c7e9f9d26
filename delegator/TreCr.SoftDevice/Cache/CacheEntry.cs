using System.Buffers.Binary;
using TreCr.XxHash;

namespace TreCr.SoftDevice.Cache;

/// <summary>What is kept of one variant of a kernel's code.</summary>
/// <param name="Key">of everything that it depends on, addresses excepted</param>
/// <param name="Addresses">what its code and facts hold as numbers, by name: it is good where they are the same</param>
/// <param name="Facts">what its maker knows of it</param>
/// <param name="Methods">methods of the image; 0: there is none</param>
sealed record CacheEntry(UInt128 Key, KeyValuePair<string, ulong>[] Addresses, byte[] Facts, int Methods)
{
    public long ImageBytes { get; init; }
    public UInt128 ImageHash { get; init; }

    const uint Magic = 0x4b435254; // "TRCK"
    const int HashBytes = 16;

    public static string NameOf(UInt128 key) => key.ToString("x32", System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>A file: the hash of all that follows, then this.</summary>
    /// <param name="more">what comes behind it</param>
    public byte[] Save(Action<BinaryWriter>? more = null)
    {
        MemoryStream bytes = new();
        BinaryWriter w = new(bytes);
        w.Write(UInt128.Zero.ToBytes());
        w.Write(Magic);
        w.Write(Key.ToBytes());
        w.Write(Addresses.Length);
        foreach ((string name, ulong at) in Addresses)
        {
            w.Write(name);
            w.Write(at);
        }
        w.Write(Facts.Length);
        w.Write(Facts);
        w.Write(Methods);
        w.Write(ImageBytes);
        w.Write(ImageHash.ToBytes());
        more?.Invoke(w);
        byte[] file = bytes.ToArray();
        BinaryPrimitives.WriteUInt128BigEndian(file, XxHash128.HashToUInt128(file.AsSpan(HashBytes)));
        return file;
    }

    /// <summary>Reads a file.</summary>
    /// <param name="reader">stands behind it</param>
    /// <returns>null: damaged, or of something else</returns>
    public static CacheEntry? Read(byte[] file, UInt128 key, out BinaryReader reader)
    {
        reader = new(new MemoryStream(file));
        if (file.Length < HashBytes + 4 || BinaryPrimitives.ReadUInt128BigEndian(file) != XxHash128.HashToUInt128(file.AsSpan(HashBytes))) return null;
        reader.BaseStream.Position = HashBytes;
        // Whole, since its hash is right; written by another build perhaps.
        if (reader.ReadUInt32() != Magic || reader.ReadKey() != key) return null;
        var addresses = new KeyValuePair<string, ulong>[reader.ReadInt32()];
        for (int n = 0; n < addresses.Length; n++) addresses[n] = new(reader.ReadString(), reader.ReadUInt64());
        byte[] facts = reader.ReadBytes(reader.ReadInt32());
        int methods = reader.ReadInt32();
        return new(key, addresses, facts, methods) { ImageBytes = reader.ReadInt64(), ImageHash = reader.ReadKey() };
    }
}

/// <summary>Hashes in files, big-endian.</summary>
static class HashBytes
{
    public static byte[] ToBytes(this UInt128 hash)
    {
        byte[] bytes = new byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, hash);
        return bytes;
    }

    public static UInt128 ReadKey(this BinaryReader reader)
    {
        byte[] bytes = reader.ReadBytes(16);
        return bytes.Length == 16 ? BinaryPrimitives.ReadUInt128BigEndian(bytes) : throw new EndOfStreamException();
    }
}
