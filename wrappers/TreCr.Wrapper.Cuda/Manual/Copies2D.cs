using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Graphs;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: class by where the host sides lie; host-to-host copies need no device. CUDA Driver API, "Memory Management", CUDA_MEMCPY2D.
internal static unsafe class Copies2D
{
    private const uint Host = 1, Device = 2, Array = 3, Unified = 4;

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpy2D_v2")]
    public static CUresult Copy2D(CUDA_MEMCPY2D* copy) => Copy(copy, CUstream.Default, mayReturn: false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpy2D_v2_ptds")]
    public static CUresult Copy2D_ptds(CUDA_MEMCPY2D* copy) => Copy(copy, CUstream.PerThread, mayReturn: false);

    /// <summary>Without the pitch limit of the aligned form, which is not enforced here at all.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuMemcpy2DUnaligned_v2")]
    public static CUresult Copy2DUnaligned(CUDA_MEMCPY2D* copy) => Copy(copy, CUstream.Default, mayReturn: false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpy2DUnaligned_v2_ptds")]
    public static CUresult Copy2DUnaligned_ptds(CUDA_MEMCPY2D* copy) => Copy(copy, CUstream.PerThread, mayReturn: false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpy2DAsync_v2")]
    public static CUresult Copy2DAsync(CUDA_MEMCPY2D* copy, CUstream stream) => Copy(copy, stream, mayReturn: true);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpy2DAsync_v2_ptsz")]
    public static CUresult Copy2DAsync_ptsz(CUDA_MEMCPY2D* copy, CUstream stream) => Copy(copy, PerThread.Of(stream), mayReturn: true);

    internal static CUresult Copy(CUDA_MEMCPY2D* given, CUstream stream, bool mayReturn)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (given == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        CUDA_MEMCPY2D copy = *given;
        if ((copy.SrcMemoryType == Array || copy.DstMemoryType == Array) && (result = Resolve(ref copy)) != CUresult.CUDA_SUCCESS) return result;
        if (copy.SrcMemoryType is 0 or > Unified || copy.DstMemoryType is 0 or > Unified) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (copy.WidthInBytes == 0 || copy.Height == 0) return CUresult.CUDA_SUCCESS;
        if (StreamCapture.IsActive && Node(in copy, stream, out result)) return result;
        // A unified address is the device's or the host's; SrcDevice holds it.
        if (copy.SrcMemoryType == Unified)
        {
            copy.SrcMemoryType = Addresses.IsDevice(copy.SrcDevice) ? Device : Host;
            copy.SrcHost = copy.SrcDevice;
        }
        if (copy.DstMemoryType == Unified)
        {
            copy.DstMemoryType = Addresses.IsDevice(copy.DstDevice) ? Device : Host;
            copy.DstHost = copy.DstDevice;
        }
        // Pitch 0 means rows without gaps.
        if (copy.SrcPitch == 0) copy.SrcPitch = copy.SrcXInBytes + copy.WidthInBytes;
        if (copy.DstPitch == 0) copy.DstPitch = copy.DstXInBytes + copy.WidthInBytes;
        if (copy.SrcPitch < copy.SrcXInBytes + copy.WidthInBytes || copy.DstPitch < copy.DstXInBytes + copy.WidthInBytes) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (copy.SrcMemoryType == Host && copy.SrcHost == 0 || copy.DstMemoryType == Host && copy.DstHost == 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (copy.SrcMemoryType == Host && copy.DstMemoryType == Host) return OnHost(thread, in copy, stream);
        bool pageable = copy.SrcMemoryType == Host && !Addresses.IsPinned(copy.SrcHost) || copy.DstMemoryType == Host && !Addresses.IsPinned(copy.DstHost);
        result = CudaCopyCalls.Send_cuMemcpy2DAsync_v2(thread, mayReturn && !pageable ? CallClass.Enqueue : CallClass.Blocking, &copy, stream);
        DeviceOutput.Print(thread);
        return result;
    }

    private static CUDA_MEMCPY3D BoxOf(in CUDA_MEMCPY2D copy) => new()
    {
        SrcXInBytes = copy.SrcXInBytes, SrcY = copy.SrcY, SrcMemoryType = copy.SrcMemoryType, SrcHost = copy.SrcHost, SrcDevice = copy.SrcDevice, SrcPitch = copy.SrcPitch, SrcArray = copy.SrcArray,
        DstXInBytes = copy.DstXInBytes, DstY = copy.DstY, DstMemoryType = copy.DstMemoryType, DstHost = copy.DstHost, DstDevice = copy.DstDevice, DstPitch = copy.DstPitch, DstArray = copy.DstArray,
        WidthInBytes = copy.WidthInBytes, Height = copy.Height, Depth = 1,
    };

    /// <summary>Memory in place of arrays.</summary>
    private static CUresult Resolve(ref CUDA_MEMCPY2D copy)
    {
        CUDA_MEMCPY3D box = BoxOf(in copy);
        CUresult result = Arrays.Resolve(ref box);
        if (copy.SrcMemoryType == Array) (copy.SrcMemoryType, copy.SrcDevice, copy.SrcPitch) = (box.SrcMemoryType, box.SrcDevice, box.SrcPitch);
        if (copy.DstMemoryType == Array) (copy.DstMemoryType, copy.DstDevice, copy.DstPitch) = (box.DstMemoryType, box.DstDevice, box.DstPitch);
        return result;
    }

    private static bool Node(in CUDA_MEMCPY2D copy, CUstream stream, out CUresult result)
    {
        CUDA_MEMCPY3D box = BoxOf(in copy);
        CUDA_MEMCPY3D* at = &box;
        return StreamCapture.Takes(stream, () => GraphNodeParams.Memcpy(at), out result);
    }

    private static CUresult OnHost(ProgramThread* thread, in CUDA_MEMCPY2D copy, CUstream stream)
    {
        CUresult result = Copies.WaitIfPinned(thread, copy.DstHost, copy.SrcHost, stream);
        if (result != CUresult.CUDA_SUCCESS) return result;
        byte* source = (byte*)copy.SrcHost + copy.SrcY * copy.SrcPitch + copy.SrcXInBytes, destination = (byte*)copy.DstHost + copy.DstY * copy.DstPitch + copy.DstXInBytes;
        for (ulong row = 0; row < copy.Height; row++)
            Buffer.MemoryCopy(source + row * copy.SrcPitch, destination + row * copy.DstPitch, copy.WidthInBytes, copy.WidthInBytes);
        return CUresult.CUDA_SUCCESS;
    }
}
