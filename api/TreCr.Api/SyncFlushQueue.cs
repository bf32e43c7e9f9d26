namespace TreCr.Api;

/// <summary>The program waits.</summary>
internal sealed class SyncFlushQueue(CheckpointDirectory scratch) : IFlushQueue
{
    /// <inheritdoc/>
    public void Add(FlushRequest request) => Flusher.Flush(scratch, request);

    /// <inheritdoc/>
    public string? Wait() => null;

    /// <inheritdoc/>
    public bool IsIdle => true;

    public void Dispose() { }
}
