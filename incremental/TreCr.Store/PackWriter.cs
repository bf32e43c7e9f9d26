using System.Buffers.Binary;
using System.Runtime.InteropServices;
using TreCr.XxHash;
using TreCr.Zstd;

namespace TreCr.Store;

/// <summary>
/// The pack of one session: chunks of records are appended by several threads without a lock on the file (each takes its range first), then
/// pack, index and directory are made durable in this order. The pack is part of the store from the rename of its index on.
/// </summary>
internal sealed class PackWriter : IDisposable
{
    private readonly IStoreFiles _files;
    private readonly IStoreFile _file;
    private readonly StoreSeal _seal;
    private readonly Lock _lock = new();
    private readonly object _writing = new(); // the kernel lets one thread at a time write to a file; who waits there spins, at the cost of the program's processors
    private readonly Dictionary<UInt128, IndexEntry> _claimed = []; // without an offset: not written yet
    private readonly List<IndexEntry> _entries = [];
    private long _length = Format.HeaderBytes;

    internal PackWriter(IStoreFiles files, string sessionId, StoreSeal seal)
    {
        _seal = seal;
        Seal = new StoreSeal.Writer(seal);
        _files = files;
        SessionId = sessionId;
        _file = files.Create(StoreDirectory.Packs, sessionId + Format.PackSuffix);
        Span<byte> header = stackalloc byte[Format.HeaderBytes];
        Format.WriteHeader(header, Format.PackMagic, sessionId, seal);
        try { _file.WriteAt(0, header); }
        catch
        {
            _file.Dispose();
            Discard();
            throw;
        }
    }

    internal string SessionId { get; }

    /// <summary>Encrypts what is appended, where the store does.</summary>
    internal StoreSeal.Writer Seal { get; }

    /// <summary>Bytes in the pack so far.</summary>
    internal long LengthBytes => Interlocked.Read(ref _length);

    internal int Count
    {
        get { lock (_lock) return _entries.Count; }
    }

    /// <returns>true: the caller has to store this object; false: somebody does already</returns>
    internal bool Claim(UInt128 hash)
    {
        lock (_lock) return _claimed.TryAdd(hash, default);
    }

    /// <returns>true when the session stores the object</returns>
    internal bool Contains(UInt128 hash)
    {
        lock (_lock) return _claimed.ContainsKey(hash);
    }

    /// <returns>false: the session has not written such an object (yet)</returns>
    internal bool TryFind(UInt128 hash, out IndexEntry entry)
    {
        lock (_lock) return _claimed.TryGetValue(hash, out entry) && entry.OffsetBytes != 0;
    }

    /// <summary>Reads an object back.</summary>
    /// <param name="verify">as of <see cref="StoreCatalog.Read"/></param>
    /// <returns>false: the session has not written it (yet), or it is not as it was written</returns>
    internal bool TryRead(UInt128 hash, Span<byte> into, bool verify)
    {
        if (!TryFind(hash, out IndexEntry entry) || entry.PlainBytes != into.Length) return false;
        byte[] stored = new byte[entry.StoredBytes];
        return _file.ReadAt(entry.OffsetBytes, stored) == stored.Length && StoreCatalog.TryUnpack(_seal, entry, stored, into, verify) is null;
    }

    /// <summary>Appends records.</summary>
    /// <param name="entries">offsets within <paramref name="bytes"/></param>
    internal void Append(ReadOnlySpan<byte> bytes, ReadOnlySpan<IndexEntry> entries)
    {
        long offset = Interlocked.Add(ref _length, bytes.Length) - bytes.Length;
        lock (_writing) _file.WriteAt(offset, bytes);
        _file.StartWriteback(offset, bytes.Length);
        lock (_lock)
        {
            foreach (IndexEntry entry in entries)
            {
                IndexEntry placed = entry with { OffsetBytes = entry.OffsetBytes + offset };
                _entries.Add(placed);
                _claimed[entry.Hash] = placed;
            }
        }
    }

    /// <summary>Appends one object of any length as it is stored.</summary>
    internal void AppendStored(UInt128 hash, int plainBytes, ReadOnlySpan<byte> stored)
    {
        byte[] record = new byte[RecordBytes(stored.Length)];
        WriteRecordHeader(record, hash, stored.Length, plainBytes);
        stored.CopyTo(record.AsSpan(Format.RecordHeaderBytes));
        Append(record, [new IndexEntry(hash, Format.RecordHeaderBytes, stored.Length, plainBytes)]);
    }

    /// <summary>Compresses and appends one object of any length, unless the session has it.</summary>
    internal void AppendObject(UInt128 hash, ReadOnlySpan<byte> plain)
    {
        if (!Claim(hash)) return;
        byte[] stored = new byte[plain.Length + _seal.OverheadBytes];
        Span<byte> payload = stored.AsSpan(_seal.HeadBytes, plain.Length);
        using Compressor compressor = new(1);
        if (!compressor.TryWrap(plain, payload[..(plain.Length - 1)], out int length))
        {
            plain.CopyTo(payload);
            length = plain.Length;
        }
        AppendStored(hash, plain.Length, stored.AsSpan(0, Seal.Close(hash, plain.Length, stored, length)));
    }

    /// <summary>Makes the pack durable and part of the store; a session that stored nothing leaves no files.</summary>
    internal void Commit()
    {
        if (Count == 0)
        {
            Discard();
            return;
        }
        _file.Sync();
        _files.SyncDirectory(StoreDirectory.Packs); // an index must never outlive its pack, whatever order names reach the disk in
        lock (_lock)
        {
            _entries.Sort((a, b) => a.Hash.CompareTo(b.Hash));
            byte[] index = PackIndex.Serialize(SessionId, _entries, LengthBytes, _seal);
            StoreBytes.WriteDurably(_files, StoreDirectory.Packs, SessionId + Format.IndexSuffix, index);
        }
    }

    /// <summary>Removes the pack.</summary>
    internal void Discard()
    {
        _files.Delete(StoreDirectory.Packs, SessionId + Format.IndexSuffix);
        _files.Delete(StoreDirectory.Packs, SessionId + Format.PackSuffix);
    }

    public void Dispose() => _file.Dispose();

    /// <summary>Length of a record, padded so that the next one is aligned.</summary>
    internal static int RecordBytes(int storedBytes) => (Format.RecordHeaderBytes + storedBytes + 7) & ~7;

    internal static void WriteRecordHeader(Span<byte> into, UInt128 hash, int storedBytes, int plainBytes)
    {
        BinaryPrimitives.WriteUInt128BigEndian(into, hash);
        BinaryPrimitives.WriteInt32LittleEndian(into[16..], storedBytes);
        BinaryPrimitives.WriteInt32LittleEndian(into[20..], plainBytes);
    }
}
