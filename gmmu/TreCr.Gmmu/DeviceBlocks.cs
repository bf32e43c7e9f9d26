using TreCr.Calls.Cuda;

namespace TreCr.Gmmu;

/// <summary>Device memory: created exportable, mapped, made accessible to its device. CUDA Driver API, "Virtual Memory Management".</summary>
internal sealed unsafe class DeviceBlocks(ICudaVirtualMemory memory, int ordinal) : IBlockSource
{
    /// <summary>Properties of all physical memory: pinned on the device, exportable as a descriptor.</summary>
    public CUmemAllocationProp Properties => new() { Type = 1, RequestedHandleTypes = 1, LocationType = 1, LocationId = ordinal };

    public CUresult Map(ulong address, ulong bytes, out ulong handle)
    {
        handle = 0;
        CUmemAllocationProp properties = Properties;
        CUmemGenericAllocationHandle physical;
        CUresult result = memory.cuMemCreate(&physical, (nuint)bytes, &properties, 0);
        if (result != CUresult.CUDA_SUCCESS) return result;
        result = memory.cuMemMap(new CUdeviceptr(address), (nuint)bytes, 0, physical, 0);
        if (result == CUresult.CUDA_SUCCESS)
        {
            CUmemAccessDesc access = new() { LocationType = 1, LocationId = ordinal, Flags = 3 };
            result = memory.cuMemSetAccess(new CUdeviceptr(address), (nuint)bytes, &access, 1);
            if (result != CUresult.CUDA_SUCCESS) memory.cuMemUnmap(new CUdeviceptr(address), (nuint)bytes);
        }
        if (result != CUresult.CUDA_SUCCESS)
        {
            memory.cuMemRelease(physical);
            return result;
        }
        handle = physical.Value;
        return result;
    }

    public void Unmap(ulong address, ulong bytes, ulong handle)
    {
        memory.cuMemUnmap(new CUdeviceptr(address), (nuint)bytes);
        memory.cuMemRelease(new CUmemGenericAllocationHandle(handle));
    }
}
