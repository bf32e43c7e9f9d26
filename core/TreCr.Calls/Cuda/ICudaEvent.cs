namespace TreCr.Calls.Cuda;

/// <summary>Events. CUDA Driver API, "Event Management".</summary>
[CallTable(Library.Cuda)]
public unsafe interface ICudaEvent
{
    /// <param name="flags">1 blocking sync, 2 no timing, 4 interprocess (with 2 only, else CUDA_ERROR_INVALID_VALUE)</param>
    [Call(0x0801, CallClass.Answer), Creates(nameof(@event))]
    CUresult cuEventCreate([Out] CUevent* @event, uint flags);

    [Call(0x0802, CallClass.Answer), Destroys(nameof(@event)), Manual("forgets what other processes know it by")]
    CUresult cuEventDestroy_v2(CUevent @event);

    [Call(0x0803, CallClass.Enqueue), Manual("stands for a place in a capture where the stream captures")]
    CUresult cuEventRecord(CUevent @event, CUstream stream);

    /// <returns>CUDA_ERROR_NOT_READY before the work that was recorded is done; success for an event never recorded</returns>
    [Call(0x0804, CallClass.Answer)]
    CUresult cuEventQuery(CUevent @event);

    [Call(0x0805, CallClass.Blocking), Manual("prints device output that has come")]
    CUresult cuEventSynchronize(CUevent @event);

    /// <param name="milliseconds">resolution about 0.5 µs</param>
    /// <returns>CUDA_ERROR_INVALID_HANDLE: an event without timing or never recorded; CUDA_ERROR_NOT_READY</returns>
    [Call(0x0806, CallClass.Answer)]
    CUresult cuEventElapsedTime([Out] float* milliseconds, CUevent start, CUevent end);

    /// <summary>State of an event for the snapshot: when it was reached, in nanoseconds of the back end's clock; 0 never recorded.</summary>
    [Call(0x0810, CallClass.Answer, Internal = true)]
    CUresult trecrEventGetTime([Out] ulong* nanoseconds, CUevent @event);

    /// <summary>Restart: marks the event as reached at that time (0: never recorded).</summary>
    [Call(0x0811, CallClass.Answer, Internal = true)]
    CUresult trecrEventSetTime(CUevent @event, ulong nanoseconds);
}
