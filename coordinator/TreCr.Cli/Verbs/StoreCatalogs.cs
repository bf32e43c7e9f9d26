using TreCr.Coordinator;
using TreCr.Images;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary>Stores as the coordinator uses them.</summary>
internal sealed class StoreCatalogs : ICheckpointCatalog
{
    public ulong LastEpoch(string store, string job)
    {
        using SnapshotStore opened = SnapshotStore.OpenExisting(store);
        return opened.NextEpoch(job) - 1;
    }

    public void Commit(string store, JobManifest manifest)
    {
        using SnapshotStore opened = SnapshotStore.OpenExisting(store);
        opened.CommitCheckpoint(manifest);
    }

    public int ErrorNumber(Exception e) => Program.Explain(e).Error.Number;
}
