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

    /// <summary>Frames that are not zero; one that is used twice counts twice.</summary>
    internal long FrameCount => Parts.Values.Sum(p => (long)p.Hashes.Length) + Records.Values.Sum(r => r.Hashes.LongCount(h => h != UInt128.Zero));

    /// <summary>Whether frames are patched.</summary>
    internal bool IsPatched => Parts.Values.Any(p => p.Patches is not null);

    /// <summary>Names of all objects that are needed to read the frames; one that is used twice comes twice.</summary>
    internal IEnumerable<UInt128> Objects
    {
        get
        {
            foreach (Part part in Parts.Values)
            {
                for (int i = 0; i < part.Hashes.Length; i++)
                {
                    if (part.PatchAt(i) is not { } patch) yield return part.Hashes[i];
                    else foreach (UInt128 needed in patch.Objects) yield return needed;
                }
            }
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
        UInt128[] patchObjects = PatchListing.ReadObjects(manifest.PatchObjects, what);
        Dictionary<string, Part> parts = [];
        foreach (PartManifest p in manifest.Parts)
        {
            if (!PartName.IsValid(p.Name)) throw new StoreException(StoreErrorKind.Damaged, $"{what}: a part has an impossible name");
            if (!parts.TryAdd(p.Name, UnpackPart(p, patchObjects, $"{what}, part {p.Name}"))) throw new StoreException(StoreErrorKind.Damaged, $"{what}: part {p.Name} comes twice");
        }
        Dictionary<string, Record> records = [];
        foreach (RecordManifest r in manifest.Records)
        {
            if (!PartName.IsValid(r.Name)) throw new StoreException(StoreErrorKind.Damaged, $"{what}: a record has an impossible name");
            if (!records.TryAdd(r.Name, UnpackRecord(r, $"{what}, record {r.Name}"))) throw new StoreException(StoreErrorKind.Damaged, $"{what}: record {r.Name} comes twice");
        }
        return new SnapshotFrames(manifest, parts, records);
    }

    private static Part UnpackPart(PartManifest part, UInt128[] patchObjects, string what)
    {
        ulong[] deltas = PackedNumbers.Unpack(part.FrameIndexDeltas, what);
        int count = deltas.Length;
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
            ulong delta = deltas[i];
            if (delta == 0 || delta > limit || (ulong)(index + 1) + delta - 1 >= limit)
                throw new StoreException(StoreErrorKind.Damaged, $"{what}: frame {i} lies outside the part");
            index += (long)delta;
            indexes[i] = index;
            hashes[i] = BinaryPrimitives.ReadUInt128BigEndian(packed[(i * Format.HashBytes)..]);
        }
        return new Part((long)part.LengthBytes, indexes, hashes, PatchListing.Read(part, count, patchObjects, what));
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

    /// <param name="Indexes">ascending; offset / frame size</param><param name="Hashes">[Indexes.Length]</param><param name="Patches">null: none</param>
    internal sealed record Part(long LengthBytes, long[] Indexes, UInt128[] Hashes, PatchTable? Patches = null)
    {
        /// <returns>position of a frame; negative: zeroes</returns>
        internal int Find(long index) => Array.BinarySearch(Indexes, index);

        /// <returns>null: the frame at this position is an object</returns>
        internal FramePatch? PatchAt(int position) => Patches?.At(position);

        /// <summary>Whether the frame at this position is no object.</summary>
        internal bool IsPatched(int position) => Patches?.Has(position) == true;
    }

    /// <param name="Hashes">zero: a frame of zeroes</param>
    internal sealed record Record(int LengthBytes, UInt128[] Hashes);
}
