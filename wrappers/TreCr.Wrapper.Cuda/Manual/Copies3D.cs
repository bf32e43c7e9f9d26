using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: a box is copied slice by slice, each a 2-D copy; between devices every address says where it lies. CUDA Driver API, "Memory Management",
// CUDA_MEMCPY3D, CUDA_MEMCPY3D_PEER.
internal static unsafe class Copies3D
{
    private const uint Host = 1, Device = 2, Array = 3, Unified = 4;

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpy3D_v2")]
    public static CUresult Copy3D(CUDA_MEMCPY3D* copy) => Copy(copy, CUstream.Default, mayReturn: false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpy3D_v2_ptds")]
    public static CUresult Copy3D_ptds(CUDA_MEMCPY3D* copy) => Copy(copy, CUstream.PerThread, mayReturn: false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpy3DAsync_v2")]
    public static CUresult Copy3DAsync(CUDA_MEMCPY3D* copy, CUstream stream) => Copy(copy, stream, mayReturn: true);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpy3DAsync_v2_ptsz")]
    public static CUresult Copy3DAsync_ptsz(CUDA_MEMCPY3D* copy, CUstream stream) => Copy(copy, PerThread.Of(stream), mayReturn: true);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpy3DPeer")]
    public static CUresult Peer(CUDA_MEMCPY3D* copy) => BetweenContexts(copy, CUstream.Default, mayReturn: false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpy3DPeer_ptds")]
    public static CUresult Peer_ptds(CUDA_MEMCPY3D* copy) => BetweenContexts(copy, CUstream.PerThread, mayReturn: false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpy3DPeerAsync")]
    public static CUresult PeerAsync(CUDA_MEMCPY3D* copy, CUstream stream) => BetweenContexts(copy, stream, mayReturn: true);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpy3DPeerAsync_ptsz")]
    public static CUresult PeerAsync_ptsz(CUDA_MEMCPY3D* copy, CUstream stream) => BetweenContexts(copy, PerThread.Of(stream), mayReturn: true);

    private static CUresult BetweenContexts(CUDA_MEMCPY3D* copy, CUstream stream, bool mayReturn)
    {
        CUresult result = Session.Enter(out _);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (copy == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (!IsContext(copy->SrcContext, copy->SrcMemoryType) || !IsContext(copy->DstContext, copy->DstMemoryType)) return CUresult.CUDA_ERROR_INVALID_CONTEXT;
        return Copy(in *copy, stream, mayReturn);
    }

    private static bool IsContext(ulong context, uint memoryType) => memoryType == Host || context == 0 || Contexts.TryFind(context, out _, out _);

    private static CUresult Copy(CUDA_MEMCPY3D* copy, CUstream stream, bool mayReturn)
    {
        CUresult result = Session.Enter(out _);
        return result != CUresult.CUDA_SUCCESS ? result : copy == null ? CUresult.CUDA_ERROR_INVALID_VALUE : Copy(in *copy, stream, mayReturn);
    }

    /// <summary>A host side in memory that the device does not share.</summary>
    internal static bool IsPageable(in CUDA_MEMCPY3D copy) => IsPageable(copy.SrcMemoryType, copy.SrcHost, copy.SrcDevice) || IsPageable(copy.DstMemoryType, copy.DstHost, copy.DstDevice);

    private static bool IsPageable(uint type, ulong host, ulong device)
        => type == Host ? !Addresses.IsPinned(host) : type == Unified && !Addresses.IsPinned(device) && !Addresses.IsDevice(device);

    /// <summary>What can be said of a copy before it is made.</summary>
    internal static CUresult Check(in CUDA_MEMCPY3D copy)
    {
        if (copy.SrcMemoryType is 0 or > Unified || copy.DstMemoryType is 0 or > Unified) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (copy.SrcMemoryType == Array || copy.DstMemoryType == Array)
        {
            CUDA_MEMCPY3D resolved = copy;
            CUresult result = Arrays.Resolve(ref resolved);
            return result == CUresult.CUDA_SUCCESS ? Check(in resolved) : result;
        }
        if (copy.SrcLod != 0 || copy.DstLod != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        bool rows = copy.Height > 1 || copy.Depth > 1, slices = copy.Depth > 1;
        if (rows && (copy.SrcPitch < copy.SrcXInBytes + copy.WidthInBytes || copy.DstPitch < copy.DstXInBytes + copy.WidthInBytes)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        return slices && (copy.SrcHeight < copy.SrcY + copy.Height || copy.DstHeight < copy.DstY + copy.Height) ? CUresult.CUDA_ERROR_INVALID_VALUE : CUresult.CUDA_SUCCESS;
    }

    internal static CUresult Copy(in CUDA_MEMCPY3D given, CUstream stream, bool mayReturn)
    {
        CUDA_MEMCPY3D copy = given;
        CUresult result = Arrays.Resolve(ref copy);
        if (result == CUresult.CUDA_SUCCESS) result = Check(in copy);
        if (copy.WidthInBytes == 0 || copy.Height == 0) return result;
        for (ulong z = 0; z < copy.Depth && result == CUresult.CUDA_SUCCESS; z++)
        {
            ulong source = (copy.SrcZ + z) * copy.SrcPitch * copy.SrcHeight, destination = (copy.DstZ + z) * copy.DstPitch * copy.DstHeight;
            CUDA_MEMCPY2D slice = new()
            {
                SrcXInBytes = copy.SrcXInBytes, SrcY = copy.SrcY, SrcMemoryType = copy.SrcMemoryType, SrcPitch = copy.SrcPitch, SrcHost = copy.SrcHost + source, SrcDevice = copy.SrcDevice + source,
                DstXInBytes = copy.DstXInBytes, DstY = copy.DstY, DstMemoryType = copy.DstMemoryType, DstPitch = copy.DstPitch, DstHost = copy.DstHost + destination, DstDevice = copy.DstDevice + destination,
                WidthInBytes = copy.WidthInBytes, Height = copy.Height,
            };
            result = Copies2D.Copy(&slice, stream, mayReturn);
        }
        return result;
    }
}
