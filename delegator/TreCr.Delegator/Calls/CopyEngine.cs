using TreCr.Calls.Cuda;
using TreCr.Calls.Dispatch;
using TreCr.Gmmu;

namespace TreCr.Delegator;

/// <summary>
/// Moves bytes between the program and the device. Host memory is one of: inside the record or answer; pinned or managed (one address in both processes and
/// the device: passed on as it is); pageable (fetched or delivered in pieces, in the order of the stream).
/// </summary>
/// <remarks>Records that nobody waits for may only use memory that stays: the record's own bytes, which are staged, or pinned memory.</remarks>
internal sealed unsafe partial class CopyEngine(ICudaBackend backend, DeviceMemory memory, Staging staging, Func<ProgramMemory> program)
{
    /// <summary>Pieces of a long copy that may wait for the device at a time.</summary>
    private const int MaxPieces = 8;

    /// <param name="waits">true: the caller waits for the answer, the call may block</param>
    public CUresult ToDevice(ulong destination, ByteSource source, nuint bytes, CUstream stream, bool waits)
    {
        if (bytes == 0) return CUresult.CUDA_SUCCESS;
        if (source.IsNull || !memory.IsInside(destination, bytes)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (source.Inline != null) return FromRecord(destination, source.Inline, bytes, stream);
        if (IsShared(source.Address, bytes))
        {
            CUresult result = backend.cuMemcpyHtoDAsync_v2(new CUdeviceptr(destination), (void*)source.Address, bytes, stream);
            return result == CUresult.CUDA_SUCCESS && waits ? backend.cuStreamSynchronize(stream) : result;
        }
        return waits ? FromProgram(destination, source.Address, bytes, stream) : CUresult.CUDA_ERROR_INVALID_VALUE;
    }

    public CUresult ToHost(ByteTarget destination, ulong source, nuint bytes, CUstream stream, bool waits, ref AnswerWriter answer)
    {
        if (bytes == 0) return CUresult.CUDA_SUCCESS;
        if (destination.IsNull || !memory.IsInside(source, bytes)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (!destination.IsInline && IsShared(destination.Address, bytes))
        {
            CUresult result = backend.cuMemcpyDtoHAsync_v2((void*)destination.Address, new CUdeviceptr(source), bytes, stream);
            return result == CUresult.CUDA_SUCCESS && waits ? backend.cuStreamSynchronize(stream) : result;
        }
        if (!waits) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (!destination.IsInline) return ToProgram(destination.Address, source, bytes, stream);
        byte* scratch = CallState.Current.Rent(bytes);
        if (scratch == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        CUresult copied = backend.cuMemcpyDtoHAsync_v2(scratch, new CUdeviceptr(source), bytes, stream);
        if (copied == CUresult.CUDA_SUCCESS) copied = backend.cuStreamSynchronize(stream);
        return copied == CUresult.CUDA_SUCCESS && !answer.TryWrite(scratch, bytes) ? CUresult.CUDA_ERROR_INVALID_VALUE : copied;
    }

    /// <summary>True for memory that program, delegator and device have at one address.</summary>
    public bool IsShared(ulong address, ulong bytes)
        => memory.Find(address) is { IsShared: true } found && bytes <= found.End - address;

    private CUresult FromRecord(ulong destination, byte* source, nuint bytes, CUstream stream)
    {
        for (nuint done = 0; done < bytes;)
        {
            nuint piece = Math.Min(bytes - done, Staging.SharedBytes);
            CUresult result = staging.Stage(stream, source + done, piece, out byte* stage);
            if (result == CUresult.CUDA_SUCCESS) result = backend.cuMemcpyHtoDAsync_v2(new CUdeviceptr(destination + done), stage, piece, stream);
            if (result != CUresult.CUDA_SUCCESS) return result;
            done += piece;
        }
        return CUresult.CUDA_SUCCESS;
    }

    private CUresult FromProgram(ulong destination, ulong source, nuint bytes, CUstream stream)
    {
        // Nothing runs on a device whose memory is ours to write: no staging is needed.
        if (backend.DeviceMemoryIsHostMemory && backend.Drain(TimeSpan.Zero, out _))
            return program().Read(source, (byte*)destination, bytes) ? CUresult.CUDA_SUCCESS : CUresult.CUDA_ERROR_INVALID_VALUE;
        int pieces = 0;
        for (nuint done = 0; done < bytes;)
        {
            if (++pieces % MaxPieces == 0)
            {
                CUresult waited = backend.cuStreamSynchronize(stream);
                if (waited != CUresult.CUDA_SUCCESS) return waited;
            }
            nuint piece = Math.Min(bytes - done, Staging.PieceBytes);
            Staging.Buffer buffer = staging.Rent();
            if (!program().Read(source + done, buffer.Memory, piece))
            {
                staging.Return(buffer);
                return CUresult.CUDA_ERROR_INVALID_VALUE;
            }
            CUresult result = backend.cuMemcpyHtoDAsync_v2(new CUdeviceptr(destination + done), buffer.Memory, piece, stream);
            if (result != CUresult.CUDA_SUCCESS)
            {
                staging.Return(buffer);
                return result;
            }
            result = staging.Return(buffer, stream);
            if (result != CUresult.CUDA_SUCCESS) return result;
            done += piece;
        }
        return CUresult.CUDA_SUCCESS;
    }

    private CUresult ToProgram(ulong destination, ulong source, nuint bytes, CUstream stream)
    {
        if (backend.DeviceMemoryIsHostMemory && backend.Drain(TimeSpan.Zero, out _))
        {
            CUresult state = backend.cuStreamQuery(stream); // a failed device has an error to give, not bytes
            if (state != CUresult.CUDA_SUCCESS) return state;
            return program().Write(destination, (byte*)source, bytes) ? CUresult.CUDA_SUCCESS : CUresult.CUDA_ERROR_INVALID_VALUE;
        }
        Staging.Buffer buffer = staging.Rent();
        CUresult result = CUresult.CUDA_SUCCESS;
        for (nuint done = 0; done < bytes && result == CUresult.CUDA_SUCCESS;)
        {
            nuint piece = Math.Min(bytes - done, Staging.PieceBytes);
            result = backend.cuMemcpyDtoHAsync_v2(buffer.Memory, new CUdeviceptr(source + done), piece, stream);
            if (result == CUresult.CUDA_SUCCESS) result = backend.cuStreamSynchronize(stream);
            if (result == CUresult.CUDA_SUCCESS && !program().Write(destination + done, buffer.Memory, piece)) result = CUresult.CUDA_ERROR_INVALID_VALUE;
            done += piece;
        }
        staging.Return(buffer);
        return result;
    }
}
