namespace TreCr.Delegator.Snapshot;

/// <summary>Hashes of the frames of one snapshot, kept in memory, so that the next one writes only what changed.</summary>
internal sealed class FrameHashes
{
    private readonly Dictionary<string, Dictionary<long, UInt128>> _parts = [];

    /// <summary>Hashes of a part by frame offset; empty when the snapshot has no such part.</summary>
    public IReadOnlyDictionary<long, UInt128> Part(string name) => _parts.GetValueOrDefault(name) ?? [];

    public void Set(string name, Dictionary<long, UInt128> hashes)
    {
        lock (_parts) _parts[name] = hashes;
    }
}
