using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Images;

/// <summary>Device memory that an image lies in, and the handle that the delegator has for it.</summary>
internal static unsafe class ImageMemory
{
    /// <summary>Both, or neither.</summary>
    public static CUresult Make(ProgramThread* thread, ulong bytes, out CUdeviceptr memory, out CUarray handle)
    {
        CUdeviceptr at = default;
        CUarray made = default;
        CUresult result = CudaMemoryCalls.Send_cuMemAlloc_v2(thread, &at, (nuint)bytes);
        if (result == CUresult.CUDA_SUCCESS)
        {
            result = CudaImageCalls.Send_trecrImageCreate(thread, &made, at);
            if (result != CUresult.CUDA_SUCCESS) CudaMemoryCalls.Send_cuMemFree_v2(thread, CallClass.Blocking, at);
        }
        (memory, handle) = (at, made);
        return result;
    }

    public static CUresult End(ProgramThread* thread, ulong memory, ulong handle)
    {
        CudaImageCalls.Send_trecrImageDestroy(thread, new CUarray(handle));
        return CudaMemoryCalls.Send_cuMemFree_v2(thread, CallClass.Blocking, new CUdeviceptr(memory));
    }
}
