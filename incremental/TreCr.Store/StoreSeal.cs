using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using TreCr.Images;
using TreCr.XxHash;

namespace TreCr.Store;

/// <summary>
/// How the objects of a store are named and whether they are encrypted (docs/format.md, "Encryption"). Plain stores are of format version 1: names are XXH3-128. Stores with a key are of version 2: names
/// are HMAC-SHA-256 cut to 128 bits, and, unless the key is for names only, each object is encrypted with AES-256-GCM.
/// </summary>
/// <remarks>
/// An object's key is HMAC-SHA-256(frames key, salt ‖ number ‖ name): salt is 24 bytes of chance of the pack that it was first written to, number counts that pack's objects, name depends on its bytes.
/// Each key encrypts one object, so that the nonce, which is zero, cannot come twice under a key. A machine that is set back to a snapshot of itself in the middle of a pack may come to the same
/// salt and number again; then the name, and with it the key, is another unless the bytes are the same (of a job manifest: the id; docs/format.md says what that leaves open).
/// </remarks>
internal sealed class StoreSeal
{
    /// <summary>Salt and number before the encrypted bytes, tag behind them.</summary>
    private const int SaltBytes = 24, NumberBytes = 8, TagBytes = 16;

    private const string Algorithms = "aes-256-gcm hmac-sha-256", NamesOnly = "names hmac-sha-256";

    /// <summary>No key.</summary>
    internal static readonly StoreSeal None = new(null, encrypts: false);

    private static readonly byte[] s_nonce = new byte[12];

    private readonly StoreKey? _key;

    private StoreSeal(StoreKey? key, bool encrypts) => (_key, Encrypts) = (key, encrypts);

    internal bool Encrypts { get; }

    /// <summary>Format version of the store's files.</summary>
    internal uint Version => _key is null ? FormatVersion.Current : FormatVersion.Keyed;

    /// <summary>Format version of a manifest.</summary>
    internal uint ManifestVersion(bool patched) => !patched ? Version : _key is null ? FormatVersion.Patched : FormatVersion.KeyedPatched;

    /// <summary>0: no key.</summary>
    internal ulong KeyId => _key?.Id ?? 0;

    /// <summary>Bytes of a stored object before its payload, and in all.</summary>
    internal int HeadBytes => Encrypts ? SaltBytes + NumberBytes : 0;

    /// <inheritdoc cref="HeadBytes"/>
    internal int OverheadBytes => Encrypts ? SaltBytes + NumberBytes + TagBytes : 0;

    /// <summary>For a new store.</summary>
    internal static StoreSeal For(StoreKey? key, bool namesOnly) => key is null ? None : new StoreSeal(key, !namesOnly);

    /// <summary>Line 2 of the file that names the format; null: there is none.</summary>
    internal string? FormatLine()
    {
        if (_key is null) return null;
        string text = $"{(Encrypts ? Algorithms : NamesOnly)} {_key}";
        return $"{text} {XxHash128.HashToUInt128(Encoding.ASCII.GetBytes(text)):x32}\n";
    }

    /// <summary>The seal of a store that exists.</summary>
    /// <param name="version">of line 1</param><param name="line">line 2</param>
    /// <exception cref="StoreException">Damaged. WrongKey: none, another, or one that is not wanted.</exception>
    internal static StoreSeal Read(uint version, string line, StoreKey? key, string location)
    {
        if (version < FormatVersion.Keyed)
        {
            return key is null ? None
                : throw new StoreException(StoreErrorKind.WrongKey, $"store {location}: is not encrypted, and a key is given ({key}); give another store for what is to be encrypted, or no key for this one");
        }
        int end = line.LastIndexOf(' ');
        if (end < 0 || line[(end + 1)..] != XxHash128.HashToUInt128(Encoding.ASCII.GetBytes(line[..end])).ToString("x32"))
            throw new StoreException(StoreErrorKind.Damaged, $"{location}/{Format.FormatFile}: does not say which key the store has");
        int at = line.LastIndexOf(' ', end - 1);
        string algorithms = at < 0 ? "" : line[..at], id = line[(at + 1)..end];
        if (algorithms is not (Algorithms or NamesOnly)) throw new StoreException(StoreErrorKind.NewerFormat, $"{location}/{Format.FormatFile}: {algorithms}: this build has {Algorithms}: use a newer trecr");
        if (key is null)
            throw new StoreException(StoreErrorKind.WrongKey, $"store {location}: is {(algorithms == Algorithms ? "encrypted" : "named")} with key {id}, and none is given ({StoreKeySource.FileVariable}, {StoreKeySource.Variable} or {StoreKeySource.CommandVariable})");
        if (key.ToString() != id) throw new StoreException(StoreErrorKind.WrongKey, $"store {location}: has key {id}; the one that is given is {key}");
        return new StoreSeal(key, algorithms == Algorithms);
    }

    /// <summary>Whether objects can be taken from a store with that seal as they are.</summary>
    internal bool IsAs(StoreSeal other) => KeyId == other.KeyId && Encrypts == other.Encrypts;

    /// <summary>Name of an object.</summary>
    internal UInt128 Name(ReadOnlySpan<byte> plain)
    {
        if (_key is null) return XxHash128.HashToUInt128(plain);
        Span<byte> mac = stackalloc byte[32];
        HMACSHA256.HashData(_key.Names, plain, mac);
        return BinaryPrimitives.ReadUInt128BigEndian(mac);
    }

    /// <summary>Whether an object of these lengths can be.</summary>
    internal bool CanBe(int storedBytes, int plainBytes) => storedBytes > OverheadBytes && storedBytes - OverheadBytes <= plainBytes && plainBytes <= Format.MaxObjectBytes;

    /// <summary>Whether what is stored, without encryption, is compressed.</summary>
    internal bool IsCompressed(int storedBytes, int plainBytes) => storedBytes - OverheadBytes != plainBytes;

    /// <summary>Cheap: whether these can be the first bytes of something stored, compressed or not.</summary>
    /// <param name="first">[<see cref="HeadBytes"/> + 4 or more]</param>
    internal bool IsPlausible(ReadOnlySpan<byte> first, bool compressed)
        => Encrypts ? first[SaltBytes] == 0 && first[SaltBytes + 1] == 0 && first[SaltBytes + 2] == 0 // 2^40 objects in a pack
            : !compressed || first[..4].SequenceEqual<byte>([0x28, 0xB5, 0x2F, 0xFD]); // zstd frame, RFC 8878

    /// <summary>Decrypts.</summary>
    /// <param name="payload">[stored.Length - <see cref="OverheadBytes"/>]</param>
    /// <returns>false: not what was written</returns>
    internal bool TryOpen(UInt128 name, int plainBytes, ReadOnlySpan<byte> stored, Span<byte> payload)
    {
        Span<byte> bound = stackalloc byte[20];
        using AesGcm cipher = Cipher(name, plainBytes, stored[..HeadBytes], bound);
        try
        {
            cipher.Decrypt(s_nonce, stored[HeadBytes..^TagBytes], stored[^TagBytes..], payload, bound);
            return true;
        }
        catch (AuthenticationTagMismatchException) { return false; }
    }

    /// <param name="bound">[20], filled with what is authenticated besides: name and plain length</param>
    private AesGcm Cipher(UInt128 name, int plainBytes, ReadOnlySpan<byte> head, Span<byte> bound)
    {
        Span<byte> input = stackalloc byte[SaltBytes + NumberBytes + 16], key = stackalloc byte[32];
        head.CopyTo(input);
        BinaryPrimitives.WriteUInt128BigEndian(input[(SaltBytes + NumberBytes)..], name);
        BinaryPrimitives.WriteUInt128BigEndian(bound, name);
        BinaryPrimitives.WriteInt32LittleEndian(bound[16..], plainBytes);
        HMACSHA256.HashData(_key!.Frames, input, key);
        try { return new AesGcm(key, TagBytes); }
        finally { CryptographicOperations.ZeroMemory(key); }
    }

    /// <summary>Encrypts the objects of one pack, or one file. Any thread.</summary>
    internal sealed class Writer(StoreSeal seal)
    {
        private readonly byte[] _salt = RandomNumberGenerator.GetBytes(SaltBytes);
        private long _number;

        /// <summary>Encrypts in place.</summary>
        /// <param name="stored">payload at <see cref="HeadBytes"/>, with room for <see cref="OverheadBytes"/> in all</param>
        /// <returns>stored length</returns>
        internal int Close(UInt128 name, int plainBytes, Span<byte> stored, int payloadBytes)
        {
            if (!seal.Encrypts) return payloadBytes;
            Span<byte> bound = stackalloc byte[20], payload = stored.Slice(seal.HeadBytes, payloadBytes);
            _salt.CopyTo(stored);
            BinaryPrimitives.WriteInt64BigEndian(stored[SaltBytes..], Interlocked.Increment(ref _number));
            using AesGcm cipher = seal.Cipher(name, plainBytes, stored[..seal.HeadBytes], bound);
            cipher.Encrypt(s_nonce, payload, payload, stored.Slice(seal.HeadBytes + payloadBytes, TagBytes), bound);
            return seal.OverheadBytes + payloadBytes;
        }
    }
}
