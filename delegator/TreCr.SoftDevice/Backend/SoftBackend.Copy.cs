using TreCr.Calls.Cuda;
using TreCr.SoftDevice.Streams;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Backend;

/// <summary>Copies and fills are stream items. Host pointers are the delegator's own memory and not checked; device addresses are.</summary>
public sealed unsafe partial class SoftBackend
{
    CUresult Transfer(ItemKind kind, CUstream stream, ulong to, ulong toPitch, ulong from, ulong fromPitch, ulong width, ulong height, uint value = 0, int elementBytes = 1)
    {
        CUresult r = NeedStream(stream, out SoftStream s);
        if (r != CUDA_SUCCESS || width == 0 || height == 0) return r;
        StreamItem item = scheduler.NewItem(kind);
        (item.Destination, item.DestinationPitch, item.Source, item.SourcePitch, item.WidthBytes, item.Height, item.Value, item.ElementBytes) = (to, toPitch, from, fromPitch, width, height, value, elementBytes);
        scheduler.Enqueue(s, item);
        return CUDA_SUCCESS;
    }

    public CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr destination, void* source, nuint bytes, CUstream stream)
        => !IsAccessible(destination.Value, bytes) || bytes > 0 && source == null ? CUDA_ERROR_INVALID_VALUE : Transfer(ItemKind.Copy, stream, destination.Value, 0, (ulong)source, 0, bytes, 1);

    public CUresult cuMemcpyDtoHAsync_v2(void* destination, CUdeviceptr source, nuint bytes, CUstream stream)
        => !IsAccessible(source.Value, bytes) || bytes > 0 && destination == null ? CUDA_ERROR_INVALID_VALUE : Transfer(ItemKind.Copy, stream, (ulong)destination, 0, source.Value, 0, bytes, 1);

    public CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr destination, CUdeviceptr source, nuint bytes, CUstream stream)
        => !IsAccessible(destination.Value, bytes) || !IsAccessible(source.Value, bytes) ? CUDA_ERROR_INVALID_VALUE : Transfer(ItemKind.Copy, stream, destination.Value, 0, source.Value, 0, bytes, 1);

    public CUresult cuMemcpy2DAsync_v2(CUDA_MEMCPY2D* copy, CUstream stream)
    {
        if (copy == null) return CUDA_ERROR_INVALID_VALUE;
        if (copy->SrcMemoryType == 3 || copy->DstMemoryType == 3) return CUDA_ERROR_NOT_SUPPORTED;
        if (copy->SrcMemoryType is 0 or > 4 || copy->DstMemoryType is 0 or > 4) return CUDA_ERROR_INVALID_VALUE;
        ulong width = copy->WidthInBytes, height = copy->Height, fromPitch = copy->SrcPitch == 0 ? width : copy->SrcPitch, toPitch = copy->DstPitch == 0 ? width : copy->DstPitch;
        if (height > 1 && (fromPitch < width + copy->SrcXInBytes || toPitch < width + copy->DstXInBytes)) return CUDA_ERROR_INVALID_VALUE;
        if (width > 1UL << 40 || height > 1UL << 40 || fromPitch > 1UL << 40 || toPitch > 1UL << 40) return CUDA_ERROR_INVALID_VALUE;
        ulong from = (copy->SrcMemoryType == 1 ? copy->SrcHost : copy->SrcDevice) + copy->SrcY * fromPitch + copy->SrcXInBytes;
        ulong to = (copy->DstMemoryType == 1 ? copy->DstHost : copy->DstDevice) + copy->DstY * toPitch + copy->DstXInBytes;
        if (width > 0 && height > 0 && (copy->SrcMemoryType != 1 && !Covers(from, fromPitch, width, height) || copy->DstMemoryType != 1 && !Covers(to, toPitch, width, height))) return CUDA_ERROR_INVALID_VALUE;
        return Transfer(ItemKind.Copy, stream, to, toPitch, from, fromPitch, width, height);
    }

    bool Covers(ulong start, ulong pitch, ulong width, ulong height)
    {
        UInt128 span = (UInt128)pitch * (height - 1) + width;
        return span <= 1UL << 41 && IsAccessible(start, (ulong)span);
    }

    CUresult Fill(CUdeviceptr destination, ulong pitch, uint value, ulong width, ulong height, int elementBytes, CUstream stream)
    {
        if (width > 1UL << 40 || height > 1UL << 40 || pitch > 1UL << 40 || destination.Value % (ulong)elementBytes != 0 || height > 1 && pitch < width * (ulong)elementBytes) return CUDA_ERROR_INVALID_VALUE;
        width *= (ulong)elementBytes;
        if (width > 0 && height > 0 && !Covers(destination.Value, pitch, width, height)) return CUDA_ERROR_INVALID_VALUE;
        return Transfer(ItemKind.Fill, stream, destination.Value, pitch, 0, 0, width, height, value, elementBytes);
    }

    public CUresult cuMemsetD8Async(CUdeviceptr destination, byte value, nuint count, CUstream stream) => Fill(destination, 0, value, count, 1, 1, stream);
    public CUresult cuMemsetD16Async(CUdeviceptr destination, ushort value, nuint count, CUstream stream) => Fill(destination, 0, value, count, 1, 2, stream);
    public CUresult cuMemsetD32Async(CUdeviceptr destination, uint value, nuint count, CUstream stream) => Fill(destination, 0, value, count, 1, 4, stream);
    public CUresult cuMemsetD2D8Async(CUdeviceptr destination, nuint pitch, byte value, nuint width, nuint height, CUstream stream) => Fill(destination, pitch, value, width, height, 1, stream);
    public CUresult cuMemsetD2D16Async(CUdeviceptr destination, nuint pitch, ushort value, nuint width, nuint height, CUstream stream) => Fill(destination, pitch, value, width, height, 2, stream);
    public CUresult cuMemsetD2D32Async(CUdeviceptr destination, nuint pitch, uint value, nuint width, nuint height, CUstream stream) => Fill(destination, pitch, value, width, height, 4, stream);
}
