using System.Text;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;
using TreCr.Images;
using TreCr.Store;
using TreCr.Store.Tiers;
using TreCr.XxHash;

namespace TreCr.Api;

/// <summary>Checkpoints of programs in a TreCr store: one job for each name and rank, one epoch for each version, the file as one part. What did not change since the version before is not stored again.</summary>
/// <remarks>
/// An epoch is (version + 1) * 4096 + attempt: a version that a restarted program takes once more is another epoch, and the last one counts. Opened for each call: a store may lie on a disk that comes and goes.
/// </remarks>
public sealed class CheckpointStore(string path, string? policyPath)
{
    private const ulong Attempts = 4096;
    private const string DataPart = "data", SealRecord = "seal", Role = "program";

    /// <summary>Whether a checkpoint is one of these: there is no process in it.</summary>
    public static bool IsOfProgram(JobManifest checkpoint) => checkpoint.Ranks.Count > 0 && checkpoint.Ranks.All(r => r.Snapshots.Count > 0 && r.Snapshots.All(s => s.Role == Role));

    private TierSet? Tiers => field ??= policyPath is null ? null : new TierSet(StorePolicy.Load(policyPath));

    /// <summary>Stores a file, and brings the tiers what their policy says.</summary>
    /// <param name="keep">versions kept; 0: all</param>
    /// <exception cref="StoreException"/>
    /// <exception cref="PolicyException"/>
    /// <exception cref="CheckpointException">the file does not hold what was written; a tier failed, the store has it</exception>
    public void Put(CheckpointId id, SafeFileHandle file, FileSeal seal, int keep)
    {
        string job = JobOf(id);
        using SnapshotStore store = SnapshotStore.Open(path);
        List<CheckpointInfo> known = Known(store, id);
        CheckpointInfo? newest = known.LastOrDefault(k => k.Manifest is not null);
        SnapshotResult snapshot = Write(store, newest is null ? null : HashOf(newest.Manifest!), file, seal);
        ulong attempt = known.Where(k => VersionOf(k) == id.Version).Select(k => k.Epoch % Attempts + 1).DefaultIfEmpty().Max();
        if (attempt == Attempts) throw new CheckpointException($"{id}: taken {Attempts} times already");
        JobManifest checkpoint = new() { Job = job, Epoch = ((ulong)id.Version + 1) * Attempts + attempt, BytesTotal = (ulong)snapshot.BytesTotal, BytesStored = (ulong)snapshot.BytesStored };
        checkpoint.Command.Add(id.ToString());
        RankManifest rank = new() { Rank = (uint)id.Rank, Host = Environment.MachineName };
        rank.Snapshots.Add(new SnapshotReference { Role = Role, ManifestHash = snapshot.ManifestHash.ToByteString() });
        checkpoint.Ranks.Add(rank);
        store.CommitCheckpoint(checkpoint);
        // Some more than asked for stay until gc is worth it, and one more than asked for always: another rank may be one version behind.
        if (keep > 0 && known.Count > 2 * keep + 2) TryRetain(store, job, keep + 1);
        if (Tiers?.Flush(store, job).FirstOrDefault(t => t.Problem is not null) is { } failed) throw new CheckpointException($"{id}: tier {failed.Tier}: {failed.Problem}");
    }

    /// <summary>Versions that the store, or a tier of it, has a checkpoint of, newest first.</summary>
    public IReadOnlyList<int> Versions(string name, int rank)
    {
        CheckpointId id = new(name, rank, 0);
        List<int> versions = [];
        if (TryOpen() is { } store)
            using (store) versions.AddRange(Known(store, id).Where(k => k.Manifest is not null).Select(VersionOf));
        foreach (TierContents tier in Tiers?.Contents() ?? [])
            versions.AddRange(tier.Checkpoints.Select(c => EpochOf(c, id)).OfType<ulong>().Select(VersionOf));
        return [.. versions.Distinct().OrderDescending()];
    }

    /// <summary>The seal of a version whose frames are all there; what is damaged in them shows when they are read.</summary>
    /// <returns>null: there is none</returns>
    public FileSeal? Check(CheckpointId id)
    {
        try
        {
            using SnapshotStore store = SnapshotStore.Open(path, new StoreOptions { Create = Tiers is not null });
            if (Newest(store, id) is not { } newest || !store.HasAllOf(newest.Manifest!)) return null;
            using StoreSnapshotReader reader = store.OpenSnapshot(HashOf(newest.Manifest!));
            return SealOf(reader);
        }
        catch (StoreException) { return null; }
    }

    /// <summary>Writes a version into a directory.</summary>
    /// <exception cref="CheckpointException">no such version, or damaged</exception>
    public void Fetch(CheckpointId id, CheckpointDirectory into, bool durable)
    {
        using SnapshotStore store = SnapshotStore.OpenExisting(path);
        CheckpointInfo newest = Newest(store, id) ?? throw new CheckpointException($"{id}: not in store {path}");
        using StoreSnapshotReader reader = store.OpenSnapshot(HashOf(newest.Manifest!));
        FileSeal seal = SealOf(reader) ?? throw new CheckpointException($"{id}: no seal in store {path}");
        IPartReader part = reader.OpenPart(DataPart);
        into.DropUnfinished(id);
        using SealedFileWriter writer = new(into.FreshPath(id), seal.Launch);
        byte[] frame = new byte[ISnapshotWriter.FrameSizeBytes];
        for (long at = 0; at < seal.LengthBytes; at += frame.Length)
        {
            part.ReadFrame(at, frame);
            writer.Append(frame.AsSpan(0, (int)Math.Min(frame.Length, seal.LengthBytes - at)));
        }
        if (!writer.Finish(durable).IsSameAs(seal))
        {
            File.Delete(writer.Path);
            throw new CheckpointException($"{id}: store {path} does not hold what was written");
        }
        into.Publish(id, writer.Path, seal, durable);
    }

    /// <summary>A job's name has 64 characters at most and does not begin with a dot: others become their hash.</summary>
    internal static string JobOf(CheckpointId id)
    {
        string job = $"{id.Name}-{id.Rank}";
        return job.Length <= 64 && job[0] != '.' ? job : $"program-{XxHash128.HashToUInt128(Encoding.UTF8.GetBytes(job)):x32}";
    }

    private static int VersionOf(CheckpointInfo checkpoint) => VersionOf(checkpoint.Epoch);

    private static int VersionOf(ulong epoch) => (int)(epoch / Attempts) - 1;

    /// <param name="checkpoint">JOB.EPOCH</param>
    /// <returns>null: of another job</returns>
    private static ulong? EpochOf(string checkpoint, CheckpointId id)
        => JobOf(id) + "." is var job && checkpoint.StartsWith(job, StringComparison.Ordinal) && ulong.TryParse(checkpoint.AsSpan(job.Length), out ulong epoch) ? epoch : null;

    private static ContentHash HashOf(JobManifest checkpoint) => ContentHash.FromBytes(checkpoint.Ranks[0].Snapshots[0].ManifestHash.Span);

    private static FileSeal? SealOf(StoreSnapshotReader reader) => FileSeal.Parse(Encoding.ASCII.GetString(reader.GetRecord(SealRecord))) is [var seal] ? seal : null;

    private static List<CheckpointInfo> Known(SnapshotStore store, CheckpointId id) => [.. store.ListCheckpoints().Where(c => c.Job == JobOf(id))];

    private static SnapshotResult Write(SnapshotStore store, ContentHash? before, SafeFileHandle file, FileSeal seal)
    {
        StoreSnapshotWriter writer;
        try { writer = store.BeginSnapshot(before); }
        catch (StoreException e) when (e.Kind == StoreErrorKind.Damaged && before is not null) { writer = store.BeginSnapshot(); }
        using (writer)
        {
            IPartWriter part = writer.OpenPart(DataPart, Math.Max(seal.LengthBytes, 1));
            byte[] piece = new byte[(int)Math.Min(FileSeal.PieceBytes, seal.LengthBytes)];
            for (int i = 0; (long)i * FileSeal.PieceBytes < seal.LengthBytes; i++)
            {
                long at = (long)i * FileSeal.PieceBytes;
                int bytes = FilePieces.Read(file, piece.AsSpan(0, (int)Math.Min(piece.Length, seal.LengthBytes - at)), at);
                if (!seal.Holds(i, piece.AsSpan(0, bytes))) throw new CheckpointException($"does not hold what was written at {at}");
                for (int done = 0; done < bytes; done += ISnapshotWriter.FrameSizeBytes)
                    part.WriteFrame(at + done, piece.AsSpan(done, Math.Min(ISnapshotWriter.FrameSizeBytes, bytes - done)));
            }
            writer.PutRecord(SealRecord, Encoding.ASCII.GetBytes(seal.ToText()));
            return writer.Finish();
        }
    }

    private static void TryRetain(SnapshotStore store, string job, int keep)
    {
        try { store.Gc(new GcOptions { Job = job, Retention = new Retention { Last = keep } }); }
        catch (StoreException e) when (e.Kind == StoreErrorKind.Busy) { } // another rank writes: at the next version
    }

    private SnapshotStore? TryOpen()
    {
        try { return SnapshotStore.OpenExisting(path); }
        catch (StoreException e) when (e.Kind == StoreErrorKind.NotFound) { return null; }
    }

    private CheckpointInfo? Newest(SnapshotStore store, CheckpointId id)
    {
        CheckpointInfo? Find() => Known(store, id).LastOrDefault(k => k.Manifest is not null && VersionOf(k) == id.Version);
        CheckpointInfo? found = Find();
        if (Tiers is not { } tiers || (found is not null && store.HasAllOf(found.Manifest!))) return found;
        string? wanted = found?.Id ?? tiers.Contents().SelectMany(t => t.Checkpoints).Where(c => EpochOf(c, id) is { } epoch && VersionOf(epoch) == id.Version).MaxBy(c => EpochOf(c, id));
        if (wanted is null) return null;
        tiers.MakeWhole(store, wanted);
        return Find();
    }
}
