using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Ring;
using TreCr.Wrapper.Cuda.Graphs;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: forms of calls that have a record of their own elsewhere, hints, and questions about pointers.
// CUDA Driver API, "Memory Management", "Unified Addressing", "Stream Ordered Memory Allocator".
internal static unsafe class Memory
{
    private static int s_toldPointerAttribute;

    [UnmanagedCallersOnly(EntryPoint = "cuMemAllocHost_v2")]
    public static CUresult AllocHost(ulong* host, nuint bytes)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result : CudaMemoryCalls.Send_cuMemHostAlloc(thread, host, bytes, 0);
    }

    /// <summary>The first form has the same 64-bit ABI.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuMemHostRegister")]
    public static CUresult HostRegister_v1(ulong host, nuint bytes, uint flags)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result : CudaMemoryCalls.Send_cuMemHostRegister_v2(thread, host, bytes, flags);
    }

    // Managed memory lies in the pinned arena, where both sides reach it: where it should preferably be is a hint without effect.

    [UnmanagedCallersOnly(EntryPoint = "cuMemPrefetchAsync")]
    public static CUresult Prefetch(CUdeviceptr address, nuint bytes, CUdevice device, CUstream stream) => ManagedHint(address, bytes);

    [UnmanagedCallersOnly(EntryPoint = "cuMemPrefetchAsync_ptsz")]
    public static CUresult Prefetch_ptsz(CUdeviceptr address, nuint bytes, CUdevice device, CUstream stream) => ManagedHint(address, bytes);

    [UnmanagedCallersOnly(EntryPoint = "cuMemAdvise")]
    public static CUresult Advise(CUdeviceptr address, nuint bytes, int advice, CUdevice device) => advice is < 1 or > 6 ? CUresult.CUDA_ERROR_INVALID_VALUE : ManagedHint(address, bytes);

    private static CUresult ManagedHint(CUdeviceptr address, nuint bytes)
    {
        CUresult result = Session.Enter(out _);
        if (result != CUresult.CUDA_SUCCESS) return result;
        return bytes != 0 && Addresses.IsPinned(address.Value) && Addresses.IsPinned(address.Value + bytes - 1) ? CUresult.CUDA_SUCCESS : CUresult.CUDA_ERROR_INVALID_VALUE;
    }

    /// <returns>CUDA_ERROR_INVALID_VALUE for memory that CUDA does not know</returns>
    [UnmanagedCallersOnly(EntryPoint = "cuPointerGetAttribute")]
    public static CUresult PointerGetAttribute(void* value, int attribute, CUdeviceptr address)
    {
        CUresult result = Facts(address, out PointerFacts facts);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (value == null || facts.MemoryType == 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        return Put(value, attribute, address.Value, in facts);
    }

    /// <summary>Memory that CUDA does not know is no error here: values are zero, the ordinal is -2 (CU_DEVICE_INVALID).</summary>
    /// <param name="attributes">[count]</param><param name="values">[count], each may be NULL</param>
    [UnmanagedCallersOnly(EntryPoint = "cuPointerGetAttributes")]
    public static CUresult PointerGetAttributes(uint count, int* attributes, void** values, CUdeviceptr address)
    {
        CUresult result = Facts(address, out PointerFacts facts);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (attributes == null || values == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (facts.MemoryType == 0) facts = new PointerFacts { DeviceOrdinal = -2 };
        for (uint i = 0; i < count; i++)
        {
            if (values[i] == null) continue;
            result = Put(values[i], attributes[i], address.Value, in facts);
            if (result != CUresult.CUDA_SUCCESS) return result;
        }
        return CUresult.CUDA_SUCCESS;
    }

    private static CUresult Facts(CUdeviceptr address, out PointerFacts facts)
    {
        PointerFacts found = default;
        ProgramThread* thread = WrapperRuntime.Enter();
        CUresult result = thread == null ? WrapperRuntime.EnterError() : CudaMemoryCalls.Send_trecrPointerFacts(thread, &found, address);
        facts = found;
        return result;
    }

    /// <summary>CUpointer_attribute as in facts/cuda.md, section 4.3.</summary>
    private static CUresult Put(void* value, int attribute, ulong address, in PointerFacts facts)
    {
        bool known = facts.MemoryType != 0, host = facts.MemoryType == 1 || facts.IsManaged != 0;
        switch (attribute)
        {
            case 1: *(ulong*)value = facts.Context; break;
            // Managed memory is device memory to this attribute; IS_MANAGED tells the difference.
            case 2: *(uint*)value = facts.MemoryType == 4 ? 2 : facts.MemoryType; break;
            case 3: *(ulong*)value = known ? address : 0; break;
            case 4:
                if (known && !host) return CUresult.CUDA_ERROR_INVALID_VALUE;
                *(ulong*)value = host ? address : 0;
                break;
            case 6: *(uint*)value = 0; break;
            case 7: *(ulong*)value = facts.BufferId; break;
            case 8: *(byte*)value = (byte)(facts.IsManaged != 0 ? 1 : 0); break;
            case 9: *(int*)value = facts.DeviceOrdinal; break;
            case 10: *(byte*)value = (byte)(facts.MemoryType == 2 && facts.HostFlags == 0 && Devices.IsSoft(facts.DeviceOrdinal) && !VirtualMemory.IsReserved(address) ? 1 : 0); break; // has a handle of cuIpcGetMemHandle
            case 11: *(ulong*)value = facts.RangeStart; break;
            case 12: *(ulong*)value = facts.RangeBytes; break;
            case 13: *(byte*)value = (byte)(known ? 1 : 0); break;
            case 14: *(ulong*)value = 0; break;
            case 15: *(byte*)value = 0; break;
            case 16: *(uint*)value = known ? 3u : 0; break;
            case 17: *(ulong*)value = 0; break;
            default: return Unsupported.Use(ref s_toldPointerAttribute, "cuPointerGetAttribute"u8, "with an attribute above 17 or 5"u8);
        }
        return CUresult.CUDA_SUCCESS;
    }
}
