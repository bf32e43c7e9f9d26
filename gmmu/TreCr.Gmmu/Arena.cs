using TreCr.Calls.Cuda;

namespace TreCr.Gmmu;

/// <summary>
/// Suballocator of one fixed address range. Requests below <see cref="LargeBytes"/> are cut from chunks of one block in units of 512 bytes, others take whole
/// blocks. Always the lowest address that fits: equal histories give equal addresses.
/// </summary>
/// <remarks>Not thread safe; the <see cref="DeviceMemory"/> holds its lock.</remarks>
internal sealed class Arena(ulong start, ulong lengthBytes, IBlockSource source, ulong capacityBytes)
{
    /// <summary>Bytes of a block: the granularity of physical memory on all current devices (cuda.md §4.1).</summary>
    public const ulong BlockBytes = 2UL << 20;

    /// <summary>Requests from this size on take whole blocks.</summary>
    public const ulong LargeBytes = 1UL << 20;

    /// <summary>Empty mapped memory kept for the next allocation.</summary>
    private const ulong KeepBytes = 64UL << 20;

    private readonly FreeRanges _free = new(start, lengthBytes);
    private readonly MappedBlocks _mapped = new(source);
    private readonly SortedList<ulong, SmallChunk> _chunks = [];
    private ulong _takenBytes;

    public ulong Start => start;
    public ulong LengthBytes => lengthBytes;
    public ulong CapacityBytes => capacityBytes;

    /// <summary>Whole blocks in use, bytes.</summary>
    public ulong TakenBytes => _takenBytes;

    /// <summary>What a request really takes.</summary>
    public static ulong Reserved(ulong bytes)
        => bytes < LargeBytes ? (Math.Max(bytes, 1) + SmallChunk.UnitBytes - 1) & ~(ulong)(SmallChunk.UnitBytes - 1) : (bytes + BlockBytes - 1) & ~(BlockBytes - 1);

    /// <returns>CUDA_ERROR_OUT_OF_MEMORY: capacity, addresses or the device's memory are used up</returns>
    public CUresult Allocate(ulong bytes, out ulong address)
    {
        address = 0;
        if (bytes > capacityBytes) return CUresult.CUDA_ERROR_OUT_OF_MEMORY;
        ulong reserved = Reserved(bytes);
        if (reserved > LargeBytes || bytes >= LargeBytes) return TakeBlocks(reserved, out address);
        int units = (int)(reserved / SmallChunk.UnitBytes);
        foreach (SmallChunk chunk in _chunks.Values)
            if (chunk.TryTake(units, out address)) return CUresult.CUDA_SUCCESS;
        CUresult result = TakeBlocks(BlockBytes, out ulong block);
        if (result != CUresult.CUDA_SUCCESS) return result;
        SmallChunk fresh = new(block);
        _chunks.Add(block, fresh);
        fresh.TryTake(units, out address);
        return result;
    }

    /// <summary>Restore: takes exactly this range.</summary>
    /// <returns>CUDA_ERROR_INVALID_VALUE: a part of it is taken or lies outside</returns>
    public CUresult AllocateAt(ulong address, ulong bytes)
    {
        ulong reserved = Reserved(bytes);
        if (bytes >= LargeBytes)
            return address % BlockBytes == 0 && _free.TryTakeAt(address, reserved) ? Back(address, reserved) : CUresult.CUDA_ERROR_INVALID_VALUE;
        ulong block = address & ~(BlockBytes - 1);
        if (!_chunks.TryGetValue(block, out SmallChunk? chunk))
        {
            if (!_free.TryTakeAt(block, BlockBytes)) return CUresult.CUDA_ERROR_INVALID_VALUE;
            CUresult result = Back(block, BlockBytes);
            if (result != CUresult.CUDA_SUCCESS) return result;
            _chunks.Add(block, chunk = new SmallChunk(block));
        }
        return address % SmallChunk.UnitBytes == 0 && chunk.TryTakeAt(address, (int)(reserved / SmallChunk.UnitBytes))
            ? CUresult.CUDA_SUCCESS : CUresult.CUDA_ERROR_INVALID_VALUE;
    }

    /// <summary>Gives back a range that was allocated with this request size.</summary>
    public void Free(ulong address, ulong bytes)
    {
        ulong reserved = Reserved(bytes);
        if (bytes >= LargeBytes)
        {
            Return(address, reserved);
            return;
        }
        ulong block = address & ~(BlockBytes - 1);
        SmallChunk chunk = _chunks[block];
        chunk.Return(address, (int)(reserved / SmallChunk.UnitBytes));
        if (chunk.UsedUnits != 0) return;
        _chunks.Remove(block);
        Return(block, BlockBytes);
    }

    /// <summary>Unmaps everything; the arena is of no use afterwards.</summary>
    public void Clear() => _mapped.Clear();

    private CUresult TakeBlocks(ulong bytes, out ulong address)
    {
        address = 0;
        if (_takenBytes + bytes > capacityBytes || !_free.TryTake(bytes, out address)) return CUresult.CUDA_ERROR_OUT_OF_MEMORY;
        CUresult result = Back(address, bytes);
        if (result != CUresult.CUDA_SUCCESS) address = 0;
        return result;
    }

    /// <summary>Puts memory behind a range just taken; gives the range back when there is none.</summary>
    private CUresult Back(ulong address, ulong bytes)
    {
        _takenBytes += bytes;
        ulong missing = _mapped.MissingBytes(address, bytes);
        if (missing != 0 && _mapped.MappedBytes + missing > capacityBytes) _mapped.Trim(_free, 0);
        CUresult result = missing == 0 ? CUresult.CUDA_SUCCESS : _mapped.Ensure(address, bytes);
        if (result == CUresult.CUDA_ERROR_OUT_OF_MEMORY)
        {
            _mapped.Trim(_free, 0);
            result = _mapped.Ensure(address, bytes);
        }
        if (result == CUresult.CUDA_SUCCESS) return result;
        Return(address, bytes);
        return result;
    }

    private void Return(ulong address, ulong bytes)
    {
        _free.Return(address, bytes);
        _takenBytes -= bytes;
        _mapped.Trim(_free, KeepBytes);
    }
}
