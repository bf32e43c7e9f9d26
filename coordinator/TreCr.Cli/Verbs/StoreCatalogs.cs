using TreCr.Coordinator;
using TreCr.Images;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary>Stores as the coordinator uses them.</summary>
internal sealed class StoreCatalogs : ICheckpointCatalog
{
    public ulong LastEpoch(string store, ReadOnlyMemory<byte> key, string job)
    {
        using SnapshotStore opened = Open(store, key);
        return opened.NextEpoch(job) - 1;
    }

    public void Commit(string store, ReadOnlyMemory<byte> key, JobManifest manifest)
    {
        using SnapshotStore opened = Open(store, key);
        opened.CommitCheckpoint(manifest);
    }

    /// <summary>Each job says which key its store has: the coordinator serves several.</summary>
    private static SnapshotStore Open(string store, ReadOnlyMemory<byte> key)
        => SnapshotStore.Open(store, new StoreOptions { Create = false, Key = key.IsEmpty ? null : StoreKey.FromBytes(key.Span) });

    public int ErrorNumber(Exception e) => Program.Explain(e).Error.Number;
}
