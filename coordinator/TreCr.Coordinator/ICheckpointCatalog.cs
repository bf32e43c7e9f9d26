using TreCr.Images;

namespace TreCr.Coordinator;

/// <summary>What the coordinator needs of stores.</summary>
public interface ICheckpointCatalog
{
    /// <summary>Newest epoch of a job in a store; 0: none.</summary>
    /// <param name="key">of the store; empty: it has none</param>
    ulong LastEpoch(string store, ReadOnlyMemory<byte> key, string job);

    /// <summary>Makes a checkpoint exist. Blocks until it is durable.</summary>
    /// <param name="key">of the store; empty: it has none</param>
    void Commit(string store, ReadOnlyMemory<byte> key, JobManifest manifest);

    /// <summary>Error number for an exception of the above.</summary>
    int ErrorNumber(Exception e);
}
