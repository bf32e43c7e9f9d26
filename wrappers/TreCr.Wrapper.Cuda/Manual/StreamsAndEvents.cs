using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: waits that print device output, and forms of calls that have a record of their own elsewhere.
// CUDA Driver API, "Stream Management", "Event Management".
internal static unsafe class StreamsAndEvents
{
    [UnmanagedCallersOnly(EntryPoint = "cuStreamCreate")]
    public static CUresult Create(CUstream* stream, uint flags)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        return flags > 1 ? CUresult.CUDA_ERROR_INVALID_VALUE : CudaStreamCalls.Send_cuStreamCreateWithPriority(thread, stream, flags, 0);
    }

    // The unsuffixed names are separate symbols with the same 64-bit ABI; cuFFT takes cuEventDestroy by dlsym.
    [UnmanagedCallersOnly(EntryPoint = "cuStreamDestroy")]
    public static CUresult Destroy_v1(CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result : CudaStreamCalls.Send_cuStreamDestroy_v2(thread, stream);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuEventDestroy")]
    public static CUresult EventDestroy_v1(CUevent @event)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result : CudaEventCalls.Send_cuEventDestroy_v2(thread, @event);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuStreamSynchronize")]
    public static CUresult Synchronize(CUstream stream) => Wait(stream);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamSynchronize_ptsz")]
    public static CUresult Synchronize_ptsz(CUstream stream) => Wait(PerThread.Of(stream));

    private static CUresult Wait(CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        result = CudaStreamCalls.Send_cuStreamSynchronize(thread, CallClass.Blocking, stream);
        DeviceOutput.Print(thread);
        return result;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuEventSynchronize")]
    public static CUresult EventSynchronize(CUevent @event)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        result = CudaEventCalls.Send_cuEventSynchronize(thread, CallClass.Blocking, @event);
        DeviceOutput.Print(thread);
        return result;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuEventRecordWithFlags")]
    public static CUresult RecordWithFlags(CUevent @event, CUstream stream, uint flags) => Record(@event, stream, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuEventRecordWithFlags_ptsz")]
    public static CUresult RecordWithFlags_ptsz(CUevent @event, CUstream stream, uint flags) => Record(@event, PerThread.Of(stream), flags);

    /// <param name="flags">1 CU_EVENT_RECORD_EXTERNAL differs only inside a capture</param>
    private static CUresult Record(CUevent @event, CUstream stream, uint flags)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        return flags > 1 ? CUresult.CUDA_ERROR_INVALID_VALUE : CudaEventCalls.Send_cuEventRecord(thread, @event, stream);
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

    // Stream capture is not supported (cuStreamBeginCapture refuses by name), so that no stream captures: libraries ask before each use of their workspaces.

    [UnmanagedCallersOnly(EntryPoint = "cuStreamGetCaptureInfo")]
    public static CUresult GetCaptureInfo(CUstream stream, int* status, ulong* id) => CaptureInfo(status);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamGetCaptureInfo_ptsz")]
    public static CUresult GetCaptureInfo_ptsz(CUstream stream, int* status, ulong* id) => CaptureInfo(status);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamGetCaptureInfo_v2")]
    public static CUresult GetCaptureInfo_v2(CUstream stream, int* status, ulong* id, void** graph, void** dependencies, nuint* count) => CaptureInfo(status);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamGetCaptureInfo_v2_ptsz")]
    public static CUresult GetCaptureInfo_v2_ptsz(CUstream stream, int* status, ulong* id, void** graph, void** dependencies, nuint* count) => CaptureInfo(status);

    private static CUresult CaptureInfo(int* status)
    {
        CUresult result = Session.Enter(out _);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (status == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *status = 0;
        return CUresult.CUDA_SUCCESS;
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
