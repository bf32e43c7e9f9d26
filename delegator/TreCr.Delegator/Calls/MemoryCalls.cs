using TreCr.Calls.Cuda;
using TreCr.Gmmu;

namespace TreCr.Delegator;

/// <summary>Allocation calls, answered by the GMMU. Context and device are those of the record being run on this thread.</summary>
internal sealed unsafe class MemoryCalls(ICudaBackend backend, DeviceMemory memory) : ICudaMemory
{
    private const ulong PitchBytes = 512;
    private const uint HostAllocDeviceMap = 2;

    public CUresult cuMemAlloc_v2(CUdeviceptr* address, nuint bytes)
    {
        CallState call = CallState.Current;
        CUresult result = memory.Allocate(call.Ordinal, bytes, call.Context, out ulong at);
        *address = new CUdeviceptr(at);
        return result;
    }

    public CUresult cuMemAllocPitch_v2(CUdeviceptr* address, nuint* pitch, nuint widthBytes, nuint height, uint elementSizeBytes)
    {
        *address = default;
        *pitch = 0;
        if (elementSizeBytes is not (4 or 8 or 16) || widthBytes == 0 || height == 0 || widthBytes > 1UL << 40) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *pitch = (nuint)((widthBytes + PitchBytes - 1) & ~(PitchBytes - 1));
        return height > (1UL << 47) / *pitch ? CUresult.CUDA_ERROR_OUT_OF_MEMORY : cuMemAlloc_v2(address, *pitch * height);
    }

    public CUresult cuMemFree_v2(CUdeviceptr address)
    {
        if (address.Value == 0) return CUresult.CUDA_SUCCESS;
        if (memory.Find(address.Value) is not { Kind: AllocationKind.Device or AllocationKind.Managed } found || found.Address != address.Value) return CUresult.CUDA_ERROR_INVALID_VALUE;
        CUresult result = backend.cuCtxSynchronize();
        if (result != CUresult.CUDA_SUCCESS) return result;
        return memory.Free(address.Value, pinned: false);
    }

    public CUresult cuMemGetInfo_v2(nuint* free, nuint* total)
    {
        memory.Info(CallState.Current.Ordinal, out ulong left, out ulong all);
        *free = (nuint)left;
        *total = (nuint)all;
        return CUresult.CUDA_SUCCESS;
    }

    public CUresult cuMemGetAddressRange_v2(CUdeviceptr* start, nuint* bytes, CUdeviceptr address)
    {
        if (memory.Find(address.Value) is not { Kind: not AllocationKind.Registered } found) return CUresult.CUDA_ERROR_NOT_FOUND;
        if (start != null) *start = new CUdeviceptr(found.Address);
        if (bytes != null) *bytes = (nuint)found.Bytes;
        return CUresult.CUDA_SUCCESS;
    }

    public CUresult cuMemHostAlloc(ulong* host, nuint bytes, uint flags)
    {
        *host = 0;
        if ((flags & ~7u) != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (bytes == 0) return CUresult.CUDA_SUCCESS;
        CallState call = CallState.Current;
        CUresult result = memory.AllocateHost(call.Ordinal, bytes, AllocationKind.Pinned, flags, call.Context, out ulong at);
        *host = at;
        return result;
    }

    public CUresult cuMemFreeHost(ulong host)
    {
        if (host == 0) return CUresult.CUDA_SUCCESS;
        if (memory.Find(host) is not { Kind: AllocationKind.Pinned } found || found.Address != host) return CUresult.CUDA_ERROR_INVALID_VALUE;
        CUresult result = backend.cuCtxSynchronize();
        return result != CUresult.CUDA_SUCCESS ? result : memory.Free(host, pinned: true);
    }

    public CUresult cuMemHostGetFlags(uint* flags, ulong host)
    {
        if (memory.Find(host) is not { Kind: AllocationKind.Pinned or AllocationKind.Registered } found) return CUresult.CUDA_ERROR_INVALID_VALUE;
        // Mapping is implicit with unified addressing: flags 0 reads back as 2 (cuda.md §4.2).
        *flags = found.HostFlags | HostAllocDeviceMap;
        return CUresult.CUDA_SUCCESS;
    }

    public CUresult cuMemHostRegister_v2(ulong host, nuint bytes, uint flags)
    {
        CallState call = CallState.Current;
        return memory.Register(host, bytes, flags, call.Ordinal, call.Context);
    }

    public CUresult cuMemHostUnregister(ulong host) => memory.Unregister(host);

    public CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* address, ulong host, uint flags)
    {
        *address = default;
        switch (memory.Find(host)?.Kind)
        {
            case AllocationKind.Pinned or AllocationKind.Managed:
                *address = new CUdeviceptr(host);
                return CUresult.CUDA_SUCCESS;
            case AllocationKind.Registered:
                Messages.SayOnce("cuMemHostGetDevicePointer on registered memory is not supported: kernels cannot reach memory of cuMemHostRegister");
                return CUresult.CUDA_ERROR_NOT_SUPPORTED;
            default: return CUresult.CUDA_ERROR_INVALID_VALUE;
        }
    }

    public CUresult cuMemAllocManaged(CUdeviceptr* address, nuint bytes, uint flags)
    {
        *address = default;
        // 1 CU_MEM_ATTACH_GLOBAL, 2 CU_MEM_ATTACH_HOST; exactly one.
        if (flags is not (1 or 2)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        CallState call = CallState.Current;
        CUresult result = memory.AllocateHost(call.Ordinal, bytes, AllocationKind.Managed, flags, call.Context, out ulong at);
        *address = new CUdeviceptr(at);
        return result;
    }

    public CUresult cuMemAllocAsync(CUdeviceptr* address, nuint bytes, CUstream stream)
    {
        CallState call = CallState.Current;
        CUresult result = memory.AllocateAsync(call.Ordinal, bytes, stream, call.Context, out ulong at);
        *address = new CUdeviceptr(at);
        return result;
    }

    public CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream) => memory.FreeAsync(address.Value, stream);

    public CUresult trecrPointerFacts(PointerFacts* facts, CUdeviceptr address)
    {
        *facts = default;
        if (memory.Find(address.Value) is not { } found) return CUresult.CUDA_SUCCESS;
        *facts = new PointerFacts
        {
            MemoryType = found.Kind switch { AllocationKind.Pinned or AllocationKind.Registered => 1, AllocationKind.Managed or AllocationKind.ManagedVariable => 4, _ => 2 },
            DeviceOrdinal = found.DeviceOrdinal, RangeStart = found.Address, RangeBytes = found.Bytes, BufferId = found.BufferId, Context = found.Context,
            HostFlags = found.HostFlags, IsManaged = found.IsManaged ? 1u : 0,
        };
        return CUresult.CUDA_SUCCESS;
    }
}
