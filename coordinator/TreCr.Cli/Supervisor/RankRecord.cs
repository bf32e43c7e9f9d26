using Google.Protobuf;
using TreCr.Control;
using TreCr.Images;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary>Writes and reads what the supervisor itself saves: a small snapshot of role "rank" with one record.</summary>
internal static class RankRecord
{
    public const string Role = "rank", ProcessRole = "process", DelegatorRole = "delegator", WrapperRole = "wrapper";
    private const string Record = "rank";

    public static SnapshotResult Write(SnapshotStore store, RankState state)
    {
        state.FormatVersion = FormatVersion.Current;
        using StoreSnapshotWriter writer = store.BeginSnapshot();
        writer.PutRecord(Record, state.ToByteArray());
        return writer.Finish();
    }

    /// <exception cref="TrecrException">BadImage</exception>
    public static RankState Read(SnapshotStore store, JobManifest manifest, uint rank)
    {
        SnapshotReference reference = Find(manifest, rank, Role).FirstOrDefault() ?? throw new TrecrException(TrecrError.BadImage, $"checkpoint {manifest.CheckpointId}: it has no rank snapshot of rank {rank}");
        using StoreSnapshotReader reader = store.OpenSnapshot(ContentHash.FromBytes(reference.ManifestHash.Span));
        try { return RankState.Parser.ParseFrom(reader.GetRecord(Record)); }
        catch (InvalidProtocolBufferException e) { throw new TrecrException(TrecrError.BadImage, $"checkpoint {manifest.CheckpointId}: its rank record cannot be read: {e.Message}", e); }
    }

    /// <summary>What a checkpoint has of a rank; null: it has no such rank.</summary>
    public static RankManifest? Of(JobManifest manifest, uint rank) => manifest.Ranks.FirstOrDefault(r => r.Rank == rank);

    /// <summary>Snapshots of a role, of one rank.</summary>
    public static IEnumerable<SnapshotReference> Find(JobManifest manifest, uint rank, string role) => Of(manifest, rank)?.Snapshots.Where(s => s.Role == role) ?? [];
}
