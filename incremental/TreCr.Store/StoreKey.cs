using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace TreCr.Store;

/// <summary>
/// The secret of an encrypted store, 32 bytes, and what is derived from it: HMAC-SHA-256 of a text each, so that a store and all of its tiers, and one made anew after it was lost, have the
/// same names for the same bytes. Never printed: <see cref="ToString"/> gives the id.
/// </summary>
public sealed class StoreKey
{
    /// <summary>Length of the secret.</summary>
    public const int LengthBytes = 32;

    private readonly byte[] _secret;

    private StoreKey(ReadOnlySpan<byte> secret)
    {
        _secret = secret.ToArray();
        Names = Derive("trecr store names 1");
        Frames = Derive("trecr store frames 1");
        Id = BinaryPrimitives.ReadUInt64BigEndian(Derive("trecr store key id 1"));
    }

    /// <summary>The key that this process was given (<see cref="StoreKeySource"/>); null: none. Asked for once.</summary>
    /// <exception cref="StoreException">WrongKey: what was given is no key</exception>
    public static StoreKey? Ambient => s_ambient.Value;

    private static readonly Lazy<StoreKey?> s_ambient = new(StoreKeySource.Read, LazyThreadSafetyMode.ExecutionAndPublication);

    /// <summary>Names the key without telling it: what stands in the store's files.</summary>
    public ulong Id { get; }

    /// <summary>Key of the names of objects, [32].</summary>
    internal byte[] Names { get; }

    /// <summary>From this come the keys of objects, [32].</summary>
    internal byte[] Frames { get; }

    /// <param name="secret">[32]; copied</param>
    /// <exception cref="StoreException">WrongKey: another length</exception>
    public static StoreKey FromBytes(ReadOnlySpan<byte> secret)
        => secret.Length == LengthBytes ? new StoreKey(secret) : throw new StoreException(StoreErrorKind.WrongKey, $"a key of {secret.Length} bytes, not {LengthBytes}");

    /// <summary>The secret, for processes of ours that are handed the key.</summary>
    public ReadOnlySpan<byte> Secret => _secret;

    /// <returns>the id</returns>
    public override string ToString() => $"{Id:x16}";

    private byte[] Derive(string purpose) => HMACSHA256.HashData(_secret, Encoding.ASCII.GetBytes(purpose));
}
