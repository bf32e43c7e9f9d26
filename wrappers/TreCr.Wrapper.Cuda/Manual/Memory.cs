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
    private static int s_toldPool, s_toldCapture, s_toldPoolAttribute, s_toldPointerAttribute;

    // Attributes 1 to 4 of each device's own pool: hints about reuse and release; kept for the program to read back.
    private static readonly ulong[] PoolHints = new ulong[5 * SegmentLayout.MaxDevices];

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

    /// <summary>From a device's own pool only; pools of the program's are not supported.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuMemAllocFromPoolAsync")]
    public static CUresult AllocFromPool(CUdeviceptr* address, nuint bytes, CUmemoryPool pool, CUstream stream) => FromPool(address, bytes, pool, stream);

    [UnmanagedCallersOnly(EntryPoint = "cuMemAllocFromPoolAsync_ptsz")]
    public static CUresult AllocFromPool_ptsz(CUdeviceptr* address, nuint bytes, CUmemoryPool pool, CUstream stream) => FromPool(address, bytes, pool, PerThread.Of(stream));

    [UnmanagedCallersOnly(EntryPoint = "cuMemAllocAsync")]
    public static CUresult AllocAsync(CUdeviceptr* address, nuint bytes, CUstream stream) => Ordered(address, bytes, stream);

    [UnmanagedCallersOnly(EntryPoint = "cuMemAllocAsync_ptsz")]
    public static CUresult AllocAsync_ptsz(CUdeviceptr* address, nuint bytes, CUstream stream) => Ordered(address, bytes, PerThread.Of(stream));

    private static CUresult Ordered(CUdeviceptr* address, nuint bytes, CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        return StreamCapture.IsActive && StreamCapture.Spoils(stream, out _) ? Unsupported.Use(ref s_toldCapture, "cuMemAllocAsync"u8, "in a capture"u8)
            : CudaMemoryCalls.Send_cuMemAllocAsync(thread, CallClass.Answer, address, bytes, stream);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemFreeAsync")]
    public static CUresult FreeAsync(CUdeviceptr address, CUstream stream) => OrderedFree(address, stream);

    [UnmanagedCallersOnly(EntryPoint = "cuMemFreeAsync_ptsz")]
    public static CUresult FreeAsync_ptsz(CUdeviceptr address, CUstream stream) => OrderedFree(address, PerThread.Of(stream));

    private static CUresult OrderedFree(CUdeviceptr address, CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        return StreamCapture.IsActive && StreamCapture.Spoils(stream, out _) ? Unsupported.Use(ref s_toldCapture, "cuMemFreeAsync"u8, "in a capture"u8)
            : CudaMemoryCalls.Send_cuMemFreeAsync(thread, CallClass.Answer, address, stream);
    }

    private static CUresult FromPool(CUdeviceptr* address, nuint bytes, CUmemoryPool pool, CUstream stream)
    {
        CUresult result = Session.Enter(out _);
        if (result != CUresult.CUDA_SUCCESS) return result;
        return PoolDevice(pool) < 0 ? Unsupported.Use(ref s_toldPool, "cuMemAllocFromPoolAsync"u8, "from a pool other than the device's own"u8)
            : Ordered(address, bytes, stream);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemPoolSetAttribute")]
    public static CUresult PoolSetAttribute(CUmemoryPool pool, int attribute, void* value)
    {
        CUresult result = PoolHint(pool, attribute, value, out int index);
        if (result == CUresult.CUDA_SUCCESS) PoolHints[index] = attribute == 4 ? *(ulong*)value : *(uint*)value;
        return result;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemPoolGetAttribute")]
    public static CUresult PoolGetAttribute(CUmemoryPool pool, int attribute, void* value)
    {
        CUresult result = PoolHint(pool, attribute, value, out int index);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (attribute == 4) *(ulong*)value = PoolHints[index]; else *(uint*)value = (uint)PoolHints[index];
        return CUresult.CUDA_SUCCESS;
    }

    private static CUresult PoolHint(CUmemoryPool pool, int attribute, void* value, out int index)
    {
        CUresult ready = Session.Ready;
        int device = ready == CUresult.CUDA_SUCCESS ? PoolDevice(pool) : -1;
        index = device * 5 + attribute;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        if (device < 0 || value == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        return attribute is >= 1 and <= 4 ? CUresult.CUDA_SUCCESS : Unsupported.Use(ref s_toldPoolAttribute, "cuMemPoolGetAttribute"u8, "of memory in use or reserved"u8);
    }

    /// <summary>Freed memory goes back at once: nothing is kept that could be trimmed.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuMemPoolTrimTo")]
    public static CUresult PoolTrim(CUmemoryPool pool, nuint keepBytes)
    {
        CUresult ready = Session.Ready;
        return ready != CUresult.CUDA_SUCCESS ? ready : PoolDevice(pool) < 0 ? CUresult.CUDA_ERROR_INVALID_VALUE : CUresult.CUDA_SUCCESS;
    }

    /// <param name="location">CUmemLocation: type (1 device), ordinal</param>
    [UnmanagedCallersOnly(EntryPoint = "cuMemPoolGetAccess")]
    public static CUresult PoolGetAccess(int* flags, CUmemoryPool pool, int* location)
    {
        const int readWrite = 3;
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        if (flags == null || location == null || PoolDevice(pool) < 0 || location[0] != 1 || !Devices.IsValid(new CUdevice(location[1]))) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *flags = location[1] == PoolDevice(pool) ? readWrite : 0;
        return CUresult.CUDA_SUCCESS;
    }

    private static int PoolDevice(CUmemoryPool pool) => VirtualHandle.KindOf(pool.Value) == HandleKind.MemoryPool && VirtualHandle.SerialOf(pool.Value) - 1 < (ulong)Devices.Count
        ? (int)VirtualHandle.SerialOf(pool.Value) - 1 : -1;

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
            case 10: *(byte*)value = 0; break;
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
