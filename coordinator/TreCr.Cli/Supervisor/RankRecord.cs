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
    public static RankState Read(SnapshotStore store, JobManifest manifest)
    {
        SnapshotReference reference = Find(manifest, Role).FirstOrDefault() ?? throw new TrecrException(TrecrError.BadImage, $"checkpoint {manifest.CheckpointId}: it has no rank snapshot");
        using StoreSnapshotReader reader = store.OpenSnapshot(ContentHash.FromBytes(reference.ManifestHash.Span));
        try { return RankState.Parser.ParseFrom(reader.GetRecord(Record)); }
        catch (InvalidProtocolBufferException e) { throw new TrecrException(TrecrError.BadImage, $"checkpoint {manifest.CheckpointId}: its rank record cannot be read: {e.Message}", e); }
    }

    /// <summary>Snapshots of a role, of the one rank that this version has.</summary>
    public static IEnumerable<SnapshotReference> Find(JobManifest manifest, string role) => manifest.Ranks.Count == 0 ? [] : manifest.Ranks[0].Snapshots.Where(s => s.Role == role);
}
