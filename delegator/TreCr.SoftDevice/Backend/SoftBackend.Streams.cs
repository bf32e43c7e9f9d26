using TreCr.Calls.Cuda;
using TreCr.SoftDevice.Streams;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Backend;

/// <summary>An event with the context that owns it.</summary>
sealed record SoftEventOwner(SoftEvent Event, SoftContext Context)
{
    /// <summary>Another process made it.</summary>
    public bool IsImported { get; init; }
}

public sealed unsafe partial class SoftBackend
{
    const uint DisableTiming = 2, Interprocess = 4; // CU_EVENT_*

    public CUresult cuStreamCreateWithPriority(CUstream* stream, uint flags, int priority)
    {
        CUresult r = NeedContext(out SoftContext c);
        if (r != CUDA_SUCCESS) return r;
        if (stream == null || flags > 1) return CUDA_ERROR_INVALID_VALUE;
        *stream = new(Add(c.NewStream(flags, Math.Clamp(priority, -5, 0))));
        return CUDA_SUCCESS;
    }

    public CUresult cuStreamDestroy_v2(CUstream stream)
    {
        if (Find<SoftStream>(stream.Value) is not { } s) return CUDA_ERROR_INVALID_HANDLE;
        Remove(s);
        lock (scheduler.Gate)
        {
            s.Destroyed = true;
            if (s.Items.Count == 0) s.Context.Streams.Remove(s);
        }
        return CUDA_SUCCESS;
    }

    public CUresult cuStreamSynchronize(CUstream stream)
    {
        CUresult r = NeedStream(stream, out SoftStream s);
        if (s is null) return r;
        long count;
        lock (scheduler.Gate) count = s.Enqueued;
        // The legacy stream's work is ordered after that of the blocking ones, so its own last item is enough, but an idle one still waits for them.
        if (s.IsLegacy)
        {
            SoftStream[] others;
            lock (scheduler.Gate) others = [.. s.Context.Streams.Where(o => o.IsBlocking)];
            foreach (SoftStream o in others) scheduler.Wait(o, o.Enqueued);
        }
        scheduler.Wait(s, count);
        return (CUresult)s.Context.StickyError;
    }

    public CUresult cuStreamQuery(CUstream stream)
    {
        CUresult r = NeedStream(stream, out SoftStream s);
        if (r != CUDA_SUCCESS) return r;
        lock (scheduler.Gate) return s.Completed == s.Enqueued ? (CUresult)s.Context.StickyError : CUDA_ERROR_NOT_READY;
    }

    public CUresult cuStreamWaitEvent(CUstream stream, CUevent @event, uint flags)
    {
        CUresult r = NeedStream(stream, out SoftStream s);
        if (r != CUDA_SUCCESS) return r;
        if (flags > 1) return CUDA_ERROR_INVALID_VALUE;
        if (Find<SoftEventOwner>(@event.Value) is not { } e) return CUDA_ERROR_INVALID_HANDLE;
        StreamItem item = scheduler.NewItem(ItemKind.Wait);
        item.Event = e.Event;
        scheduler.Enqueue(s, item);
        return CUDA_SUCCESS;
    }

    public CUresult cuStreamGetFlags(CUstream stream, uint* flags)
    {
        CUresult r = NeedStream(stream, out SoftStream s);
        if (s is null) return r;
        if (flags == null) return CUDA_ERROR_INVALID_VALUE;
        *flags = s.Flags;
        return CUDA_SUCCESS;
    }

    public CUresult cuStreamGetPriority(CUstream stream, int* priority)
    {
        CUresult r = NeedStream(stream, out SoftStream s);
        if (s is null) return r;
        if (priority == null) return CUDA_ERROR_INVALID_VALUE;
        *priority = s.Priority;
        return CUDA_SUCCESS;
    }

    public CUresult cuStreamIsCapturing(CUstream stream, int* status)
    {
        CUresult r = NeedStream(stream, out SoftStream s);
        if (s is null) return r;
        if (status == null) return CUDA_ERROR_INVALID_VALUE;
        *status = 0;
        return CUDA_SUCCESS;
    }

    public CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr address, uint value, uint flags) => Value(ItemKind.WaitValue, stream, address, value, 4, flags);
    public CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr address, ulong value, uint flags) => Value(ItemKind.WaitValue, stream, address, value, 8, flags);
    public CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, uint value, uint flags) => Value(ItemKind.WriteValue, stream, address, value, 4, flags);
    public CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, ulong value, uint flags) => Value(ItemKind.WriteValue, stream, address, value, 8, flags);

    CUresult Value(ItemKind kind, CUstream stream, CUdeviceptr address, ulong value, int bytes, uint flags)
    {
        CUresult r = NeedStream(stream, out SoftStream s);
        if (r != CUDA_SUCCESS) return r;
        if (address.Value % (ulong)bytes != 0 || flags > (kind == ItemKind.WaitValue ? 3u : 1u) || !IsAccessible(address.Value, (ulong)bytes)) return CUDA_ERROR_INVALID_VALUE;
        StreamItem item = scheduler.NewItem(kind);
        (item.Destination, item.Word, item.ElementBytes, item.Height) = (address.Value, value, bytes, flags);
        scheduler.Enqueue(s, item);
        return CUDA_SUCCESS;
    }

    public CUresult cuEventCreate(CUevent* @event, uint flags)
    {
        CUresult r = NeedContext(out SoftContext c);
        if (r != CUDA_SUCCESS) return r;
        if (@event == null || flags > 7) return CUDA_ERROR_INVALID_VALUE;
        if ((flags & (Interprocess | DisableTiming)) == Interprocess) return CUDA_ERROR_INVALID_VALUE;
        *@event = new(Add(new SoftEventOwner(new(flags), c)));
        return CUDA_SUCCESS;
    }

    public CUresult cuEventDestroy_v2(CUevent @event)
    {
        if (Find<SoftEventOwner>(@event.Value) is not { } e) return CUDA_ERROR_INVALID_HANDLE;
        Remove(e);
        EndSharing(e.Event);
        return CUDA_SUCCESS;
    }

    public CUresult cuEventRecord(CUevent @event, CUstream stream)
    {
        CUresult r = NeedStream(stream, out SoftStream s);
        if (r != CUDA_SUCCESS) return r;
        if (Find<SoftEventOwner>(@event.Value) is not { } e) return CUDA_ERROR_INVALID_HANDLE;
        StreamItem item = scheduler.NewItem(ItemKind.RecordEvent);
        item.Event = e.Event;
        scheduler.Enqueue(s, item);
        return CUDA_SUCCESS;
    }

    public CUresult cuEventQuery(CUevent @event)
    {
        if (Find<SoftEventOwner>(@event.Value) is not { } e) return CUDA_ERROR_INVALID_HANDLE;
        lock (scheduler.Gate) return e.Context.StickyError != 0 ? (CUresult)e.Context.StickyError : e.Event.IsReached ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
    }

    public CUresult cuEventSynchronize(CUevent @event)
    {
        if (Find<SoftEventOwner>(@event.Value) is not { } e) return CUDA_ERROR_INVALID_HANDLE;
        SoftStream? s;
        long count;
        if (e.Event.Shared is not null)
        {
            scheduler.WaitShared(e.Event);
            return (CUresult)e.Context.StickyError;
        }
        lock (scheduler.Gate) (s, count) = (e.Event.Stream, e.Event.Count);
        if (e.Event.Recorded && s is not null) scheduler.Wait(s, count);
        return (CUresult)e.Context.StickyError;
    }

    public CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end)
    {
        if (milliseconds == null) return CUDA_ERROR_INVALID_VALUE;
        if (Find<SoftEventOwner>(start.Value)?.Event is not { HasTiming: true, Recorded: true } a || Find<SoftEventOwner>(end.Value)?.Event is not { HasTiming: true, Recorded: true } b) return CUDA_ERROR_INVALID_HANDLE;
        lock (scheduler.Gate)
        {
            if (!a.IsReached || !b.IsReached) return CUDA_ERROR_NOT_READY;
            *milliseconds = (float)((double)((long)b.TimeNs - (long)a.TimeNs) / 1e6);
            return CUDA_SUCCESS;
        }
    }

    public CUresult trecrEventGetTime(ulong* nanoseconds, CUevent @event)
    {
        if (nanoseconds == null) return CUDA_ERROR_INVALID_VALUE;
        if (Find<SoftEventOwner>(@event.Value)?.Event is not { } e) return CUDA_ERROR_INVALID_HANDLE;
        lock (scheduler.Gate) *nanoseconds = e.Recorded ? Math.Max(e.TimeNs, 1) : 0;
        return CUDA_SUCCESS;
    }

    public CUresult trecrEventSetTime(CUevent @event, ulong nanoseconds)
    {
        if (Find<SoftEventOwner>(@event.Value)?.Event is not { } e) return CUDA_ERROR_INVALID_HANDLE;
        lock (scheduler.Gate)
        {
            e.Recorded = nanoseconds != 0;
            e.Stream = null;
            e.TimeNs = nanoseconds;
        }
        return CUDA_SUCCESS;
    }
}
