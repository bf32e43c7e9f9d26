using TreCr.Calls.Cuda;
using TreCr.Gmmu;

namespace TreCr.Delegator;

/// <summary>Copies and fills, checked against the GMMU's allocations before they reach the back end: one that crosses an allocation's end is CUDA_ERROR_INVALID_VALUE.</summary>
internal sealed unsafe class CheckedCopies(ICudaBackend backend, DeviceMemory memory) : ICudaCopy
{
    public CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr destination, void* source, nuint bytes, CUstream stream)
        => Inside(destination, bytes) ? backend.cuMemcpyHtoDAsync_v2(destination, source, bytes, stream) : CUresult.CUDA_ERROR_INVALID_VALUE;

    public CUresult cuMemcpyDtoHAsync_v2(void* destination, CUdeviceptr source, nuint bytes, CUstream stream)
        => Inside(source, bytes) ? backend.cuMemcpyDtoHAsync_v2(destination, source, bytes, stream) : CUresult.CUDA_ERROR_INVALID_VALUE;

    public CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr destination, CUdeviceptr source, nuint bytes, CUstream stream)
    {
        if (bytes == 0) return CUresult.CUDA_SUCCESS;
        return Inside(destination, bytes) && Inside(source, bytes) ? backend.cuMemcpyDtoDAsync_v2(destination, source, bytes, stream) : CUresult.CUDA_ERROR_INVALID_VALUE;
    }

    /// <remarks>Sides are checked by <see cref="CopyEngine"/>.</remarks>
    public CUresult cuMemcpy2DAsync_v2(CUDA_MEMCPY2D* copy, CUstream stream) => backend.cuMemcpy2DAsync_v2(copy, stream);

    public CUresult cuMemsetD8Async(CUdeviceptr destination, byte value, nuint count, CUstream stream)
        => count == 0 ? CUresult.CUDA_SUCCESS : Inside(destination, count, 1) ? backend.cuMemsetD8Async(destination, value, count, stream) : CUresult.CUDA_ERROR_INVALID_VALUE;

    public CUresult cuMemsetD16Async(CUdeviceptr destination, ushort value, nuint count, CUstream stream)
        => count == 0 ? CUresult.CUDA_SUCCESS : Inside(destination, count, 2) ? backend.cuMemsetD16Async(destination, value, count, stream) : CUresult.CUDA_ERROR_INVALID_VALUE;

    public CUresult cuMemsetD32Async(CUdeviceptr destination, uint value, nuint count, CUstream stream)
        => count == 0 ? CUresult.CUDA_SUCCESS : Inside(destination, count, 4) ? backend.cuMemsetD32Async(destination, value, count, stream) : CUresult.CUDA_ERROR_INVALID_VALUE;

    public CUresult cuMemsetD2D8Async(CUdeviceptr destination, nuint pitch, byte value, nuint width, nuint height, CUstream stream)
        => width == 0 || height == 0 ? CUresult.CUDA_SUCCESS
            : Inside2D(destination, pitch, width, height, 1) ? backend.cuMemsetD2D8Async(destination, pitch, value, width, height, stream) : CUresult.CUDA_ERROR_INVALID_VALUE;

    public CUresult cuMemsetD2D16Async(CUdeviceptr destination, nuint pitch, ushort value, nuint width, nuint height, CUstream stream)
        => width == 0 || height == 0 ? CUresult.CUDA_SUCCESS
            : Inside2D(destination, pitch, width, height, 2) ? backend.cuMemsetD2D16Async(destination, pitch, value, width, height, stream) : CUresult.CUDA_ERROR_INVALID_VALUE;

    public CUresult cuMemsetD2D32Async(CUdeviceptr destination, nuint pitch, uint value, nuint width, nuint height, CUstream stream)
        => width == 0 || height == 0 ? CUresult.CUDA_SUCCESS
            : Inside2D(destination, pitch, width, height, 4) ? backend.cuMemsetD2D32Async(destination, pitch, value, width, height, stream) : CUresult.CUDA_ERROR_INVALID_VALUE;

    private bool Inside(CUdeviceptr address, nuint bytes) => memory.IsInside(address.Value, bytes);

    private bool Inside(CUdeviceptr address, nuint count, uint elementBytes)
        => address.Value % elementBytes == 0 && count <= (1UL << 47) / elementBytes && memory.IsInside(address.Value, count * elementBytes);

    private bool Inside2D(CUdeviceptr address, nuint pitch, nuint width, nuint height, uint elementBytes)
    {
        if (address.Value % elementBytes != 0 || pitch % elementBytes != 0 || width > (1UL << 40) / elementBytes) return false;
        nuint row = width * elementBytes;
        if (height > 1 && pitch < row) return false;
        UInt128 span = (UInt128)pitch * (height - 1) + row;
        return span < 1UL << 47 && memory.IsInside(address.Value, (ulong)span);
    }
}
