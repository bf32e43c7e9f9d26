using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Graphs;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: captures are the wrapper's own, as graphs are. CUDA Driver API, "Stream Management".
internal static unsafe class Captures
{
    [UnmanagedCallersOnly(EntryPoint = "cuStreamBeginCapture")]
    public static CUresult Begin_v1(CUstream stream) => Begin(stream, 0);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamBeginCapture_ptsz")]
    public static CUresult Begin_v1_ptsz(CUstream stream) => Begin(PerThread.Of(stream), 0);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamBeginCapture_v2")]
    public static CUresult Begin_v2(CUstream stream, int mode) => Begin(stream, mode);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamBeginCapture_v2_ptsz")]
    public static CUresult Begin_v2_ptsz(CUstream stream, int mode) => Begin(PerThread.Of(stream), mode);

    /// <param name="mode">0 global, 1 thread local, 2 relaxed: which unsafe calls of which threads are refused meanwhile. Here none is: none disturbs.</param>
    private static CUresult Begin(CUstream stream, int mode)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (mode is < 0 or > 2) return CUresult.CUDA_ERROR_INVALID_VALUE;
        // The legacy stream waits for all others, which a graph cannot say.
        if (stream.Value is 0 or 1) return CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        uint flags;
        result = CudaStreamCalls.Send_cuStreamGetFlags(thread, stream, &flags);
        return result != CUresult.CUDA_SUCCESS ? result : GraphCalls.Do(() =>
        {
            if (StreamCapture.Of(stream) is not null) return CUresult.CUDA_ERROR_ILLEGAL_STATE;
            StreamCapture.Begin(stream);
            return CUresult.CUDA_SUCCESS;
        });
    }

    [UnmanagedCallersOnly(EntryPoint = "cuStreamEndCapture")]
    public static CUresult End(CUstream stream, ulong* graph) => Ends(stream, graph);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamEndCapture_ptsz")]
    public static CUresult End_ptsz(CUstream stream, ulong* graph) => Ends(PerThread.Of(stream), graph);

    private static CUresult Ends(CUstream stream, ulong* graph) => graph == null ? CUresult.CUDA_ERROR_INVALID_VALUE : GraphCalls.DoEnding(ended =>
    {
        *graph = 0;
        if (StreamCapture.Of(stream) is not { } capture) return CUresult.CUDA_ERROR_ILLEGAL_STATE;
        if (capture.Origin != stream.Value) return CUresult.CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
        CUresult result = capture.IsInvalid ? CUresult.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : capture.IsUnjoined ? CUresult.CUDA_ERROR_STREAM_CAPTURE_UNJOINED : CUresult.CUDA_SUCCESS;
        capture.End();
        if (result == CUresult.CUDA_SUCCESS) *graph = capture.Graph.Handle;
        else GraphObjects.Remove(capture.Graph, ended);
        return result;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuStreamIsCapturing")]
    public static CUresult IsCapturing(CUstream stream, int* status) => Status(stream, status, null, null, null, null);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamIsCapturing_ptsz")]
    public static CUresult IsCapturing_ptsz(CUstream stream, int* status) => Status(PerThread.Of(stream), status, null, null, null, null);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamGetCaptureInfo")]
    public static CUresult GetInfo(CUstream stream, int* status, ulong* id) => Status(stream, status, id, null, null, null);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamGetCaptureInfo_ptsz")]
    public static CUresult GetInfo_ptsz(CUstream stream, int* status, ulong* id) => Status(PerThread.Of(stream), status, id, null, null, null);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamGetCaptureInfo_v2")]
    public static CUresult GetInfo_v2(CUstream stream, int* status, ulong* id, ulong* graph, ulong** dependencies, nuint* count) => Status(stream, status, id, graph, dependencies, count);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamGetCaptureInfo_v2_ptsz")]
    public static CUresult GetInfo_v2_ptsz(CUstream stream, int* status, ulong* id, ulong* graph, ulong** dependencies, nuint* count)
        => Status(PerThread.Of(stream), status, id, graph, dependencies, count);

    // What cuStreamGetCaptureInfo_v2 gave last: valid until the next call of the thread on such a stream.
    [ThreadStatic] private static ulong[]? t_dependencies;

    /// <param name="status">receives 0 none, 1 active, 2 invalidated</param>
    private static CUresult Status(CUstream stream, int* status, ulong* id, ulong* graph, ulong** dependencies, nuint* count)
    {
        CUresult result = Session.Enter(out _);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (status == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *status = 0;
        return !StreamCapture.IsActive ? CUresult.CUDA_SUCCESS : GraphCalls.Do(() =>
        {
            if (StreamCapture.Of(stream) is not { } capture) return CUresult.CUDA_SUCCESS;
            *status = capture.IsInvalid ? 2 : 1;
            if (id != null) *id = capture.Id;
            if (graph != null) *graph = capture.Graph.Handle;
            GraphNode[] frontier = [.. capture.Frontier(stream)];
            t_dependencies = GC.AllocateArray<ulong>(frontier.Length + 1, pinned: true);
            for (int i = 0; i < frontier.Length; i++) t_dependencies[i] = frontier[i].Handle;
            if (dependencies != null) *dependencies = (ulong*)Marshal.UnsafeAddrOfPinnedArrayElement(t_dependencies, 0);
            if (count != null) *count = (nuint)frontier.Length;
            return CUresult.CUDA_SUCCESS;
        });
    }

    [UnmanagedCallersOnly(EntryPoint = "cuStreamUpdateCaptureDependencies")]
    public static CUresult Update(CUstream stream, ulong* dependencies, nuint count, uint flags) => Updates(stream, dependencies, count, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamUpdateCaptureDependencies_ptsz")]
    public static CUresult Update_ptsz(CUstream stream, ulong* dependencies, nuint count, uint flags) => Updates(PerThread.Of(stream), dependencies, count, flags);

    /// <param name="flags">0 adds to what the next node comes after, 1 sets it</param>
    private static CUresult Updates(CUstream stream, ulong* dependencies, nuint count, uint flags) => GraphCalls.Do(() =>
    {
        if (StreamCapture.Of(stream) is not { } capture) return CUresult.CUDA_ERROR_ILLEGAL_STATE;
        if (flags > 1 || !GraphCalls.TryNodes(capture.Graph, dependencies, count, out GraphNode[] nodes)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        List<GraphNode> frontier = capture.Frontier(stream);
        if (flags == 1) frontier.Clear();
        frontier.AddRange(nodes.Except(frontier).ToArray());
        return CUresult.CUDA_SUCCESS;
    });

    // ---- calls that are work or nodes; the rest of those stands with its family

    [UnmanagedCallersOnly(EntryPoint = "cuEventRecord")]
    public static CUresult Record(CUevent @event, CUstream stream) => StreamsAndEvents.Record(@event, stream, 0);

    [UnmanagedCallersOnly(EntryPoint = "cuEventRecord_ptsz")]
    public static CUresult Record_ptsz(CUevent @event, CUstream stream) => StreamsAndEvents.Record(@event, PerThread.Of(stream), 0);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWaitEvent")]
    public static CUresult WaitEvent(CUstream stream, CUevent @event, uint flags) => Waits(stream, @event, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWaitEvent_ptsz")]
    public static CUresult WaitEvent_ptsz(CUstream stream, CUevent @event, uint flags) => Waits(PerThread.Of(stream), @event, flags);

    private static CUresult Waits(CUstream stream, CUevent @event, uint flags)
    {
        const uint external = 1;
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (StreamCapture.IsActive)
        {
            if (flags == external && StreamCapture.TakesEvent(stream, @event, isRecord: false, out result)) return result;
            if (flags == 0 && StreamCapture.Waits(stream, @event, out result)) return result;
        }
        return CudaStreamCalls.Send_cuStreamWaitEvent(thread, CallClass.Enqueue, stream, @event, flags);
    }
}
