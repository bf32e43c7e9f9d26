using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: what the wrapper knows of a stream, and hints. CUDA Driver API, "Stream Management".
internal static unsafe class StreamQuestions
{
    private static readonly Lock Gate = new();
    private static readonly Dictionary<ulong, ulong> ContextOf = [];

    /// <summary>Remembers where a stream was made.</summary>
    internal static void Made(ProgramThread* thread, CUstream stream)
    {
        lock (Gate) ContextOf[stream.Value] = thread->Context;
    }

    /// <summary>The context that a stream was made in; 0: a default stream, or none.</summary>
    internal static ulong MadeIn(CUstream stream)
    {
        lock (Gate) return ContextOf.GetValueOrDefault(stream.Value);
    }

    internal static void ForgetContext(ulong context)
    {
        lock (Gate)
            foreach (ulong stream in ContextOf.Where(c => c.Value == context).Select(c => c.Key).ToArray()) ContextOf.Remove(stream);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuStreamCreateWithPriority")]
    public static CUresult CreateWithPriority(CUstream* stream, uint flags, int priority) => Create(stream, flags, priority);

    internal static CUresult Create(CUstream* stream, uint flags, int priority)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        result = CudaStreamCalls.Send_cuStreamCreateWithPriority(thread, CallClass.Answer, stream, flags, priority);
        if (result == CUresult.CUDA_SUCCESS) Made(thread, *stream);
        return result;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuStreamDestroy_v2")]
    public static CUresult Destroy(CUstream stream) => End(stream);

    internal static CUresult End(CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        result = CudaStreamCalls.Send_cuStreamDestroy_v2(thread, CallClass.Answer, stream);
        if (result == CUresult.CUDA_SUCCESS)
            lock (Gate) ContextOf.Remove(stream.Value);
        return result;
    }

    private static CUresult Exists(CUstream stream, void* into, out ProgramThread* thread)
    {
        CUresult result = Session.Enter(out thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (into == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        uint flags;
        return CudaStreamCalls.Send_cuStreamGetFlags(thread, stream, &flags); // the stream's existence is the delegator's to know
    }

    [UnmanagedCallersOnly(EntryPoint = "cuStreamGetCtx")]
    public static CUresult GetContext(CUstream stream, CUcontext* context) => Context(stream, context);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamGetCtx_ptsz")]
    public static CUresult GetContext_ptsz(CUstream stream, CUcontext* context) => Context(PerThread.Of(stream), context);

    /// <summary>The context in which a stream was made; default streams are the current one's.</summary>
    private static CUresult Context(CUstream stream, CUcontext* context)
    {
        CUresult result = Exists(stream, context, out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        lock (Gate) *context = new CUcontext(ContextOf.GetValueOrDefault(stream.Value, thread->Context));
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuStreamGetId")]
    public static CUresult GetId(CUstream stream, ulong* id) => Id(stream, id);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamGetId_ptsz")]
    public static CUresult GetId_ptsz(CUstream stream, ulong* id) => Id(PerThread.Of(stream), id);

    /// <summary>A number that no other stream of the program has. Default streams: by context, and by thread.</summary>
    private static CUresult Id(CUstream stream, ulong* id)
    {
        CUresult result = Exists(stream, id, out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        ulong context = VirtualHandle.SerialOf(thread->Context) << 32;
        *id = stream.Value switch { 0 or 1 => 1UL << 63 | context, 2 => 1UL << 62 | context | (uint)Environment.CurrentManagedThreadId, _ => VirtualHandle.SerialOf(stream.Value) };
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuStreamAttachMemAsync")]
    public static CUresult Attach(CUstream stream, CUdeviceptr address, nuint bytes, uint flags) => AttachMemory(stream, address, bytes, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamAttachMemAsync_ptsz")]
    public static CUresult Attach_ptsz(CUstream stream, CUdeviceptr address, nuint bytes, uint flags) => AttachMemory(PerThread.Of(stream), address, bytes, flags);

    /// <summary>Managed memory is always reachable from both sides: who may use it when is a hint without effect.</summary>
    /// <param name="bytes">0: the whole of it</param><param name="flags">1 all streams, 2 the host, 4 this stream</param>
    private static CUresult AttachMemory(CUstream stream, CUdeviceptr address, nuint bytes, uint flags)
    {
        if (flags is not (1 or 2 or 4)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        CUresult result = Exists(stream, &stream, out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        PointerFacts facts;
        result = CudaMemoryCalls.Send_trecrPointerFacts(thread, &facts, address);
        if (result != CUresult.CUDA_SUCCESS) return result;
        return facts.IsManaged == 0 || facts.RangeStart != address.Value || bytes != 0 && bytes != facts.RangeBytes ? CUresult.CUDA_ERROR_INVALID_VALUE : CUresult.CUDA_SUCCESS;
    }
}
