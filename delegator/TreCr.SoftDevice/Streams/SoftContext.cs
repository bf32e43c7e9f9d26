using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Streams;

/// <summary>A context: its streams and its sticky error.</summary>
sealed class SoftContext
{
    int streamNumbers;

    /// <param name="device">ordinal of the device that it is on</param>
    public SoftContext(SoftScheduler scheduler, int device)
    {
        Scheduler = scheduler;
        Device = device;
        Legacy = NewStream(0, 0);
    }

    public SoftScheduler Scheduler { get; }
    public int Device { get; }
    public SoftStream Legacy { get; }
    public List<SoftStream> Streams { get; } = [];
    /// <summary>CUDA error that ended the context; 0 while it is well. Set once.</summary>
    public volatile int StickyError;
    public DeviceOutput Output { get; } = new();

    public SoftStream NewStream(uint flags, int priority)
    {
        lock (Scheduler.Gate)
        {
            SoftStream s = new(this, streamNumbers++, flags, priority);
            Streams.Add(s);
            return s;
        }
    }
}
