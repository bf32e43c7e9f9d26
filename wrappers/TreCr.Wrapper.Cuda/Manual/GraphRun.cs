using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Graphs;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: as GraphEdit. CUDA Driver API, "Graph Management": instantiation, launch, update; "User Objects".
internal static unsafe class GraphRun
{
    /// <summary>1 free on launch, 2 upload, 4 device launch (refused), 8 node priorities.</summary>
    private const ulong KnownFlags = 0xb;

    [UnmanagedCallersOnly(EntryPoint = "cuGraphInstantiate")]
    public static CUresult Instantiate_v1(ulong* exec, ulong graph, ulong* errorNode, byte* log, nuint bytes) => WithLog(exec, graph, errorNode, log, bytes);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphInstantiate_v2")]
    public static CUresult Instantiate_v2(ulong* exec, ulong graph, ulong* errorNode, byte* log, nuint bytes) => WithLog(exec, graph, errorNode, log, bytes);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphInstantiateWithFlags")]
    public static CUresult InstantiateWithFlags(ulong* exec, ulong graph, ulong flags) => Instantiate(exec, graph, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphInstantiateWithParams")]
    public static CUresult InstantiateWithParams(ulong* exec, ulong graph, ulong* parameters) => WithParams(exec, graph, parameters);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphInstantiateWithParams_ptsz")]
    public static CUresult InstantiateWithParams_ptsz(ulong* exec, ulong graph, ulong* parameters) => WithParams(exec, graph, parameters);

    /// <param name="parameters">CUDA_GRAPH_INSTANTIATE_PARAMS: flags, stream to upload in, then receives the node in error and a code (0 success, 1 error)</param>
    private static CUresult WithParams(ulong* exec, ulong graph, ulong* parameters)
    {
        if (parameters == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        CUresult result = Instantiate(exec, graph, parameters[0]);
        parameters[2] = 0;
        *(int*)(parameters + 3) = result == CUresult.CUDA_SUCCESS ? 0 : 1;
        return result;
    }

    private static CUresult WithLog(ulong* exec, ulong graph, ulong* errorNode, byte* log, nuint bytes)
    {
        if (errorNode != null) *errorNode = 0;
        if (log != null && bytes != 0) *log = 0;
        return Instantiate(exec, graph, 0);
    }

    private static CUresult Instantiate(ulong* exec, ulong graph, ulong flags) => GraphCalls.Do(() =>
    {
        if (exec == null || GraphObjects.Graph(graph) is not { } found || found.Ordered() is null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if ((flags & ~KnownFlags) != 0) return (flags & 4) != 0 ? CUresult.CUDA_ERROR_NOT_SUPPORTED : CUresult.CUDA_ERROR_INVALID_VALUE;
        *exec = found.Clone(isExec: true, flags).Handle;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphExecDestroy")]
    public static CUresult Destroy(ulong exec) => GraphCalls.DoEnding(ended =>
    {
        if (GraphObjects.Exec(exec) is not { } found) return CUresult.CUDA_ERROR_INVALID_VALUE;
        GraphObjects.Remove(found, ended);
        return CUresult.CUDA_SUCCESS;
    });

    /// <summary>Nothing has to be brought to the device beforehand.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuGraphUpload")]
    public static CUresult Upload(ulong exec, CUstream stream) => Known(exec);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphUpload_ptsz")]
    public static CUresult Upload_ptsz(ulong exec, CUstream stream) => Known(exec);

    private static CUresult Known(ulong exec) => GraphCalls.Do(() => GraphObjects.Exec(exec) is null ? CUresult.CUDA_ERROR_INVALID_VALUE : CUresult.CUDA_SUCCESS);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphLaunch")]
    public static CUresult Launch(ulong exec, CUstream stream) => Run(exec, stream);

    [UnmanagedCallersOnly(EntryPoint = "cuGraphLaunch_ptsz")]
    public static CUresult Launch_ptsz(ulong exec, CUstream stream) => Run(exec, PerThread.Of(stream));

    /// <summary>One stream after the other is an order that every graph allows; the work is put in outside of the lock, as copies of pageable memory wait.</summary>
    private static CUresult Run(ulong exec, CUstream stream)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (StreamCapture.IsActive && StreamCapture.Takes(stream, () => GraphObjects.Exec(exec) is { } found ? (CUresult.CUDA_SUCCESS, new ChildWork(found.Clone())) : (CUresult.CUDA_ERROR_INVALID_VALUE, null), out result))
            return result;
        List<NodeWork> work = [];
        result = GraphCalls.Do(() =>
        {
            if (GraphObjects.Exec(exec) is not { } found) return CUresult.CUDA_ERROR_INVALID_VALUE;
            found.Collect(work);
            return CUresult.CUDA_SUCCESS;
        });
        foreach (NodeWork each in work)
            if (result == CUresult.CUDA_SUCCESS) result = each.Enqueue(thread, stream);
        return result;
    }

    private struct UpdateInfo
    {
        public int Result;
        public ulong ErrorNode, ErrorFromNode;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuGraphExecUpdate")]
    public static CUresult Update_v1(ulong exec, ulong graph, ulong* errorNode, int* outcome)
    {
        UpdateInfo info = default;
        CUresult result = Update(exec, graph, &info);
        if (errorNode != null) *errorNode = info.ErrorNode;
        if (outcome != null) *outcome = info.Result;
        return result;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuGraphExecUpdate_v2")]
    public static CUresult Update_v2(ulong exec, ulong graph, void* info) => info == null ? CUresult.CUDA_ERROR_INVALID_VALUE : Update(exec, graph, (UpdateInfo*)info);

    /// <summary>Takes all parameters of a graph with the same nodes and edges in the same order; else the executable graph stays as it is.</summary>
    private static CUresult Update(ulong exec, ulong graph, UpdateInfo* info) => GraphCalls.Do(() =>
    {
        const int topologyChanged = 2, typeChanged = 3;
        *info = default;
        if (GraphObjects.Exec(exec) is not { } old || GraphObjects.Graph(graph) is not { } wanted) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (old.Nodes.Count != wanted.Nodes.Count || !Shape(old).SequenceEqual(Shape(wanted))) info->Result = topologyChanged;
        for (int i = 0; i < wanted.Nodes.Count && info->Result == 0; i++)
            if (old.Nodes[i].Work.Type != wanted.Nodes[i].Work.Type) (info->Result, info->ErrorNode) = (typeChanged, wanted.Nodes[i].Handle);
        if (info->Result != 0) return CUresult.CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
        for (int i = 0; i < wanted.Nodes.Count; i++) old.Nodes[i].Work = wanted.Nodes[i].Work.Copy();
        return CUresult.CUDA_SUCCESS;
    });

    private static IEnumerable<(int, int)> Shape(Graph graph) => graph.Edges.Select(e => (graph.Nodes.IndexOf(e.From), graph.Nodes.IndexOf(e.To))).Order();
}
