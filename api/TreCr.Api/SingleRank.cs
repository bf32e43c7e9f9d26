namespace TreCr.Api;

/// <summary>A process that takes checkpoints for itself.</summary>
/// <param name="rank">tells its files from those of others; 0 or more</param>
public sealed class SingleRank(int rank = 0) : IRankMessages
{
    /// <inheritdoc/>
    public int Rank => rank;

    /// <inheritdoc/>
    public int Count => 1;

    /// <inheritdoc/>
    public int Smallest(int value) => value;

    /// <inheritdoc/>
    public byte[][] Gather(ReadOnlySpan<byte> own) => [own.ToArray()];

    /// <inheritdoc/>
    public void StartSend(int to, nint address, int bytes) => throw new CheckpointException($"there is no rank {to}");

    /// <inheritdoc/>
    public void Receive(int from, nint address, int bytes) => throw new CheckpointException($"there is no rank {from}");

    /// <inheritdoc/>
    public void WaitSent() { }

    public void Dispose() { }
}
