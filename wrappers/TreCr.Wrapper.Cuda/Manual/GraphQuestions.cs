using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Graphs;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: as GraphEdit. CUDA Driver API, "Graph Management": what a graph consists of.
internal static unsafe class GraphQuestions
{
    private static CUresult List(ulong graph, ulong* into, nuint* count, Func<Graph, IEnumerable<GraphNode>> which)
        => GraphCalls.Do(() => GraphObjects.Graph(graph) is { } found ? GraphCalls.Give([.. which(found).Select(n => n.Handle)], into, count) : CUresult.CUDA_ERROR_INVALID_VALUE);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphGetNodes")]
    public static CUresult GetNodes(ulong graph, ulong* nodes, nuint* count) => List(graph, nodes, count, g => g.Nodes);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphGetRootNodes")]
    public static CUresult GetRootNodes(ulong graph, ulong* nodes, nuint* count) => List(graph, nodes, count, g => g.Nodes.Where(n => n.Dependencies.Count == 0));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphGetEdges")]
    public static CUresult GetEdges(ulong graph, ulong* from, ulong* to, nuint* count) => GraphCalls.Do(() =>
    {
        if (count == null || (from == null) != (to == null) || GraphObjects.Graph(graph) is not { } found) return CUresult.CUDA_ERROR_INVALID_VALUE;
        nuint room = *count;
        (GraphNode From, GraphNode To)[] edges = [.. found.Edges];
        GraphCalls.Give([.. edges.Select(e => e.From.Handle)], from, count);
        return GraphCalls.Give([.. edges.Select(e => e.To.Handle)], to, &room);
    });

    private static CUresult Neighbours(ulong node, ulong* into, nuint* count, Func<GraphNode, List<GraphNode>> which)
        => GraphCalls.Do(() => GraphObjects.Node(node) is { } found ? GraphCalls.Give([.. which(found).Select(n => n.Handle)], into, count) : CUresult.CUDA_ERROR_INVALID_VALUE);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphNodeGetDependencies")]
    public static CUresult GetDependencies(ulong node, ulong* into, nuint* count) => Neighbours(node, into, count, n => n.Dependencies);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphNodeGetDependentNodes")]
    public static CUresult GetDependentNodes(ulong node, ulong* into, nuint* count) => Neighbours(node, into, count, n => n.Dependents);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphNodeGetType")]
    public static CUresult GetType(ulong node, int* type) => GraphCalls.Do(() =>
    {
        if (type == null || GraphObjects.Node(node) is not { } found) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *type = found.Work.Type;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphNodeFindInClone")]
    public static CUresult FindInClone(ulong* node, ulong original, ulong clone) => GraphCalls.Do(() =>
    {
        if (node == null || GraphObjects.Graph(clone) is not { } graph || GraphObjects.Node(original) is not { } found) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (graph.Nodes.Find(n => n.Origin == found) is not { } image) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *node = image.Handle;
        return CUresult.CUDA_SUCCESS;
    });

    private static GraphNode? Switchable(ulong exec, ulong node) => GraphObjects.Exec(exec) is { } graph && GraphObjects.Node(node) is { } found
        ? graph.Nodes.Find(n => n.Origin == found && n.Work is KernelWork or CopyWork or FillWork) : null;

    /// <summary>Kernels, copies and fills can be switched off.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuGraphNodeSetEnabled")]
    public static CUresult SetEnabled(ulong exec, ulong node, uint isEnabled) => GraphCalls.Do(() =>
    {
        if (Switchable(exec, node) is not { } found) return CUresult.CUDA_ERROR_INVALID_VALUE;
        found.IsEnabled = isEnabled != 0;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphNodeGetEnabled")]
    public static CUresult GetEnabled(ulong exec, ulong node, uint* isEnabled) => GraphCalls.Do(() =>
    {
        if (isEnabled == null || Switchable(exec, node) is not { } found) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *isEnabled = found.IsEnabled ? 1u : 0;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphExecGetFlags")]
    public static CUresult GetFlags(ulong exec, ulong* flags) => GraphCalls.Do(() =>
    {
        if (flags == null || GraphObjects.Exec(exec) is not { } found) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *flags = found.Flags;
        return CUresult.CUDA_SUCCESS;
    });
}
