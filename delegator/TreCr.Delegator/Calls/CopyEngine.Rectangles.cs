using TreCr.Calls.Cuda;
using TreCr.Gmmu;

namespace TreCr.Delegator;

/// <summary>2-D copies: sides that the device reaches are passed on; rows of pageable memory are packed into staging buffers.</summary>
internal sealed unsafe partial class CopyEngine
{
    private const uint HostType = 1, DeviceType = 2, ArrayType = 3, UnifiedType = 4;

    /// <summary>One side of a 2-D copy.</summary>
    /// <param name="Start">address of the first byte</param>
    /// <param name="Pitch">bytes between rows</param>
    /// <param name="Reachable">the device may use it at this address</param>
    /// <param name="Type">memory type to pass on</param>
    private readonly record struct Side(ulong Start, ulong Pitch, bool Reachable, uint Type);

    /// <returns>CUDA_ERROR_INVALID_VALUE: pitches, sizes or bounds; CUDA_ERROR_NOT_SUPPORTED: arrays</returns>
    public CUresult Rectangle(CUDA_MEMCPY2D* copy, CUstream stream, bool waits)
    {
        ulong width = copy->WidthInBytes, height = copy->Height;
        if (width == 0 || height == 0) return CUresult.CUDA_SUCCESS;
        if (copy->SrcMemoryType == ArrayType || copy->DstMemoryType == ArrayType)
        {
            Messages.SayOnce("cuMemcpy2D with CUDA arrays is not supported");
            return CUresult.CUDA_ERROR_NOT_SUPPORTED;
        }
        if (!TrySide(copy->SrcMemoryType, copy->SrcHost, copy->SrcDevice, copy->SrcPitch, copy->SrcXInBytes, copy->SrcY, width, height, out Side source)
            || !TrySide(copy->DstMemoryType, copy->DstHost, copy->DstDevice, copy->DstPitch, copy->DstXInBytes, copy->DstY, width, height, out Side target))
            return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (source.Reachable && target.Reachable)
        {
            CUDA_MEMCPY2D plain = Plain(source, target, width, height);
            CUresult result = backend.cuMemcpy2DAsync_v2(&plain, stream);
            return result == CUresult.CUDA_SUCCESS && waits && (source.Type == HostType || target.Type == HostType) ? backend.cuStreamSynchronize(stream) : result;
        }
        if (!waits) return CUresult.CUDA_ERROR_INVALID_VALUE;
        ulong rowsAtOnce = Math.Max(1, Staging.PieceBytes / width);
        if (width > Staging.PieceBytes) return RowByRow(source, target, width, height, stream);
        Staging.Buffer buffer = staging.Rent();
        CUresult done = CUresult.CUDA_SUCCESS;
        for (ulong row = 0; row < height && done == CUresult.CUDA_SUCCESS; row += rowsAtOnce)
            done = Rows(source, target, width, row, Math.Min(rowsAtOnce, height - row), buffer.Memory, stream);
        staging.Return(buffer);
        return done;
    }

    private bool TrySide(uint type, ulong host, ulong device, ulong pitch, ulong x, ulong y, ulong width, ulong height, out Side side)
    {
        side = default;
        if (type is not (HostType or DeviceType or UnifiedType)) return false;
        if (pitch == 0) pitch = width + x; // one row, or rows without gaps
        UInt128 row = (UInt128)x + width;
        if (height > 1 && pitch < row) return false;
        UInt128 first = (UInt128)(type == HostType ? host : device) + (UInt128)y * pitch + x;
        UInt128 span = (UInt128)(height - 1) * pitch + width;
        if (first + span > 1UL << 47 || first == 0) return false;
        ulong start = (ulong)first;
        Allocation? found = memory.Find(start);
        bool reachable = found is { Kind: not AllocationKind.Registered };
        if (reachable && (ulong)span > found!.End - start) return false;
        if (type == DeviceType && !reachable) return false;
        side = new Side(start, pitch, reachable, found is { IsShared: true } || !reachable ? HostType : DeviceType);
        return true;
    }

    private static CUDA_MEMCPY2D Plain(Side source, Side target, ulong width, ulong height)
    {
        CUDA_MEMCPY2D copy = new() { SrcMemoryType = source.Type, SrcPitch = source.Pitch, DstMemoryType = target.Type, DstPitch = target.Pitch, WidthInBytes = width, Height = height };
        if (source.Type == HostType) copy.SrcHost = source.Start; else copy.SrcDevice = source.Start;
        if (target.Type == HostType) copy.DstHost = target.Start; else copy.DstDevice = target.Start;
        return copy;
    }

    /// <summary>Copies rows through a buffer that holds them packed; waits for the stream.</summary>
    private CUresult Rows(Side source, Side target, ulong width, ulong first, ulong rows, byte* buffer, CUstream stream)
    {
        Side packed = new((ulong)buffer, width, true, HostType);
        CUresult result;
        if (source.Reachable)
        {
            CUDA_MEMCPY2D copy = Plain(source with { Start = source.Start + first * source.Pitch }, packed, width, rows);
            result = backend.cuMemcpy2DAsync_v2(&copy, stream);
            if (result == CUresult.CUDA_SUCCESS) result = backend.cuStreamSynchronize(stream);
            if (result != CUresult.CUDA_SUCCESS) return result;
        }
        else
        {
            if (!target.Reachable && (result = backend.cuStreamSynchronize(stream)) != CUresult.CUDA_SUCCESS) return result;
            for (ulong row = 0; row < rows; row++)
                if (!program().Read(source.Start + (first + row) * source.Pitch, buffer + row * width, (nuint)width)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        }
        if (target.Reachable)
        {
            CUDA_MEMCPY2D copy = Plain(packed, target with { Start = target.Start + first * target.Pitch }, width, rows);
            result = backend.cuMemcpy2DAsync_v2(&copy, stream);
            return result == CUresult.CUDA_SUCCESS ? backend.cuStreamSynchronize(stream) : result;
        }
        for (ulong row = 0; row < rows; row++)
            if (!program().Write(target.Start + (first + row) * target.Pitch, buffer + row * width, (nuint)width)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>Rows longer than a staging buffer: each is a linear copy.</summary>
    private CUresult RowByRow(Side origin, Side target, ulong width, ulong height, CUstream stream)
    {
        for (ulong row = 0; row < height; row++)
        {
            ulong source = origin.Start + row * origin.Pitch, destination = target.Start + row * target.Pitch;
            CUresult result;
            if (target.Reachable) result = FromProgram(destination, source, (nuint)width, stream);
            else if (origin.Reachable) result = ToProgram(destination, source, (nuint)width, stream);
            else return CUresult.CUDA_ERROR_NOT_SUPPORTED;
            if (result != CUresult.CUDA_SUCCESS) return result;
        }
        return CUresult.CUDA_SUCCESS;
    }
}
