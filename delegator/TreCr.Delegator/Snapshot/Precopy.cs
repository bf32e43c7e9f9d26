using TreCr.Images;

namespace TreCr.Delegator.Snapshot;

/// <summary>What was copied into a snapshot while the program ran (design.md §4, prepare): its open parts, and the hashes of the copies.</summary>
internal sealed class Precopy
{
    public Dictionary<string, IPartWriter> Parts { get; } = [];

    public FrameHashes Hashes { get; } = new();
}
