using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Graphs;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: as GraphEdit. CUDA Driver API, "Graph Management": parameters of nodes, in graphs and in executable graphs.
internal static unsafe class GraphNodeParams
{
    internal static (CUresult, NodeWork?) Kernel(CUDA_KERNEL_NODE_PARAMS* given, bool isFirstForm)
    {
        if (given == null) return (CUresult.CUDA_ERROR_INVALID_VALUE, null);
        CUDA_KERNEL_NODE_PARAMS copy = default;
        int length = isFirstForm ? CUDA_KERNEL_NODE_PARAMS.FirstFormBytes : sizeof(CUDA_KERNEL_NODE_PARAMS);
        Buffer.MemoryCopy(given, &copy, length, length);
        CUresult result = KernelWork.Create(&copy, out KernelWork? work);
        return (result, work);
    }

    internal static (CUresult, NodeWork?) Memcpy(CUDA_MEMCPY3D* copy)
    {
        if (copy == null || copy->WidthInBytes == 0 || copy->Height == 0 || copy->Depth == 0) return (CUresult.CUDA_ERROR_INVALID_VALUE, null);
        CUresult result = Copies3D.Check(in *copy);
        return (result, result == CUresult.CUDA_SUCCESS ? new CopyWork(*copy) : null);
    }

    internal static (CUresult, NodeWork?) Memset(CUDA_MEMSET_NODE_PARAMS* fill)
    {
        CUresult result = FillWork.Check(fill);
        return (result, result == CUresult.CUDA_SUCCESS ? new FillWork(*fill) : null);
    }

    internal static (CUresult, NodeWork?) Host(CUDA_HOST_NODE_PARAMS* call)
        => call == null || call->Function == 0 ? (CUresult.CUDA_ERROR_INVALID_VALUE, null) : (CUresult.CUDA_SUCCESS, new HostWork(*call));

    internal static (CUresult, NodeWork?) Event(CUevent @event, bool isRecord)
        => VirtualHandle.KindOf(@event.Value) != HandleKind.Event ? (CUresult.CUDA_ERROR_INVALID_HANDLE, null) : (CUresult.CUDA_SUCCESS, new EventWork(@event, isRecord));

    internal static (CUresult, NodeWork?) Batch(CUDA_BATCH_MEM_OP_NODE_PARAMS* given)
    {
        CUresult result = BatchWork.Create(given, out NodeWork? work);
        return (result, work);
    }

    // ---- reading

    private static CUresult Get<T>(ulong node, void* into, Action<T> give) where T : NodeWork => GraphCalls.Do(() =>
    {
        if (into == null || GraphObjects.Node(node)?.Work is not T work) return CUresult.CUDA_ERROR_INVALID_VALUE;
        give(work);
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphKernelNodeGetParams")]
    public static CUresult GetKernel(ulong node, CUDA_KERNEL_NODE_PARAMS* into) => Get<KernelWork>(node, into, w =>
    {
        CUDA_KERNEL_NODE_PARAMS all = w.Params;
        Buffer.MemoryCopy(&all, into, CUDA_KERNEL_NODE_PARAMS.FirstFormBytes, CUDA_KERNEL_NODE_PARAMS.FirstFormBytes);
    });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphKernelNodeGetParams_v2")]
    public static CUresult GetKernel_v2(ulong node, CUDA_KERNEL_NODE_PARAMS* into) => Get<KernelWork>(node, into, w => *into = w.Params);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphMemcpyNodeGetParams")]
    public static CUresult GetMemcpy(ulong node, CUDA_MEMCPY3D* into) => Get<CopyWork>(node, into, w => *into = w.Params);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphMemsetNodeGetParams")]
    public static CUresult GetMemset(ulong node, CUDA_MEMSET_NODE_PARAMS* into) => Get<FillWork>(node, into, w => *into = w.Params);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphHostNodeGetParams")]
    public static CUresult GetHost(ulong node, CUDA_HOST_NODE_PARAMS* into) => Get<HostWork>(node, into, w => *into = w.Params);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphBatchMemOpNodeGetParams")]
    public static CUresult GetBatch(ulong node, CUDA_BATCH_MEM_OP_NODE_PARAMS* into) => Get<BatchWork>(node, into, w => *into = w.Params);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphChildGraphNodeGetGraph")]
    public static CUresult GetChild(ulong node, ulong* into) => Get<ChildWork>(node, into, w => *into = w.Child.Handle);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphEventRecordNodeGetEvent")]
    public static CUresult GetEventRecord(ulong node, CUevent* into) => GetEvent(node, into, 7);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphEventWaitNodeGetEvent")]
    public static CUresult GetEventWait(ulong node, CUevent* into) => GetEvent(node, into, 6);

    private static CUresult GetEvent(ulong node, CUevent* into, int type) => GraphCalls.Do(() =>
    {
        if (into == null || GraphObjects.Node(node)?.Work is not EventWork work || work.Type != type) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *into = work.Event;
        return CUresult.CUDA_SUCCESS;
    });

    // ---- changing: of a node of a graph, or (with the node of the graph that was instantiated) of an executable graph

    private static CUresult Set(ulong node, int type, Func<(CUresult, NodeWork?)> make) => GraphCalls.Do(() => Put(GraphObjects.Node(node), type, make));

    private static CUresult SetExec(ulong exec, ulong node, int type, Func<(CUresult, NodeWork?)> make)
        => GraphCalls.Do(() => GraphObjects.Exec(exec) is { } graph && GraphObjects.Node(node) is { } found ? Put(graph.Nodes.Find(n => n.Origin == found), type, make) : CUresult.CUDA_ERROR_INVALID_VALUE);

    private static CUresult Put(GraphNode? node, int type, Func<(CUresult, NodeWork?)> make)
    {
        if (node is null || node.Work.Type != type) return CUresult.CUDA_ERROR_INVALID_VALUE;
        (CUresult result, NodeWork? work) = make();
        if (result == CUresult.CUDA_SUCCESS) node.Work = work!;
        return result;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuGraphKernelNodeSetParams")]
    public static CUresult SetKernel(ulong node, CUDA_KERNEL_NODE_PARAMS* given) => Set(node, 0, () => Kernel(given, isFirstForm: true));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphKernelNodeSetParams_v2")]
    public static CUresult SetKernel_v2(ulong node, CUDA_KERNEL_NODE_PARAMS* given) => Set(node, 0, () => Kernel(given, isFirstForm: false));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphMemcpyNodeSetParams")]
    public static CUresult SetMemcpy(ulong node, CUDA_MEMCPY3D* copy) => Set(node, 1, () => Memcpy(copy));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphMemsetNodeSetParams")]
    public static CUresult SetMemset(ulong node, CUDA_MEMSET_NODE_PARAMS* fill) => Set(node, 2, () => Memset(fill));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphHostNodeSetParams")]
    public static CUresult SetHost(ulong node, CUDA_HOST_NODE_PARAMS* call) => Set(node, 3, () => Host(call));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphBatchMemOpNodeSetParams")]
    public static CUresult SetBatch(ulong node, CUDA_BATCH_MEM_OP_NODE_PARAMS* given) => Set(node, 12, () => Batch(given));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphEventRecordNodeSetEvent")]
    public static CUresult SetEventRecord(ulong node, CUevent @event) => Set(node, 7, () => Event(@event, isRecord: true));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphEventWaitNodeSetEvent")]
    public static CUresult SetEventWait(ulong node, CUevent @event) => Set(node, 6, () => Event(@event, isRecord: false));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphExecKernelNodeSetParams")]
    public static CUresult SetExecKernel(ulong exec, ulong node, CUDA_KERNEL_NODE_PARAMS* given) => SetExec(exec, node, 0, () => Kernel(given, isFirstForm: true));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphExecKernelNodeSetParams_v2")]
    public static CUresult SetExecKernel_v2(ulong exec, ulong node, CUDA_KERNEL_NODE_PARAMS* given) => SetExec(exec, node, 0, () => Kernel(given, isFirstForm: false));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphExecMemcpyNodeSetParams")]
    public static CUresult SetExecMemcpy(ulong exec, ulong node, CUDA_MEMCPY3D* copy, CUcontext context) => SetExec(exec, node, 1, () => Memcpy(copy));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphExecMemsetNodeSetParams")]
    public static CUresult SetExecMemset(ulong exec, ulong node, CUDA_MEMSET_NODE_PARAMS* fill, CUcontext context) => SetExec(exec, node, 2, () => Memset(fill));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphExecHostNodeSetParams")]
    public static CUresult SetExecHost(ulong exec, ulong node, CUDA_HOST_NODE_PARAMS* call) => SetExec(exec, node, 3, () => Host(call));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphExecBatchMemOpNodeSetParams")]
    public static CUresult SetExecBatch(ulong exec, ulong node, CUDA_BATCH_MEM_OP_NODE_PARAMS* given) => SetExec(exec, node, 12, () => Batch(given));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphExecEventRecordNodeSetEvent")]
    public static CUresult SetExecEventRecord(ulong exec, ulong node, CUevent @event) => SetExec(exec, node, 7, () => Event(@event, isRecord: true));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphExecEventWaitNodeSetEvent")]
    public static CUresult SetExecEventWait(ulong exec, ulong node, CUevent @event) => SetExec(exec, node, 6, () => Event(@event, isRecord: false));
}
