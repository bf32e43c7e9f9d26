using TreCr.Calls.Cuda;
using TreCr.SoftDevice.Streams;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Backend;

/// <summary>Arrays and texture and surface objects are device memory, which kernels find by <see cref="DeviceImage"/>; the device only counts them.</summary>
public sealed unsafe partial class SoftBackend
{
    sealed record SoftImage(SoftContext Context);

    public CUresult trecrImageCreate(CUarray* image, CUdeviceptr address)
    {
        CUresult r = NeedContext(out SoftContext context);
        if (r != CUDA_SUCCESS) return r;
        if (image == null || !IsAccessible(address.Value, 1)) return CUDA_ERROR_INVALID_VALUE;
        *image = new(Add(new SoftImage(context)));
        return CUDA_SUCCESS;
    }

    public CUresult trecrImageDestroy(CUarray image)
    {
        if (Find<SoftImage>(image.Value) is not { } found) return CUDA_ERROR_INVALID_HANDLE;
        Remove(found);
        return CUDA_SUCCESS;
    }
}
