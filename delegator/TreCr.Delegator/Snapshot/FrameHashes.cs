namespace TreCr.Delegator.Snapshot;

/// <summary>Hashes of the frames of one snapshot, kept in memory, so that the next one writes only what changed.</summary>
internal sealed class FrameHashes
{
    private readonly Dictionary<string, FrameTable> _parts = [];

    /// <summary>Of a part; empty when the snapshot has no such part.</summary>
    public FrameTable Part(string name)
    {
        lock (_parts) return _parts.GetValueOrDefault(name, FrameTable.Empty);
    }

    public void Set(string name, FrameTable frames)
    {
        lock (_parts) _parts[name] = frames;
    }
}
