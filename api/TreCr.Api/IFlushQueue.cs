namespace TreCr.Api;

/// <summary>Takes over checkpoints that are to leave the scratch directory.</summary>
internal interface IFlushQueue : IDisposable
{
    /// <summary>Hands one over.</summary>
    /// <exception cref="Exception">sync: it could not be brought out; async: nobody takes it over</exception>
    void Add(FlushRequest request);

    /// <summary>Waits for all that were handed over.</summary>
    /// <returns>what went wrong since the last call; null: nothing</returns>
    string? Wait();

    /// <summary>Whether all that were handed over have ended.</summary>
    bool IsIdle { get; }
}
