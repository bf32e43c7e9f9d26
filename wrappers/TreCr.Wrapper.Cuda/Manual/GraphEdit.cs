using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Graphs;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: graphs are the wrapper's own (Graphs/Graph.cs). CUDA Driver API, "Graph Management": making and changing them.
internal static unsafe class GraphEdit
{
    [UnmanagedCallersOnly(EntryPoint = "cuGraphCreate")]
    public static CUresult Create(ulong* graph, uint flags) => graph == null || flags != 0 ? CUresult.CUDA_ERROR_INVALID_VALUE : GraphCalls.Do(() =>
    {
        *graph = GraphObjects.AddGraph(isExec: false, 0).Handle;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphDestroy")]
    public static CUresult Destroy(ulong graph) => GraphCalls.DoEnding(ended =>
    {
        if (GraphObjects.Graph(graph) is not { } found) return CUresult.CUDA_ERROR_INVALID_VALUE;
        GraphObjects.Remove(found, ended);
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphClone")]
    public static CUresult Clone(ulong* clone, ulong original) => GraphCalls.Do(() =>
    {
        if (clone == null || GraphObjects.Graph(original) is not { } found) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *clone = found.Clone().Handle;
        return CUresult.CUDA_SUCCESS;
    });

    internal static CUresult Add(ulong* node, ulong graph, ulong* dependencies, nuint count, Func<(CUresult, NodeWork?)> make) => GraphCalls.Do(() =>
    {
        if (node == null || GraphObjects.Graph(graph) is not { } found || !GraphCalls.TryNodes(found, dependencies, count, out GraphNode[] before)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        (CUresult result, NodeWork? work) = make();
        if (result == CUresult.CUDA_SUCCESS) *node = found.Add(work!, before).Handle;
        return result;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphAddKernelNode")]
    public static CUresult AddKernel(ulong* node, ulong graph, ulong* dependencies, nuint count, CUDA_KERNEL_NODE_PARAMS* given)
        => Add(node, graph, dependencies, count, () => GraphNodeParams.Kernel(given, isFirstForm: true));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphAddKernelNode_v2")]
    public static CUresult AddKernel_v2(ulong* node, ulong graph, ulong* dependencies, nuint count, CUDA_KERNEL_NODE_PARAMS* given)
        => Add(node, graph, dependencies, count, () => GraphNodeParams.Kernel(given, isFirstForm: false));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphAddMemcpyNode")]
    public static CUresult AddMemcpy(ulong* node, ulong graph, ulong* dependencies, nuint count, CUDA_MEMCPY3D* copy, CUcontext context)
        => Add(node, graph, dependencies, count, () => GraphNodeParams.Memcpy(copy));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphAddMemsetNode")]
    public static CUresult AddMemset(ulong* node, ulong graph, ulong* dependencies, nuint count, CUDA_MEMSET_NODE_PARAMS* fill, CUcontext context)
        => Add(node, graph, dependencies, count, () => GraphNodeParams.Memset(fill));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphAddHostNode")]
    public static CUresult AddHost(ulong* node, ulong graph, ulong* dependencies, nuint count, CUDA_HOST_NODE_PARAMS* call)
        => Add(node, graph, dependencies, count, () => GraphNodeParams.Host(call));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphAddBatchMemOpNode")]
    public static CUresult AddBatch(ulong* node, ulong graph, ulong* dependencies, nuint count, CUDA_BATCH_MEM_OP_NODE_PARAMS* given)
        => Add(node, graph, dependencies, count, () => GraphNodeParams.Batch(given));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphAddChildGraphNode")]
    public static CUresult AddChild(ulong* node, ulong graph, ulong* dependencies, nuint count, ulong child)
        => Add(node, graph, dependencies, count, () => GraphObjects.Graph(child) is { } found && child != graph ? (CUresult.CUDA_SUCCESS, new ChildWork(found.Clone())) : (CUresult.CUDA_ERROR_INVALID_VALUE, null));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphAddEmptyNode")]
    public static CUresult AddEmpty(ulong* node, ulong graph, ulong* dependencies, nuint count) => Add(node, graph, dependencies, count, () => (CUresult.CUDA_SUCCESS, new EmptyWork()));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphAddEventRecordNode")]
    public static CUresult AddEventRecord(ulong* node, ulong graph, ulong* dependencies, nuint count, CUevent @event)
        => Add(node, graph, dependencies, count, () => GraphNodeParams.Event(@event, isRecord: true));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphAddEventWaitNode")]
    public static CUresult AddEventWait(ulong* node, ulong graph, ulong* dependencies, nuint count, CUevent @event)
        => Add(node, graph, dependencies, count, () => GraphNodeParams.Event(@event, isRecord: false));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphDestroyNode")]
    public static CUresult DestroyNode(ulong node) => GraphCalls.DoEnding(ended =>
    {
        if (GraphObjects.Node(node) is not { } found || VirtualHandle.KindOf(found.Graph.Handle) != HandleKind.Graph) return CUresult.CUDA_ERROR_INVALID_VALUE;
        foreach (GraphNode before in found.Dependencies.ToArray()) GraphNode.Part(before, found);
        foreach (GraphNode after in found.Dependents.ToArray()) GraphNode.Part(found, after);
        found.Graph.Nodes.Remove(found);
        GraphObjects.Remove(found, ended);
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphAddDependencies")]
    public static CUresult AddDependencies(ulong graph, ulong* from, ulong* to, nuint count) => Change(graph, from, to, count, isAdding: true);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphRemoveDependencies")]
    public static CUresult RemoveDependencies(ulong graph, ulong* from, ulong* to, nuint count) => Change(graph, from, to, count, isAdding: false);

    /// <summary>An edge that is there already, or is not there, is CUDA_ERROR_INVALID_VALUE; then nothing was changed.</summary>
    private static CUresult Change(ulong graph, ulong* from, ulong* to, nuint count, bool isAdding) => GraphCalls.Do(() =>
    {
        if (GraphObjects.Graph(graph) is not { } found || !GraphCalls.TryNodes(found, from, count, out GraphNode[] starts) || !GraphCalls.TryNodes(found, to, count, out GraphNode[] ends))
            return CUresult.CUDA_ERROR_INVALID_VALUE;
        for (int i = 0; i < starts.Length; i++)
            if (starts[i] == ends[i] || starts[i].Dependents.Contains(ends[i]) == isAdding) return CUresult.CUDA_ERROR_INVALID_VALUE;
        for (int i = 0; i < starts.Length; i++)
            if (isAdding) GraphNode.Join(starts[i], ends[i]); else GraphNode.Part(starts[i], ends[i]);
        return CUresult.CUDA_SUCCESS;
    });
}
