namespace TreCr.Calls.Cuda;

/// <summary>Streams. CUDA Driver API, "Stream Management".</summary>
[CallTable(Library.Cuda)]
public unsafe interface ICudaStream
{
    /// <param name="flags">0 blocking with respect to the legacy stream, 1 CU_STREAM_NON_BLOCKING</param>
    /// <param name="priority">clamped to the device's range</param>
    [Call(0x0701, CallClass.Answer), Creates(nameof(stream)), Manual("remembers the context of the stream")]
    CUresult cuStreamCreateWithPriority([Out] CUstream* stream, uint flags, int priority);

    /// <summary>Returns at once; queued work still runs.</summary>
    [Call(0x0702, CallClass.Answer), Destroys(nameof(stream)), Manual("forgets the context of the stream")]
    CUresult cuStreamDestroy_v2(CUstream stream);

    [Call(0x0703, CallClass.Blocking), Manual("prints device output that has come")]
    CUresult cuStreamSynchronize(CUstream stream);

    /// <returns>CUDA_ERROR_NOT_READY while work is left</returns>
    [Call(0x0704, CallClass.Answer)]
    CUresult cuStreamQuery(CUstream stream);

    /// <param name="flags">0 or CU_EVENT_WAIT_EXTERNAL (1)</param>
    [Call(0x0705, CallClass.Enqueue), Manual("joins a capture where the event stands for a place in one")]
    CUresult cuStreamWaitEvent(CUstream stream, CUevent @event, uint flags);

    [Call(0x0706, CallClass.Answer)]
    CUresult cuStreamGetFlags(CUstream stream, [Out] uint* flags);

    [Call(0x0707, CallClass.Answer)]
    CUresult cuStreamGetPriority(CUstream stream, [Out] int* priority);

    /// <param name="status">0 CU_STREAM_CAPTURE_STATUS_NONE</param>
    [Call(0x0708, CallClass.Answer), Manual("captures are the wrapper's")]
    CUresult cuStreamIsCapturing(CUstream stream, [Out] int* status);

    /// <summary>Work behind it waits until the word holds what is asked for. A checkpoint meanwhile waits too, until its deadline.</summary>
    /// <param name="address">of device, managed or pinned memory, 4-byte aligned</param>
    /// <param name="flags">0 at least (as a signed difference), 1 equal, 2 a common bit, 3 a bit that neither has</param>
    [Call(0x0709, CallClass.Answer), Manual("forms of two versions and the batch end here; no capture takes it")]
    CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr address, uint value, uint flags);

    /// <param name="address">8-byte aligned</param>
    [Call(0x070a, CallClass.Answer), Manual("as cuStreamWaitValue32")]
    CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr address, ulong value, uint flags);

    /// <param name="address">4-byte aligned</param>
    /// <param name="flags">0 what stands before it in the stream is seen first, 1 not necessarily</param>
    [Call(0x070b, CallClass.Answer), Manual("as cuStreamWaitValue32")]
    CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, uint value, uint flags);

    /// <param name="address">8-byte aligned</param>
    [Call(0x070c, CallClass.Answer), Manual("as cuStreamWaitValue32")]
    CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, ulong value, uint flags);
}
