using System.Buffers.Binary;
using System.Text;
using TreCr.Images;
using TreCr.XxHash;

namespace TreCr.Store;

/// <summary>Constants and headers of the on-disk format. All numbers are little-endian, hashes big-endian (docs/format.md).</summary>
internal static class Format
{
    internal const int FrameSizeBytes = ISnapshotWriter.FrameSizeBytes;
    internal const int HashBytes = XxHash128.HashLengthBytes;

    /// <summary>Unit of patches: frames differ from their base in whole pages.</summary>
    internal const int PageBytes = 4096;

    internal const int PagesOfFrame = FrameSizeBytes / PageBytes;

    /// <summary>Length of the headers of packs and indexes; the last 16 bytes are the hash of those before.</summary>
    internal const int HeaderBytes = 64;

    /// <summary>Before each object in a pack: hash, stored length, plain length.</summary>
    internal const int RecordHeaderBytes = 24;

    /// <summary>Length of an index entry: hash, offset of the payload, stored length, plain length.</summary>
    internal const int IndexEntryBytes = 32;

    /// <summary>Limit of one object (a snapshot manifest of 4 TiB of frames).</summary>
    internal const int MaxObjectBytes = 1 << 30;

    internal const int SessionIdLength = 24;
    internal const string FormatFile = "format", PackSuffix = ".pack", IndexSuffix = ".idx", TemporaryPrefix = ".tmp-";

    internal static ReadOnlySpan<byte> PackMagic => "TreCrPak"u8;
    internal static ReadOnlySpan<byte> IndexMagic => "TreCrIdx"u8;
    internal static ReadOnlySpan<byte> JobMagic => "TreCrJob"u8;
    internal static ReadOnlySpan<byte> ExportMagic => "TreCrExp"u8;
    internal static ReadOnlySpan<byte> SessionMagic => "TreCrSes"u8;

    /// <summary>Fills a header: magic, version, whether encrypted, session id, id of the key, hash.</summary>
    internal static void WriteHeader(Span<byte> into, ReadOnlySpan<byte> magic, string sessionId, StoreSeal seal)
    {
        into[..HeaderBytes].Clear();
        magic.CopyTo(into);
        BinaryPrimitives.WriteUInt32LittleEndian(into[8..], seal.Version);
        BinaryPrimitives.WriteUInt32LittleEndian(into[12..], seal.Encrypts ? 1U : 0);
        Encoding.ASCII.GetBytes(sessionId, into.Slice(16, SessionIdLength));
        BinaryPrimitives.WriteUInt64BigEndian(into[40..], seal.KeyId);
        XxHash128.Hash(into[..48], into[48..]);
    }

    /// <summary>Checks a header; throws what is wrong with <paramref name="path"/>.</summary>
    /// <param name="otherKey">what it is called when it is of a store with another key, or none</param>
    /// <exception cref="StoreException">Damaged, NewerFormat.</exception>
    internal static void CheckHeader(ReadOnlySpan<byte> header, ReadOnlySpan<byte> magic, string sessionId, string path, StoreSeal seal, StoreErrorKind otherKey = StoreErrorKind.Damaged)
    {
        if (header.Length < HeaderBytes) throw new StoreException(StoreErrorKind.Damaged, $"{path}: cut off within its header");
        if (!header[..8].SequenceEqual(magic)) throw new StoreException(StoreErrorKind.Damaged, $"{path}: does not begin as such a file does");
        if (BinaryPrimitives.ReadUInt128BigEndian(header[48..]) != XxHash128.HashToUInt128(header[..48]))
            throw new StoreException(StoreErrorKind.Damaged, $"{path}: header damaged");
        CheckVersion(BinaryPrimitives.ReadUInt32LittleEndian(header[8..]), path, FormatVersion.NewestStore);
        ulong key = BinaryPrimitives.ReadUInt64BigEndian(header[40..]);
        bool encrypted = BinaryPrimitives.ReadUInt32LittleEndian(header[12..]) != 0;
        if (BinaryPrimitives.ReadUInt32LittleEndian(header[8..]) != seal.Version || key != seal.KeyId || encrypted != seal.Encrypts)
            throw new StoreException(otherKey, $"{path}: is {Describe(key, encrypted)}, and the store is {Describe(seal.KeyId, seal.Encrypts)}");
        if (Encoding.ASCII.GetString(header.Slice(16, SessionIdLength)) != sessionId)
            throw new StoreException(StoreErrorKind.Damaged, $"{path}: belongs to another session");
    }

    /// <exception cref="StoreException">NewerFormat; Damaged: 0 or older than any.</exception>
    internal static void CheckVersion(uint version, string path, uint newest = FormatVersion.Newest)
    {
        if (version > newest) throw new StoreException(StoreErrorKind.NewerFormat, $"{path}: format version {version}; this build reads up to {newest}: use a newer trecr");
        if (version < FormatVersion.Oldest) throw new StoreException(StoreErrorKind.Damaged, $"{path}: format version {version} never existed");
    }

    private static string Describe(ulong key, bool encrypted) => key == 0 ? "without a key" : $"{(encrypted ? "encrypted" : "named")} with key {key:x16}";

    /// <summary>A new session id: 12 hexadecimal digits of Unix milliseconds, 12 of chance.</summary>
    internal static string NewSessionId(DateTimeOffset now)
        => $"{now.ToUnixTimeMilliseconds():x12}{System.Security.Cryptography.RandomNumberGenerator.GetHexString(12, lowercase: true)}";

    /// <returns>true when the text can be a session id</returns>
    internal static bool IsSessionId(ReadOnlySpan<char> text) => text.Length == SessionIdLength && !text.ContainsAnyExcept("0123456789abcdef");

    /// <summary>When a session began.</summary>
    internal static DateTimeOffset TimeOf(string sessionId)
        => DateTimeOffset.FromUnixTimeMilliseconds(Math.Min(Convert.ToInt64(sessionId[..12], 16), 253402300799999));
}
