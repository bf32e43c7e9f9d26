namespace TreCr.SoftDevice.Streams;

/// <summary>An in-order queue. All fields are guarded by the scheduler's lock.</summary>
sealed class SoftStream(SoftContext context, int number, uint flags, int priority)
{
    public SoftContext Context => context;
    /// <summary>0 is the legacy default stream</summary>
    public int Number => number;
    public uint Flags => flags;
    public int Priority => priority;
    public bool IsLegacy => number == 0;
    /// <summary>Ordered with the legacy stream.</summary>
    public bool IsBlocking => (flags & 1) == 0;
    public readonly Queue<StreamItem> Items = new();
    /// <summary>items ever put in, items done: a place in the queue is a number</summary>
    public long Enqueued, Completed;
    public bool Destroyed;
}
