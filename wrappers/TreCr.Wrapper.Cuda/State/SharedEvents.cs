using TreCr.Calls;
using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Cuda;

/// <summary>Events that other processes use too. Who records one must not go on before the device knows: what it tells another process may arrive there first.</summary>
internal static class SharedEvents
{
    private static readonly Lock Gate = new();
    private static readonly Dictionary<ulong, ShareHandle> Handles = [];
    private static volatile bool s_any;

    /// <summary>How a record of the event is sent.</summary>
    public static CallClass ClassOf(CUevent @event) => s_any && Find(@event) is not null ? CallClass.Answer : CallClass.Enqueue;

    public static ShareHandle? Find(CUevent @event)
    {
        lock (Gate) return Handles.TryGetValue(@event.Value, out ShareHandle handle) ? handle : null;
    }

    public static void Add(CUevent @event, ShareHandle handle)
    {
        lock (Gate) Handles[@event.Value] = handle;
        s_any = true;
    }

    /// <summary>It is destroyed; handles are never given again, so that a stale one here does no harm.</summary>
    public static void Remove(CUevent @event)
    {
        if (!s_any) return;
        lock (Gate) Handles.Remove(@event.Value);
    }
}
