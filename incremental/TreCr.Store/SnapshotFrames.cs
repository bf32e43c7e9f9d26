using System.Buffers.Binary;
using Google.Protobuf;
using TreCr.Images;

namespace TreCr.Store;

/// <summary>A snapshot manifest, checked and unpacked: parts with ascending frame indexes and hashes, records with hashes.</summary>
internal sealed class SnapshotFrames
{
    private SnapshotFrames(SnapshotManifest manifest, Dictionary<string, Part> parts, Dictionary<string, Record> records)
    {
        Manifest = manifest;
        Parts = parts;
        Records = records;
    }

    internal SnapshotManifest Manifest { get; }

    internal Dictionary<string, Part> Parts { get; }

    internal Dictionary<string, Record> Records { get; }

    /// <summary>Hashes of all frames; a frame used twice comes twice.</summary>
    internal IEnumerable<UInt128> AllHashes
    {
        get
        {
            foreach (Part part in Parts.Values) foreach (UInt128 hash in part.Hashes) yield return hash;
            foreach (Record record in Records.Values) foreach (UInt128 hash in record.Hashes) if (hash != UInt128.Zero) yield return hash;
        }
    }

    /// <summary>Checks and unpacks a manifest.</summary>
    /// <param name="what">names the manifest in messages</param>
    /// <exception cref="StoreException">Damaged, NewerFormat.</exception>
    internal static SnapshotFrames Parse(byte[] bytes, string what)
    {
        SnapshotManifest manifest;
        try { manifest = SnapshotManifest.Parser.ParseFrom(bytes); }
        catch (InvalidProtocolBufferException e) { throw new StoreException(StoreErrorKind.Damaged, $"{what}: not a snapshot manifest ({e.Message})", e); }
        Format.CheckVersion(manifest.FormatVersion, what);
        Dictionary<string, Part> parts = [];
        foreach (PartManifest p in manifest.Parts)
        {
            if (!PartName.IsValid(p.Name)) throw new StoreException(StoreErrorKind.Damaged, $"{what}: a part has an impossible name");
            if (!parts.TryAdd(p.Name, UnpackPart(p, $"{what}, part {p.Name}"))) throw new StoreException(StoreErrorKind.Damaged, $"{what}: part {p.Name} comes twice");
        }
        Dictionary<string, Record> records = [];
        foreach (RecordManifest r in manifest.Records)
        {
            if (!PartName.IsValid(r.Name)) throw new StoreException(StoreErrorKind.Damaged, $"{what}: a record has an impossible name");
            if (!records.TryAdd(r.Name, UnpackRecord(r, $"{what}, record {r.Name}"))) throw new StoreException(StoreErrorKind.Damaged, $"{what}: record {r.Name} comes twice");
        }
        return new SnapshotFrames(manifest, parts, records);
    }

    private static Part UnpackPart(PartManifest part, string what)
    {
        int count = part.FrameIndexDeltas.Count;
        if (part.FrameHashes.Length != (long)count * Format.HashBytes)
            throw new StoreException(StoreErrorKind.Damaged, $"{what}: {count} frames, {part.FrameHashes.Length} bytes of hashes");
        if (part.LengthBytes > long.MaxValue) throw new StoreException(StoreErrorKind.Damaged, $"{what}: length {part.LengthBytes} cannot be");
        long[] indexes = new long[count];
        UInt128[] hashes = new UInt128[count];
        ReadOnlySpan<byte> packed = part.FrameHashes.Span;
        ulong limit = (part.LengthBytes + Format.FrameSizeBytes - 1) / Format.FrameSizeBytes;
        long index = -1;
        for (int i = 0; i < count; i++)
        {
            ulong delta = part.FrameIndexDeltas[i];
            if (delta == 0 || delta > limit || (ulong)(index + 1) + delta - 1 >= limit)
                throw new StoreException(StoreErrorKind.Damaged, $"{what}: frame {i} lies outside the part");
            index += (long)delta;
            indexes[i] = index;
            hashes[i] = BinaryPrimitives.ReadUInt128BigEndian(packed[(i * Format.HashBytes)..]);
        }
        return new Part((long)part.LengthBytes, indexes, hashes);
    }

    private static Record UnpackRecord(RecordManifest record, string what)
    {
        if (record.LengthBytes > PartName.MaxRecordBytes || record.FrameHashes.Count != (long)(record.LengthBytes + Format.FrameSizeBytes - 1) / Format.FrameSizeBytes)
            throw new StoreException(StoreErrorKind.Damaged, $"{what}: {record.LengthBytes} bytes in {record.FrameHashes.Count} frames");
        UInt128[] hashes = new UInt128[record.FrameHashes.Count];
        for (int i = 0; i < hashes.Length; i++)
        {
            ReadOnlySpan<byte> hash = record.FrameHashes[i].Span;
            if (hash.Length is not (0 or Format.HashBytes)) throw new StoreException(StoreErrorKind.Damaged, $"{what}: a hash of {hash.Length} bytes");
            hashes[i] = hash.Length == 0 ? UInt128.Zero : BinaryPrimitives.ReadUInt128BigEndian(hash);
        }
        return new Record((int)record.LengthBytes, hashes);
    }

    /// <param name="Indexes">ascending; offset / frame size</param><param name="Hashes">[Indexes.Length]</param>
    internal sealed record Part(long LengthBytes, long[] Indexes, UInt128[] Hashes)
    {
        /// <returns>false: zeroes</returns>
        internal bool TryFind(long index, out UInt128 hash)
        {
            int at = Array.BinarySearch(Indexes, index);
            hash = at < 0 ? default : Hashes[at];
            return at >= 0;
        }
    }

    /// <param name="Hashes">zero: a frame of zeroes</param>
    internal sealed record Record(int LengthBytes, UInt128[] Hashes);
}
