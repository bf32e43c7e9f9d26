using System.Buffers.Binary;

namespace TreCr.Store;

// Repair: packs describe themselves, so an index can be made anew, and damaged objects can be taken out of it.
public sealed partial class SnapshotStore
{
    /// <summary>
    /// Reads every object of every pack. Indexes that are damaged, or that list damaged objects, are made anew from what is whole; a pack without its
    /// index gets one where a checkpoint needs something of it. Nothing that could still be read is removed.
    /// </summary>
    /// <exception cref="StoreException">Busy: the store is in use. NoSpace, IO.</exception>
    public RepairReport Repair()
    {
        using IDisposable lease = TryLease(exclusive: true, TimeSpan.Zero)
            ?? throw new StoreException(StoreErrorKind.Busy, $"store {Location}: in use by a checkpoint, a restart or gc; try again when it has ended");
        Catalog.Refresh();
        int rewritten = 0;
        long dropped = 0, recovered = 0;
        PackIndex[] packs = Catalog.Packs;
        foreach (PackIndex pack in packs)
        {
            if (pack.Problem is { Kind: StoreErrorKind.NewerFormat } newer) throw newer;
            using IStoreFile? file = Files.TryOpen(StoreDirectory.Packs, pack.SessionId + Format.PackSuffix);
            List<IndexEntry> whole;
            bool indexUsable = pack.Pack is not null;
            if (file is null) whole = [];
            else if (indexUsable) whole = [.. pack.Entries.Where(e => IsWhole(file, e))];
            else whole = Scan(file);
            if (indexUsable && pack.Problem is null && whole.Count == pack.Entries.Length) continue;
            if (indexUsable) dropped += pack.Entries.Length - whole.Count; else recovered += whole.Count;
            RewriteHeader(pack.SessionId, file);
            whole.Sort((a, b) => a.Hash.CompareTo(b.Hash));
            if (file is null) Files.Delete(StoreDirectory.Packs, pack.SessionId + Format.IndexSuffix);
            else
            {
                byte[] index = PackIndex.Serialize(pack.SessionId, whole, file.LengthBytes, Seal);
                StoreBytes.WriteDurably(Files, StoreDirectory.Packs, pack.SessionId + Format.IndexSuffix, index);
            }
            rewritten++;
        }
        Catalog.Reload();
        (int adopted, long found) = AdoptPacks();
        recovered += found;
        List<string> lost = [];
        foreach (CheckpointInfo info in ListCheckpoints())
        {
            try
            {
                if (info.Problem is { } problem) throw problem;
                foreach (Images.SnapshotReference reference in info.Manifest!.Ranks.SelectMany(r => r.Snapshots))
                    foreach (UInt128 frame in LoadSnapshot(ContentHash.FromBytes(reference.ManifestHash.Span)).Objects)
                        if (!Catalog.Contains(frame)) throw Catalog.Missing(frame);
            }
            catch (StoreException) { lost.Add(info.Id); }
        }
        return new RepairReport(packs.Length + adopted, rewritten + adopted, dropped, recovered, lost);
    }

    /// <summary>
    /// Packs whose index is gone. They look like those of sessions that died before their commit, so that all get an index first; where no checkpoint needs anything of a pack it goes
    /// again, and gc takes the pack.
    /// </summary>
    /// <returns>packs that are part of the store again, and their whole objects</returns>
    private (int Packs, long Objects) AdoptPacks()
    {
        Dictionary<string, int> indexed = [];
        HashSet<string> known = [.. Catalog.Packs.Select(p => p.SessionId)];
        foreach (string name in Files.List(StoreDirectory.Packs))
        {
            string id = name.EndsWith(Format.PackSuffix, StringComparison.Ordinal) ? name[..^Format.PackSuffix.Length] : "";
            if (!Format.IsSessionId(id) || known.Contains(id)) continue;
            // With the lock in hand none of this machine is being written; one of another host may be.
            if (SessionFile.TryRead(Files, id, Seal) is { ThisMachine: false } && Options.Time.GetUtcNow() - Format.TimeOf(id) < SessionFile.Lifetime) continue;
            using IStoreFile? file = Files.TryOpen(StoreDirectory.Packs, name);
            if (file is null || Scan(file) is not { Count: > 0 } whole) continue;
            RewriteHeader(id, file);
            whole.Sort((a, b) => a.Hash.CompareTo(b.Hash));
            StoreBytes.WriteDurably(Files, StoreDirectory.Packs, id + Format.IndexSuffix, PackIndex.Serialize(id, whole, file.LengthBytes, Seal));
            indexed.Add(id, whole.Count);
        }
        if (indexed.Count == 0) return (0, 0);
        Catalog.Reload();
        HashSet<string> needed = PacksInUse();
        foreach (string id in indexed.Keys.Where(id => !needed.Contains(id)).ToArray())
        {
            Files.Delete(StoreDirectory.Packs, id + Format.IndexSuffix);
            indexed.Remove(id);
        }
        Files.SyncDirectory(StoreDirectory.Packs);
        Catalog.Reload();
        return (indexed.Count, indexed.Values.Sum(n => (long)n));
    }

    /// <returns>sessions of the packs that objects of checkpoints are read from, as far as these can be read</returns>
    private HashSet<string> PacksInUse()
    {
        HashSet<string> used = [];
        foreach (CheckpointInfo info in ListCheckpoints())
        {
            if (info.Manifest is null) continue;
            foreach (Images.SnapshotReference reference in info.Manifest.Ranks.SelectMany(r => r.Snapshots))
            {
                ContentHash hash = ContentHash.FromBytes(reference.ManifestHash.Span);
                Note(hash.Value);
                try { foreach (UInt128 frame in LoadSnapshot(hash).Objects) Note(frame); }
                catch (StoreException) { } // counted as lost afterwards
            }
        }
        return used;

        void Note(UInt128 hash)
        {
            if (Catalog.TryFind(hash, out PackIndex? pack, out _)) used.Add(pack.SessionId);
        }
    }

    /// <summary>Finds the whole objects of a pack without its index; behind damage it looks on at every multiple of 8.</summary>
    private List<IndexEntry> Scan(IStoreFile pack)
    {
        List<IndexEntry> found = [];
        HashSet<UInt128> known = [];
        long length = pack.LengthBytes;
        Span<byte> header = stackalloc byte[Format.RecordHeaderBytes];
        for (long at = Format.HeaderBytes; at + Format.RecordHeaderBytes < length;)
        {
            if (pack.ReadAt(at, header) != header.Length) break;
            int stored = BinaryPrimitives.ReadInt32LittleEndian(header[16..]), plain = BinaryPrimitives.ReadInt32LittleEndian(header[20..]);
            IndexEntry entry = new(BinaryPrimitives.ReadUInt128BigEndian(header), at + Format.RecordHeaderBytes, stored, plain);
            if (!Seal.CanBe(stored, plain) || entry.OffsetBytes + stored > length || !IsPlausible(pack, entry) || !IsWhole(pack, entry))
            {
                at += 8;
                continue;
            }
            if (known.Add(entry.Hash)) found.Add(entry);
            at += PackWriter.RecordBytes(stored);
        }
        return found;
    }

    /// <summary>Cheap: random bytes must not make the search read and allocate up to 1 GiB at every step.</summary>
    private bool IsPlausible(IStoreFile pack, IndexEntry entry)
    {
        Span<byte> first = stackalloc byte[Seal.HeadBytes + 4];
        bool compressed = Seal.IsCompressed(entry.StoredBytes, entry.PlainBytes);
        return !compressed && !Seal.Encrypts || (pack.ReadAt(entry.OffsetBytes, first) == first.Length && Seal.IsPlausible(first, compressed));
    }

    private bool IsWhole(IStoreFile pack, IndexEntry entry)
    {
        byte[] stored = new byte[entry.StoredBytes];
        return pack.ReadAt(entry.OffsetBytes, stored) == stored.Length && StoreCatalog.TryUnpack(Seal, entry, stored, new byte[entry.PlainBytes]) is null;
    }

    /// <summary>Writes a damaged pack header again: all of it is known.</summary>
    private void RewriteHeader(string sessionId, IStoreFile? pack)
    {
        if (pack is null) return;
        byte[] header = new byte[Format.HeaderBytes], right = new byte[Format.HeaderBytes];
        Format.WriteHeader(right, Format.PackMagic, sessionId, Seal);
        if (pack.ReadAt(0, header) == header.Length && header.AsSpan().SequenceEqual(right)) return;
        using IStoreFile? writable = Files.TryOpen(StoreDirectory.Packs, sessionId + Format.PackSuffix, write: true);
        writable?.WriteAt(0, right);
        writable?.Sync();
    }
}
