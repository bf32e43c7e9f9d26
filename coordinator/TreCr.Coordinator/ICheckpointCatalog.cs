using TreCr.Images;

namespace TreCr.Coordinator;

/// <summary>What the coordinator needs of stores.</summary>
public interface ICheckpointCatalog
{
    /// <summary>Newest epoch of a job in a store; 0: none.</summary>
    ulong LastEpoch(string store, string job);

    /// <summary>Makes a checkpoint exist. Blocks until it is durable.</summary>
    void Commit(string store, JobManifest manifest);

    /// <summary>Error number for an exception of the above.</summary>
    int ErrorNumber(Exception e);
}
