namespace TreCr.Api;

/// <summary>The ranks that take a checkpoint together. All of them make the same calls in the same order; the calls block until all have.</summary>
public interface IRankGroup : IDisposable
{
    /// <summary>This one, 0 to <see cref="Count"/> - 1; of a group of one any number that the program chose.</summary>
    int Rank { get; }

    int Count { get; }

    /// <summary>The smallest of what the ranks give.</summary>
    /// <exception cref="CheckpointException">they could not be asked</exception>
    int Smallest(int value);
}
