using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Graphs;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: pools are the wrapper's own (State/PoolState.cs). CUDA Driver API, "Stream Ordered Memory Allocator".
internal static unsafe class Pools
{
    private const int Device = 1;

    private static int s_toldShared;

    [UnmanagedCallersOnly(EntryPoint = "cuMemAllocFromPoolAsync")]
    public static CUresult AllocFromPool(CUdeviceptr* address, nuint bytes, CUmemoryPool pool, CUstream stream) => FromPool(address, bytes, pool, stream);

    [UnmanagedCallersOnly(EntryPoint = "cuMemAllocFromPoolAsync_ptsz")]
    public static CUresult AllocFromPool_ptsz(CUdeviceptr* address, nuint bytes, CUmemoryPool pool, CUstream stream) => FromPool(address, bytes, pool, PerThread.Of(stream));

    [UnmanagedCallersOnly(EntryPoint = "cuMemAllocAsync")]
    public static CUresult AllocAsync(CUdeviceptr* address, nuint bytes, CUstream stream) => Ordered(address, bytes, null, stream);

    [UnmanagedCallersOnly(EntryPoint = "cuMemAllocAsync_ptsz")]
    public static CUresult AllocAsync_ptsz(CUdeviceptr* address, nuint bytes, CUstream stream) => Ordered(address, bytes, null, PerThread.Of(stream));

    private static CUresult FromPool(CUdeviceptr* address, nuint bytes, CUmemoryPool pool, CUstream stream)
    {
        CUresult result = Session.Enter(out _);
        if (result != CUresult.CUDA_SUCCESS) return result;
        lock (PoolState.Gate)
        {
            PoolState? found = PoolState.Find(pool.Value);
            return found is null or { IsImported: true } ? CUresult.CUDA_ERROR_INVALID_VALUE : Ordered(address, bytes, found, stream);
        }
    }

    /// <param name="pool">null: the current one of the device</param>
    private static CUresult Ordered(CUdeviceptr* address, nuint bytes, PoolState? pool, CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (StreamCapture.IsActive && GraphMemory.CapturesAlloc(thread, address, bytes, stream, out result)) return result;
        result = CudaMemoryCalls.Send_cuMemAllocAsync(thread, CallClass.Answer, address, bytes, stream);
        if (result != CUresult.CUDA_SUCCESS || !Contexts.TryFind(thread->Context, out int device, out _)) return result;
        try
        {
            lock (PoolState.Gate) (pool ?? PoolState.CurrentOf(device)).Add(address->Value, bytes);
            return CUresult.CUDA_SUCCESS;
        }
        catch (Exception e) { return Session.Failed("cuMemAllocAsync"u8, e); }
    }

    [UnmanagedCallersOnly(EntryPoint = "cuMemFreeAsync")]
    public static CUresult FreeAsync(CUdeviceptr address, CUstream stream) => OrderedFree(address, stream);

    [UnmanagedCallersOnly(EntryPoint = "cuMemFreeAsync_ptsz")]
    public static CUresult FreeAsync_ptsz(CUdeviceptr address, CUstream stream) => OrderedFree(address, PerThread.Of(stream));

    /// <summary>Memory of a graph stays with the graph, which allocates it again when it runs again; what uses it now must be done, as with all memory.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuMemFree_v2")]
    public static CUresult Free(CUdeviceptr address)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (address.Value != 0 && GraphMemory.Frees(address.Value)) return CudaContextCalls.Send_cuCtxSynchronize(thread, CallClass.Blocking);
        if (SharedPools.Frees(thread, address, out result)) return result;
        return CudaMemoryCalls.Send_cuMemFree_v2(thread, CallClass.Blocking, address);
    }

    /// <summary>NULL is nothing to free, as with cuMemFree: cusparseDestroyCsrsv2Info of 11.8 frees six pointers so, set or not, and fails where one is refused.</summary>
    private static CUresult OrderedFree(CUdeviceptr address, CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS || address.Value == 0) return result;
        if (StreamCapture.IsActive && GraphMemory.CapturesFree(address.Value, stream, out result)) return result;
        if (GraphMemory.Frees(address.Value)) return CUresult.CUDA_SUCCESS;
        if (SharedPools.Frees(thread, address, out result)) return result;
        result = CudaMemoryCalls.Send_cuMemFreeAsync(thread, CallClass.Answer, address, stream);
        if (result == CUresult.CUDA_SUCCESS)
            lock (PoolState.Gate) PoolState.Freed(address.Value);
        return result;
    }

    internal static CUresult With(CUmemoryPool pool, Func<PoolState, CUresult> body)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        try
        {
            lock (PoolState.Gate) return PoolState.Find(pool.Value) is { } found ? body(found) : CUresult.CUDA_ERROR_INVALID_VALUE;
        }
        catch (Exception e) { return Session.Failed("a pool call"u8, e); }
    }

    /// <param name="properties">CUmemPoolProps: type (1 pinned), handle types, location type and id</param>
    [UnmanagedCallersOnly(EntryPoint = "cuMemPoolCreate")]
    public static CUresult Create(CUmemoryPool* pool, int* properties)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        if (pool == null || properties == null || properties[0] != 1 || properties[2] != Device || !Devices.IsValid(new CUdevice(properties[3]))) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (properties[1] != 0 && (properties[1] != SharedPools.FileDescriptor || !Devices.IsSoft(properties[3])))
            return Unsupported.Use(ref s_toldShared, "cuMemPoolCreate"u8, "for other processes, on a GPU or by other handles than file descriptors,"u8);
        try
        {
            lock (PoolState.Gate) *pool = new CUmemoryPool(PoolState.Make(properties[3], properties[1]).Handle);
            return CUresult.CUDA_SUCCESS;
        }
        catch (Exception e) { return Session.Failed("cuMemPoolCreate"u8, e); }
    }

    /// <returns>CUDA_ERROR_INVALID_VALUE for a device's own pool</returns>
    [UnmanagedCallersOnly(EntryPoint = "cuMemPoolDestroy")]
    public static CUresult Destroy(CUmemoryPool pool) => With(pool, found =>
    {
        if (found.Handle == PoolState.Own(found.Device)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        PoolState.Remove(found);
        return CUresult.CUDA_SUCCESS;
    });

    /// <summary>1 to 3 reuse policies (int), 4 release threshold (u64): hints, kept to be read back. 6 and 8: to 0 only.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuMemPoolSetAttribute")]
    public static CUresult SetAttribute(CUmemoryPool pool, int attribute, void* value) => With(pool, found =>
    {
        if (value == null || attribute is not (>= 1 and <= 4 or 6 or 8) || attribute > 4 && *(ulong*)value != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (attribute > 4) found.ResetHigh(attribute);
        else found.Hints[attribute] = attribute == 4 ? *(ulong*)value : *(uint*)value;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuMemPoolGetAttribute")]
    public static CUresult GetAttribute(CUmemoryPool pool, int attribute, void* value) => With(pool, found =>
    {
        if (value == null || attribute is < 1 or > 8) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (attribute < 4) *(uint*)value = (uint)found.Hints[attribute];
        else *(ulong*)value = attribute == 4 ? found.Hints[4] : found.Sum(WrapperRuntime.Enter(), attribute);
        return CUresult.CUDA_SUCCESS;
    });

    /// <summary>Freed memory goes back at once: nothing is kept that could be trimmed.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuMemPoolTrimTo")]
    public static CUresult Trim(CUmemoryPool pool, nuint keepBytes) => With(pool, _ => CUresult.CUDA_SUCCESS);

    /// <param name="location">CUmemLocation: type (1 device), ordinal</param>
    [UnmanagedCallersOnly(EntryPoint = "cuMemPoolGetAccess")]
    public static CUresult GetAccess(int* flags, CUmemoryPool pool, int* location) => With(pool, found =>
    {
        const int readWrite = 3;
        if (flags == null || location == null || location[0] != Device || !Devices.IsValid(new CUdevice(location[1]))) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *flags = location[1] == found.Device ? readWrite : found.Peers.GetValueOrDefault(location[1]);
        return CUresult.CUDA_SUCCESS;
    });

    /// <summary>The pool's own device cannot be shut out; others must be its peers.</summary>
    /// <param name="descriptions">[count]</param>
    [UnmanagedCallersOnly(EntryPoint = "cuMemPoolSetAccess")]
    public static CUresult SetAccess(CUmemoryPool pool, CUmemAccessDesc* descriptions, nuint count) => With(pool, found =>
    {
        if (descriptions == null && count != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        for (nuint n = 0; n < count; n++)
        {
            if (descriptions[n].LocationType != Device || !Devices.IsValid(new CUdevice(descriptions[n].LocationId))) return CUresult.CUDA_ERROR_INVALID_VALUE;
            if (descriptions[n].Flags is not (0 or 1 or 3)) return CUresult.CUDA_ERROR_INVALID_VALUE;
            if (descriptions[n].LocationId == found.Device ? descriptions[n].Flags != 3 : descriptions[n].Flags != 0 && !PeerAccess.IsOffered(descriptions[n].LocationId, found.Device)) return CUresult.CUDA_ERROR_INVALID_DEVICE;
        }
        for (nuint n = 0; n < count; n++)
            if (descriptions[n].LocationId != found.Device) found.Peers[descriptions[n].LocationId] = (int)descriptions[n].Flags;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetMemPool")]
    public static CUresult GetCurrent(CUmemoryPool* pool, CUdevice device)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        if (pool == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (!Devices.IsValid(device)) return CUresult.CUDA_ERROR_INVALID_DEVICE;
        lock (PoolState.Gate) *pool = new CUmemoryPool(PoolState.CurrentOf(device.Value).Handle);
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuDeviceSetMemPool")]
    public static CUresult SetCurrent(CUdevice device, CUmemoryPool pool)
    {
        if (Session.Ready == CUresult.CUDA_SUCCESS && !Devices.IsValid(device)) return CUresult.CUDA_ERROR_INVALID_DEVICE;
        return With(pool, found =>
        {
            if (found.Device != device.Value) return CUresult.CUDA_ERROR_INVALID_VALUE;
            PoolState.SetCurrent(device.Value, found);
            return CUresult.CUDA_SUCCESS;
        });
    }
}
