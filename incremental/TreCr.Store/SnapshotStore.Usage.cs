using System.Runtime.InteropServices;
using TreCr.Images;

namespace TreCr.Store;

// Looking: what takes how much space, and what changed between two checkpoints.
public sealed partial class SnapshotStore
{
    /// <summary>Bytes of all packs.</summary>
    public long UsedBytes() => PackBytes();

    /// <summary>Counts the bytes of the store and of each checkpoint.</summary>
    /// <exception cref="StoreException">Busy: gc is running. IO.</exception>
    public StoreUsage Du()
    {
        using IDisposable lease = Lease();
        Catalog.Refresh();
        List<(string Id, long Plain, HashSet<UInt128> Objects)> checkpoints = [];
        Dictionary<UInt128, int> users = [];
        foreach (CheckpointInfo info in ListCheckpoints())
        {
            if (info.Manifest is null) continue;
            HashSet<UInt128> objects = [];
            long plain = 0;
            try
            {
                foreach (SnapshotReference reference in info.Manifest.Ranks.SelectMany(r => r.Snapshots))
                {
                    ContentHash hash = ContentHash.FromBytes(reference.ManifestHash.Span);
                    objects.Add(hash.Value);
                    SnapshotFrames frames = LoadSnapshot(hash);
                    objects.UnionWith(frames.Objects);
                    plain += frames.FrameCount * Format.FrameSizeBytes;
                }
            }
            catch (StoreException e) when (e.Kind is StoreErrorKind.Damaged or StoreErrorKind.NewerFormat) { continue; }
            foreach (UInt128 o in objects) CollectionsMarshal.GetValueRefOrAddDefault(users, o, out _)++;
            checkpoints.Add((info.Id, plain, objects));
        }
        long garbage = Catalog.Packs.Sum(p => p.Entries.Where(e => !users.ContainsKey(e.Hash)).Sum(e => (long)e.StoredBytes));
        List<CheckpointUsage> usages = [];
        foreach ((string id, long plain, HashSet<UInt128> objects) in checkpoints)
        {
            long stored = 0, own = 0;
            foreach (UInt128 o in objects)
            {
                if (!Catalog.TryFind(o, out _, out IndexEntry entry)) continue;
                stored += entry.StoredBytes;
                if (users[o] == 1) own += entry.StoredBytes;
            }
            usages.Add(new CheckpointUsage(id, plain, stored, own));
        }
        return new StoreUsage(PackBytes(), garbage, Files.FreeBytes(), usages);
    }

    /// <summary>Compares two checkpoints part by part; only frames that differ are read.</summary>
    /// <param name="a">id or job</param><param name="b">id or job</param>
    /// <returns>parts and records that differ, or that only one has (its frames then differ from zeroes)</returns>
    /// <exception cref="StoreException">NotFound, Damaged, NewerFormat; Busy: gc is running.</exception>
    public IReadOnlyList<PartDifference> Diff(string a, string b)
    {
        using IDisposable lease = Lease();
        Catalog.Refresh();
        SortedDictionary<string, SnapshotFrames.Part> first = PartsOf(FindCheckpoint(a)), second = PartsOf(FindCheckpoint(b));
        List<PartDifference> differences = [];
        foreach (string name in first.Keys.Union(second.Keys).Order(StringComparer.Ordinal))
        {
            PartDifference difference = Compare(name, first.GetValueOrDefault(name), second.GetValueOrDefault(name));
            if (difference.FramesDiffer > 0 || first.ContainsKey(name) != second.ContainsKey(name)) differences.Add(difference);
        }
        return differences;
    }

    private SortedDictionary<string, SnapshotFrames.Part> PartsOf(JobManifest checkpoint)
    {
        SortedDictionary<string, SnapshotFrames.Part> parts = new(StringComparer.Ordinal);
        foreach (RankManifest rank in checkpoint.Ranks)
        {
            foreach (SnapshotReference reference in rank.Snapshots)
            {
                SnapshotFrames frames = LoadSnapshot(ContentHash.FromBytes(reference.ManifestHash.Span));
                string where = $"rank {rank.Rank}, {reference.Role} {reference.Pid}";
                foreach ((string name, SnapshotFrames.Part part) in frames.Parts) parts[$"{where}, part {name}"] = part;
                foreach ((string name, SnapshotFrames.Record record) in frames.Records)
                {
                    long[] present = [.. Enumerable.Range(0, record.Hashes.Length).Where(i => record.Hashes[i] != UInt128.Zero).Select(i => (long)i)];
                    parts[$"{where}, record {name}"] = new SnapshotFrames.Part(record.LengthBytes, present, [.. present.Select(i => record.Hashes[i])]);
                }
            }
        }
        return parts;
    }

    private PartDifference Compare(string name, SnapshotFrames.Part? a, SnapshotFrames.Part? b)
    {
        byte[] left = new byte[Format.FrameSizeBytes], right = new byte[Format.FrameSizeBytes];
        FrameReader readerA = new(Catalog), readerB = new(Catalog);
        long frames = 0, bytes = 0;
        int i = 0, k = 0, countA = a?.Indexes.Length ?? 0, countB = b?.Indexes.Length ?? 0;
        while (i < countA || k < countB)
        {
            long indexA = i < countA ? a!.Indexes[i] : long.MaxValue, indexB = k < countB ? b!.Indexes[k] : long.MaxValue, index = Math.Min(indexA, indexB);
            int atA = indexA == index ? i++ : -1, atB = indexB == index ? k++ : -1;
            if (atA >= 0 && atB >= 0 && a!.Hashes[atA] == b!.Hashes[atB]) continue;
            frames++;
            Load(readerA, a, atA, left);
            Load(readerB, b, atB, right);
            for (int at = 0; at < left.Length; at++) if (left[at] != right[at]) bytes++;
        }
        return new PartDifference(name, countA, countB, frames, bytes);

        static void Load(FrameReader reader, SnapshotFrames.Part? part, int at, byte[] into)
        {
            if (at < 0) Array.Clear(into);
            else reader.Read(part!.Hashes[at], part.PatchAt(at), into);
        }
    }
}
