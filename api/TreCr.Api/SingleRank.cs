namespace TreCr.Api;

/// <summary>A process that takes checkpoints for itself.</summary>
/// <param name="rank">tells its files from those of others; 0 or more</param>
public sealed class SingleRank(int rank = 0) : IRankGroup
{
    /// <inheritdoc/>
    public int Rank => rank;

    /// <inheritdoc/>
    public int Count => 1;

    /// <inheritdoc/>
    public int Smallest(int value) => value;

    public void Dispose() { }
}
