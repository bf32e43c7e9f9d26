using System.Buffers.Binary;
using TreCr.XxHash;

namespace TreCr.Store;

/// <summary>
/// One committed pack: its entries and its open file. The index is renamed into place when the pack is durable, so a pack without an index
/// belongs to a session that has not ended (well).
/// </summary>
internal sealed class PackIndex : IDisposable
{
    private PackIndex(string sessionId, IndexEntry[] entries, IStoreFile? pack, StoreException? problem)
    {
        SessionId = sessionId;
        Entries = entries;
        Pack = pack;
        Problem = problem;
    }

    internal string SessionId { get; }

    /// <summary>Entries whose bytes are within the pack.</summary>
    internal IndexEntry[] Entries { get; }

    /// <summary>null: missing.</summary>
    internal IStoreFile? Pack { get; }

    /// <summary>What is wrong with index or pack; null: nothing that can be seen without reading the frames.</summary>
    internal StoreException? Problem { get; }

    /// <summary>Reads the index and opens the pack. Damage is kept in <see cref="Problem"/>: it must not make the rest of the store unreadable.</summary>
    internal static PackIndex Load(IStoreFiles files, string sessionId, StoreSeal seal)
    {
        string indexPath = $"{files.Location}/packs/{sessionId}{Format.IndexSuffix}", packPath = $"{files.Location}/packs/{sessionId}{Format.PackSuffix}";
        IStoreFile? pack = null;
        try
        {
            IndexEntry[] entries = ReadIndex(files, sessionId, indexPath, seal, out long packLength);
            pack = files.TryOpen(StoreDirectory.Packs, sessionId + Format.PackSuffix)
                ?? throw new StoreException(StoreErrorKind.Damaged, $"{packPath}: missing");
            StoreException? problem = null;
            Span<byte> header = stackalloc byte[Format.HeaderBytes];
            try { Format.CheckHeader(header[..pack.ReadAt(0, header)], Format.PackMagic, sessionId, packPath, seal); }
            catch (StoreException e) when (e.Kind == StoreErrorKind.Damaged) { problem = e; } // each frame has a hash of its own
            long length = pack.LengthBytes;
            if (length < packLength)
            {
                problem = new StoreException(StoreErrorKind.Damaged, $"{packPath}: cut off, {length} of {packLength} bytes");
                entries = Array.FindAll(entries, e => e.OffsetBytes + e.StoredBytes <= length);
            }
            return new PackIndex(sessionId, entries, pack, problem);
        }
        catch (StoreException e)
        {
            pack?.Dispose();
            return new PackIndex(sessionId, [], null, e);
        }
    }

    /// <returns>position of an object in <see cref="Entries"/>; negative: the pack has none of this hash</returns>
    /// <remarks>Hashes are spread evenly, so that a guess is near. After a few guesses, as among names that somebody chose, each step halves what is left.</remarks>
    internal int Find(UInt128 hash) => Find(Entries, hash);

    /// <param name="entries">ascending by hash</param>
    internal static int Find(ReadOnlySpan<IndexEntry> entries, UInt128 hash)
    {
        const int Guesses = 5;
        int low = 0, high = entries.Length - 1;
        ulong key = (ulong)(hash >> 64), lowKey = 0, highKey = ulong.MaxValue;
        for (int step = 0; low <= high; step++)
        {
            int middle = step < Guesses && highKey > lowKey ? low + Math.Min(high - low, (int)((double)(key - lowKey) / (highKey - lowKey) * (high - low + 1))) : (low + high) >>> 1;
            UInt128 there = entries[middle].Hash;
            if (there == hash) return middle;
            if (there < hash) (low, lowKey) = (middle + 1, (ulong)(there >> 64)); else (high, highKey) = (middle - 1, (ulong)(there >> 64));
        }
        return -1;
    }

    /// <summary>The bytes of an index file.</summary>
    internal static byte[] Serialize(string sessionId, IReadOnlyList<IndexEntry> entries, long packLengthBytes, StoreSeal seal)
    {
        byte[] bytes = new byte[Format.HeaderBytes + 16 + entries.Count * Format.IndexEntryBytes + Format.HashBytes];
        Span<byte> at = bytes;
        Format.WriteHeader(at, Format.IndexMagic, sessionId, seal);
        BinaryPrimitives.WriteInt64LittleEndian(at[Format.HeaderBytes..], entries.Count);
        BinaryPrimitives.WriteInt64LittleEndian(at[(Format.HeaderBytes + 8)..], packLengthBytes);
        at = at[(Format.HeaderBytes + 16)..];
        for (int i = 0; i < entries.Count; i++) entries[i].Write(at[(i * Format.IndexEntryBytes)..]);
        XxHash128.Hash(bytes.AsSpan(0, bytes.Length - Format.HashBytes), bytes.AsSpan(bytes.Length - Format.HashBytes));
        return bytes;
    }

    public void Dispose() => Pack?.Dispose();

    private static IndexEntry[] ReadIndex(IStoreFiles files, string sessionId, string path, StoreSeal seal, out long packLength)
    {
        byte[] bytes = StoreBytes.ReadAll(files, StoreDirectory.Packs, sessionId + Format.IndexSuffix, path);
        Format.CheckHeader(bytes, Format.IndexMagic, sessionId, path, seal);
        int fixedBytes = Format.HeaderBytes + 16 + Format.HashBytes;
        if (bytes.Length < fixedBytes) throw new StoreException(StoreErrorKind.Damaged, $"{path}: cut off");
        ReadOnlySpan<byte> at = bytes;
        if (BinaryPrimitives.ReadUInt128BigEndian(at[^Format.HashBytes..]) != XxHash128.HashToUInt128(at[..^Format.HashBytes]))
            throw new StoreException(StoreErrorKind.Damaged, $"{path}: its bytes do not have the hash at its end");
        long count = BinaryPrimitives.ReadInt64LittleEndian(at[Format.HeaderBytes..]);
        packLength = BinaryPrimitives.ReadInt64LittleEndian(at[(Format.HeaderBytes + 8)..]);
        if (count != (bytes.Length - fixedBytes) / Format.IndexEntryBytes || (bytes.Length - fixedBytes) % Format.IndexEntryBytes != 0)
            throw new StoreException(StoreErrorKind.Damaged, $"{path}: lists {count} objects, has room for others");
        IndexEntry[] entries = new IndexEntry[count];
        for (int i = 0; i < entries.Length; i++)
        {
            IndexEntry e = IndexEntry.Read(at[(Format.HeaderBytes + 16 + i * Format.IndexEntryBytes)..]);
            if (e.OffsetBytes < Format.HeaderBytes + Format.RecordHeaderBytes || !seal.CanBe(e.StoredBytes, e.PlainBytes) || e.OffsetBytes > packLength - e.StoredBytes)
                throw new StoreException(StoreErrorKind.Damaged, $"{path}: entry {i} cannot be");
            entries[i] = e;
        }
        return entries;
    }
}
