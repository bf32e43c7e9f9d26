using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Graphs;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: memory of a graph's allocation nodes exists as long as the graph that it was made in, at one address; the nodes themselves do nothing when they run. CUDA Driver API, "Graph
// Management": memory nodes. What a program can see of the difference: memory is used before the graph runs, and graphs do not share it.
internal static unsafe class GraphMemory
{
    private const int DeviceLocation = 1;

    /// <summary>cuMemAllocAsync in a capturing stream makes a node.</summary>
    public static bool CapturesAlloc(ProgramThread* thread, CUdeviceptr* address, nuint bytes, CUstream stream, out CUresult result)
    {
        CUdeviceptr* into = address;
        return StreamCapture.Takes(stream, () => into == null ? (CUresult.CUDA_ERROR_INVALID_VALUE, null) : Allocate(thread, into, bytes), out result);
    }

    public static bool CapturesFree(ulong address, CUstream stream, out CUresult result) => StreamCapture.Takes(stream, () => Free(address), out result);

    /// <summary>Memory of a graph that the program frees outside of it: it stays with the graph, which allocates it again when it runs again.</summary>
    public static bool Frees(ulong address)
    {
        lock (GraphObjects.Gate) return GraphBlock.Find(address) is not null;
    }

    private static (CUresult, NodeWork?) Allocate(ProgramThread* thread, CUdeviceptr* address, nuint bytes)
    {
        CUresult result = CudaMemoryCalls.Send_cuMemAlloc_v2(thread, address, bytes);
        if (result != CUresult.CUDA_SUCCESS) return (result, null);
        Contexts.TryFind(thread->Context, out int device, out _);
        return (CUresult.CUDA_SUCCESS, new AllocWork(new GraphBlock(address->Value, bytes, device)));
    }

    private static (CUresult, NodeWork?) Free(ulong address) => GraphBlock.Find(address) is { } block ? (CUresult.CUDA_SUCCESS, new FreeWork(block)) : (CUresult.CUDA_ERROR_INVALID_VALUE, null);

    /// <param name="given">CUDA_MEM_ALLOC_NODE_PARAMS; receives the address</param>
    [UnmanagedCallersOnly(EntryPoint = "cuGraphAddMemAllocNode")]
    public static CUresult AddAlloc(ulong* node, ulong graph, ulong* dependencies, nuint count, CUDA_MEM_ALLOC_NODE_PARAMS* given)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (given == null || given->AllocationType != 1 || given->LocationType != DeviceLocation || !Devices.IsValid(new CUdevice(given->LocationId)) || given->HandleTypes != 0 || given->Bytes == 0)
            return CUresult.CUDA_ERROR_INVALID_VALUE;
        return GraphEdit.Add(node, graph, dependencies, count, () =>
        {
            CUdeviceptr address = default;
            (CUresult made, NodeWork? work) = Allocate(thread, &address, (nuint)given->Bytes);
            if (made == CUresult.CUDA_SUCCESS) given->Address = address.Value;
            return (made, work);
        });
    }

    [UnmanagedCallersOnly(EntryPoint = "cuGraphAddMemFreeNode")]
    public static CUresult AddFree(ulong* node, ulong graph, ulong* dependencies, nuint count, CUdeviceptr address) => GraphEdit.Add(node, graph, dependencies, count, () => Free(address.Value));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphMemAllocNodeGetParams")]
    public static CUresult GetAlloc(ulong node, CUDA_MEM_ALLOC_NODE_PARAMS* into) => GraphCalls.Do(() =>
    {
        if (into == null || GraphObjects.Node(node)?.Work is not AllocWork work) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *into = new CUDA_MEM_ALLOC_NODE_PARAMS { AllocationType = 1, LocationType = DeviceLocation, LocationId = work.Block.Device, Bytes = work.Block.Bytes, Address = work.Block.Address };
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphMemFreeNodeGetParams")]
    public static CUresult GetFree(ulong node, CUdeviceptr* into) => GraphCalls.Do(() =>
    {
        if (into == null || GraphObjects.Node(node)?.Work is not FreeWork work) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *into = new CUdeviceptr(work.Block.Address);
        return CUresult.CUDA_SUCCESS;
    });

    /// <param name="attribute">0 used, 1 used at most, 2 reserved, 3 reserved at most; bytes</param>
    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGetGraphMemAttribute")]
    public static CUresult GetAttribute(CUdevice device, int attribute, ulong* value) => GraphCalls.Do(() =>
    {
        if (value == null || attribute is < 0 or > 3) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (!Devices.IsValid(device)) return CUresult.CUDA_ERROR_INVALID_DEVICE;
        *value = attribute is 0 or 2 ? GraphBlock.UsedBytes(device.Value) : GraphBlock.MostBytes[device.Value];
        return CUresult.CUDA_SUCCESS;
    });

    /// <summary>The high-water marks, to 0 only.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuDeviceSetGraphMemAttribute")]
    public static CUresult SetAttribute(CUdevice device, int attribute, ulong* value) => GraphCalls.Do(() =>
    {
        if (value == null || attribute is not (1 or 3) || *value != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (!Devices.IsValid(device)) return CUresult.CUDA_ERROR_INVALID_DEVICE;
        GraphBlock.MostBytes[device.Value] = GraphBlock.UsedBytes(device.Value);
        return CUresult.CUDA_SUCCESS;
    });

    /// <summary>Memory of graphs that are gone went back at once.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuDeviceGraphMemTrim")]
    public static CUresult Trim(CUdevice device)
    {
        CUresult ready = Session.Ready;
        return ready != CUresult.CUDA_SUCCESS ? ready : Devices.IsValid(device) ? CUresult.CUDA_SUCCESS : CUresult.CUDA_ERROR_INVALID_DEVICE;
    }
}
