using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Graphs;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: waits that print device output, and forms of calls that have a record of their own elsewhere.
// CUDA Driver API, "Stream Management", "Event Management".
internal static unsafe class StreamsAndEvents
{
    [UnmanagedCallersOnly(EntryPoint = "cuStreamCreate")]
    public static CUresult Create(CUstream* stream, uint flags)
    {
        CUresult result = Session.Enter(out _);
        return result != CUresult.CUDA_SUCCESS ? result : flags > 1 ? CUresult.CUDA_ERROR_INVALID_VALUE : StreamQuestions.Create(stream, flags, 0);
    }

    // The unsuffixed names are separate symbols with the same 64-bit ABI; cuFFT takes cuEventDestroy by dlsym.
    [UnmanagedCallersOnly(EntryPoint = "cuStreamDestroy")]
    public static CUresult Destroy_v1(CUstream stream) => StreamQuestions.End(stream);

    [UnmanagedCallersOnly(EntryPoint = "cuEventDestroy")]
    public static CUresult EventDestroy_v1(CUevent @event) => EventDestroy(@event);

    [UnmanagedCallersOnly(EntryPoint = "cuEventDestroy_v2")]
    public static CUresult EventDestroy_v2(CUevent @event) => EventDestroy(@event);

    private static CUresult EventDestroy(CUevent @event)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result == CUresult.CUDA_SUCCESS) result = CudaEventCalls.Send_cuEventDestroy_v2(thread, CallClass.Answer, @event);
        if (result == CUresult.CUDA_SUCCESS) SharedEvents.Remove(@event);
        return result;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuStreamSynchronize")]
    public static CUresult Synchronize(CUstream stream) => Wait(stream);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamSynchronize_ptsz")]
    public static CUresult Synchronize_ptsz(CUstream stream) => Wait(PerThread.Of(stream));

    private static CUresult Wait(CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (StreamCapture.IsActive && StreamCapture.Spoils(stream, out result)) return result;
        result = CudaStreamCalls.Send_cuStreamSynchronize(thread, CallClass.Blocking, stream);
        DeviceOutput.Print(thread);
        return result;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuEventSynchronize")]
    public static CUresult EventSynchronize(CUevent @event)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (StreamCapture.IsActive && StreamCapture.Holds(@event)) return CUresult.CUDA_ERROR_CAPTURED_EVENT;
        result = CudaEventCalls.Send_cuEventSynchronize(thread, CallClass.Blocking, @event);
        DeviceOutput.Print(thread);
        return result;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuEventRecordWithFlags")]
    public static CUresult RecordWithFlags(CUevent @event, CUstream stream, uint flags) => Record(@event, stream, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuEventRecordWithFlags_ptsz")]
    public static CUresult RecordWithFlags_ptsz(CUevent @event, CUstream stream, uint flags) => Record(@event, PerThread.Of(stream), flags);

    /// <param name="flags">1 CU_EVENT_RECORD_EXTERNAL: in a capture a node that records, not a place in it</param>
    internal static CUresult Record(CUevent @event, CUstream stream, uint flags)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (flags > 1) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (StreamCapture.IsActive)
        {
            if (flags == 1 && StreamCapture.TakesEvent(stream, @event, isRecord: true, out result)) return result;
            if (StreamCapture.Records(@event, stream)) return CUresult.CUDA_SUCCESS;
        }
        return CudaEventCalls.Send_cuEventRecord(thread, SharedEvents.ClassOf(@event), @event, stream);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuStreamAddCallback")]
    public static CUresult AddCallback(CUstream stream, void* callback, void* userData, uint flags) => Callback(stream, callback, userData, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamAddCallback_ptsz")]
    public static CUresult AddCallback_ptsz(CUstream stream, void* callback, void* userData, uint flags) => Callback(PerThread.Of(stream), callback, userData, flags);

    private struct StreamCallback
    {
        public delegate* unmanaged<CUstream, CUresult, void*, void> Function;
        public CUstream Stream;
        public void* UserData;
    }

    /// <summary>A host function of ours that calls the program's with its three arguments. The status is success: a callback behind a failed stream does not run.</summary>
    private static CUresult Callback(CUstream stream, void* callback, void* userData, uint flags)
    {
        if (callback == null || flags != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        // The callback's status argument has no meaning in a graph: the driver refuses too.
        if (StreamCapture.IsActive && StreamCapture.Spoils(stream, out CUresult spoilt)) return spoilt;
        CUresult result = Session.Enter(out _);
        if (result != CUresult.CUDA_SUCCESS) return result;
        StreamCallback* block = (StreamCallback*)NativeMemory.Alloc((nuint)sizeof(StreamCallback));
        *block = new StreamCallback { Function = (delegate* unmanaged<CUstream, CUresult, void*, void>)callback, Stream = stream, UserData = userData };
        result = Launches.HostFunction(stream, (delegate* unmanaged<void*, void>)&RunCallback, block);
        if (result != CUresult.CUDA_SUCCESS) NativeMemory.Free(block);
        return result;
    }

    [UnmanagedCallersOnly]
    private static void RunCallback(void* argument)
    {
        StreamCallback block = *(StreamCallback*)argument;
        NativeMemory.Free(argument);
        block.Function(block.Stream, CUresult.CUDA_SUCCESS, block.UserData);
    }

    [ThreadStatic] private static int t_captureMode;

    /// <param name="mode">0 global, 1 thread local, 2 relaxed; receives the mode until now</param>
    [UnmanagedCallersOnly(EntryPoint = "cuThreadExchangeStreamCaptureMode")]
    public static CUresult ExchangeCaptureMode(int* mode)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        if (mode == null || *mode is < 0 or > 2) return CUresult.CUDA_ERROR_INVALID_VALUE;
        (t_captureMode, *mode) = (*mode, t_captureMode);
        return CUresult.CUDA_SUCCESS;
    }
}
