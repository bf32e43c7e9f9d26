using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Calls.Records;
using TreCr.Wrapper.Cuda.Graphs;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: whether a copy waits depends on where its host side lies (remarks of ICudaCopy). CUDA Driver API, "Memory Management",
// "API synchronization behavior".
internal static unsafe class Copies
{
    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyHtoDAsync_v2")]
    public static CUresult HtoDAsync(CUdeviceptr destination, void* source, nuint bytes, CUstream stream) => ToDevice(destination, source, bytes, stream, mayReturn: true);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyHtoDAsync_v2_ptsz")]
    public static CUresult HtoDAsync_ptsz(CUdeviceptr destination, void* source, nuint bytes, CUstream stream)
        => ToDevice(destination, source, bytes, PerThread.Of(stream), mayReturn: true);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyHtoD_v2")]
    public static CUresult HtoD(CUdeviceptr destination, void* source, nuint bytes) => ToDevice(destination, source, bytes, CUstream.Default, mayReturn: false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyHtoD_v2_ptds")]
    public static CUresult HtoD_ptds(CUdeviceptr destination, void* source, nuint bytes) => ToDevice(destination, source, bytes, CUstream.PerThread, mayReturn: false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyDtoHAsync_v2")]
    public static CUresult DtoHAsync(void* destination, CUdeviceptr source, nuint bytes, CUstream stream) => ToHost(destination, source, bytes, stream, mayReturn: true);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyDtoHAsync_v2_ptsz")]
    public static CUresult DtoHAsync_ptsz(void* destination, CUdeviceptr source, nuint bytes, CUstream stream)
        => ToHost(destination, source, bytes, PerThread.Of(stream), mayReturn: true);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyDtoH_v2")]
    public static CUresult DtoH(void* destination, CUdeviceptr source, nuint bytes) => ToHost(destination, source, bytes, CUstream.Default, mayReturn: false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyDtoH_v2_ptds")]
    public static CUresult DtoH_ptds(void* destination, CUdeviceptr source, nuint bytes) => ToHost(destination, source, bytes, CUstream.PerThread, mayReturn: false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyDtoD_v2")]
    public static CUresult DtoD(CUdeviceptr destination, CUdeviceptr source, nuint bytes) => OnDevice(destination, source, bytes, CUstream.Default);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyDtoD_v2_ptds")]
    public static CUresult DtoD_ptds(CUdeviceptr destination, CUdeviceptr source, nuint bytes) => OnDevice(destination, source, bytes, CUstream.PerThread);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyDtoDAsync_v2")]
    public static CUresult DtoDAsync(CUdeviceptr destination, CUdeviceptr source, nuint bytes, CUstream stream) => OnDevice(destination, source, bytes, stream);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyDtoDAsync_v2_ptsz")]
    public static CUresult DtoDAsync_ptsz(CUdeviceptr destination, CUdeviceptr source, nuint bytes, CUstream stream) => OnDevice(destination, source, bytes, PerThread.Of(stream));

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpy")]
    public static CUresult Any(ulong destination, ulong source, nuint bytes) => Inferred(destination, source, bytes, CUstream.Default, mayReturn: false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpy_ptds")]
    public static CUresult Any_ptds(ulong destination, ulong source, nuint bytes) => Inferred(destination, source, bytes, CUstream.PerThread, mayReturn: false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyAsync")]
    public static CUresult AnyAsync(ulong destination, ulong source, nuint bytes, CUstream stream) => Inferred(destination, source, bytes, stream, mayReturn: true);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyAsync_ptsz")]
    public static CUresult AnyAsync_ptsz(ulong destination, ulong source, nuint bytes, CUstream stream)
        => Inferred(destination, source, bytes, PerThread.Of(stream), mayReturn: true);

    // Between devices: addresses say where memory lies; the contexts are only checked.

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyPeer")]
    public static CUresult Peer(CUdeviceptr destination, CUcontext to, CUdeviceptr source, CUcontext from, nuint bytes) => BetweenContexts(destination, to, source, from, bytes, CUstream.Default);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyPeer_ptds")]
    public static CUresult Peer_ptds(CUdeviceptr destination, CUcontext to, CUdeviceptr source, CUcontext from, nuint bytes) => BetweenContexts(destination, to, source, from, bytes, CUstream.PerThread);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyPeerAsync")]
    public static CUresult PeerAsync(CUdeviceptr destination, CUcontext to, CUdeviceptr source, CUcontext from, nuint bytes, CUstream stream) => BetweenContexts(destination, to, source, from, bytes, stream);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyPeerAsync_ptsz")]
    public static CUresult PeerAsync_ptsz(CUdeviceptr destination, CUcontext to, CUdeviceptr source, CUcontext from, nuint bytes, CUstream stream)
        => BetweenContexts(destination, to, source, from, bytes, PerThread.Of(stream));

    private static CUresult BetweenContexts(CUdeviceptr destination, CUcontext to, CUdeviceptr source, CUcontext from, nuint bytes, CUstream stream)
        => Session.Ready == CUresult.CUDA_SUCCESS && (!Contexts.TryFind(to.Value, out _, out _) || !Contexts.TryFind(from.Value, out _, out _)) ? CUresult.CUDA_ERROR_INVALID_CONTEXT
            : OnDevice(destination, source, bytes, stream);

    /// <param name="mayReturn">the Async form</param>
    internal static CUresult ToDevice(CUdeviceptr destination, void* source, nuint bytes, CUstream stream, bool mayReturn)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (bytes == 0) return CUresult.CUDA_SUCCESS;
        if (StreamCapture.IsActive && Node(destination.Value, (ulong)source, bytes, stream, out result)) return result;
        bool pinned = Addresses.IsPinned((ulong)source);
        CallClass how = mayReturn && (pinned || bytes <= RecordLimits.MaxInlineBytes) ? CallClass.Enqueue : CallClass.Blocking;
        CallClass proven = thread->Proven.How(destination.Value, bytes, out int epoch);
        if (how == CallClass.Enqueue && !pinned) how = proven; // from pinned memory the answer would wait for the stream
        return thread->Proven.Learn(CudaCopyCalls.Send_cuMemcpyHtoDAsync_v2(thread, how, pinned ? 1u << 1 : 0, destination, source, bytes, stream), how, epoch, destination.Value, bytes);
    }

    internal static CUresult ToHost(void* destination, CUdeviceptr source, nuint bytes, CUstream stream, bool mayReturn)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (bytes == 0) return CUresult.CUDA_SUCCESS;
        if (StreamCapture.IsActive && Node((ulong)destination, source.Value, bytes, stream, out result)) return result;
        bool pinned = Addresses.IsPinned((ulong)destination);
        thread->Proven.How(source.Value, bytes, out int epoch);
        CallClass how = mayReturn && pinned ? CallClass.Enqueue : CallClass.Blocking;
        result = thread->Proven.Learn(CudaCopyCalls.Send_cuMemcpyDtoHAsync_v2(thread, how, pinned ? 1u : 0, destination, source, bytes, stream), how, epoch, source.Value, bytes);
        DeviceOutput.Print(thread);
        return result;
    }

    private static CUresult OnDevice(CUdeviceptr destination, CUdeviceptr source, nuint bytes, CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS || bytes == 0) return result;
        if (StreamCapture.IsActive && Node(destination.Value, source.Value, bytes, stream, out result)) return result;
        CallClass to = thread->Proven.How(destination.Value, bytes, out int epoch), from = thread->Proven.How(source.Value, bytes, out _), how = to == CallClass.Enqueue ? from : to;
        result = CudaCopyCalls.Send_cuMemcpyDtoDAsync_v2(thread, how, destination, source, bytes, stream);
        thread->Proven.Learn(result, how, epoch, source.Value, bytes);
        return thread->Proven.Learn(result, how, epoch, destination.Value, bytes);
    }

    /// <summary>A node in place of the copy, where the stream captures.</summary>
    private static bool Node(ulong destination, ulong source, nuint bytes, CUstream stream, out CUresult result)
    {
        const uint unified = 4;
        CUDA_MEMCPY3D copy = new()
        {
            SrcMemoryType = unified, SrcDevice = source, SrcPitch = bytes, SrcHeight = 1, DstMemoryType = unified, DstDevice = destination, DstPitch = bytes, DstHeight = 1, WidthInBytes = bytes, Height = 1, Depth = 1,
        };
        CUDA_MEMCPY3D* at = &copy;
        return StreamCapture.Takes(stream, () => GraphNodeParams.Memcpy(at), out result);
    }

    /// <summary>Kinds by address: device slots and globals are the device's, all else the host's (pinned and managed memory is both, and the host side serves).</summary>
    private static CUresult Inferred(ulong destination, ulong source, nuint bytes, CUstream stream, bool mayReturn)
    {
        bool toDevice = Addresses.IsDevice(destination), fromDevice = Addresses.IsDevice(source);
        if (toDevice && fromDevice) return OnDevice(new CUdeviceptr(destination), new CUdeviceptr(source), bytes, stream);
        if (toDevice) return ToDevice(new CUdeviceptr(destination), (void*)source, bytes, stream, mayReturn);
        if (fromDevice) return ToHost((void*)destination, new CUdeviceptr(source), bytes, stream, mayReturn);
        return OnHost((byte*)destination, (byte*)source, bytes, stream);
    }

    /// <summary>Host to host: after the work queued before it where a kernel might still write there, then plainly.</summary>
    internal static CUresult OnHost(byte* destination, byte* source, nuint bytes, CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (bytes == 0) return CUresult.CUDA_SUCCESS;
        if (destination == null || source == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (StreamCapture.IsActive && Node((ulong)destination, (ulong)source, bytes, stream, out result)) return result;
        result = WaitIfPinned(thread, (ulong)destination, (ulong)source, stream);
        if (result == CUresult.CUDA_SUCCESS) Buffer.MemoryCopy(source, destination, bytes, bytes);
        return result;
    }

    internal static CUresult WaitIfPinned(ProgramThread* thread, ulong a, ulong b, CUstream stream)
        => Addresses.IsPinned(a) || Addresses.IsPinned(b) ? CudaStreamCalls.Send_cuStreamSynchronize(thread, CallClass.Blocking, stream) : CUresult.CUDA_SUCCESS;
}
