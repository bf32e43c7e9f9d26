namespace TreCr.SoftDevice.Streams;

/// <summary>Does items of a stream on threads of its own, and says when they are done (<see cref="SoftScheduler.Finish"/>).</summary>
interface IStreamWorker
{
    /// <summary>The stream has got to an item. The scheduler's lock is held.</summary>
    void Begin(StreamItem item);

    /// <summary>For messages.</summary>
    string Describe(StreamItem item);
}
