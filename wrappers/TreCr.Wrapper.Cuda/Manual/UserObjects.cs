using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Graphs;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: counts and destructors are the program's own affair. CUDA Driver API, "Graph Management", user objects.
internal static unsafe class UserObjects
{
    /// <param name="flags">must be 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC</param>
    [UnmanagedCallersOnly(EntryPoint = "cuUserObjectCreate")]
    public static CUresult Create(ulong* created, ulong data, ulong destructor, uint count, uint flags) => GraphCalls.Do(() =>
    {
        if (created == null || destructor == 0 || count == 0 || flags != 1) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *created = GraphObjects.AddObject(data, destructor, count).Handle;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuUserObjectRetain")]
    public static CUresult Retain(ulong held, uint count) => GraphCalls.Do(() =>
    {
        if (count == 0 || GraphObjects.Object(held) is not { } found) return CUresult.CUDA_ERROR_INVALID_VALUE;
        found.References += count;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuUserObjectRelease")]
    public static CUresult Release(ulong held, uint count) => GraphCalls.DoEnding(ended =>
    {
        if (count == 0 || GraphObjects.Object(held) is not { } found) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (GraphObjects.Release(found, count)) ended.Add(found);
        return CUresult.CUDA_SUCCESS;
    });

    /// <param name="flags">1 CU_GRAPH_USER_OBJECT_MOVE: the references are the caller's until now</param>
    [UnmanagedCallersOnly(EntryPoint = "cuGraphRetainUserObject")]
    public static CUresult GraphRetain(ulong graph, ulong held, uint count, uint flags) => GraphCalls.Do(() =>
    {
        if (count == 0 || flags > 1 || GraphObjects.Graph(graph) is not { } keeper || GraphObjects.Object(held) is not { } found) return CUresult.CUDA_ERROR_INVALID_VALUE;
        keeper.Hold(found, count);
        if (flags == 1) found.References -= count;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphReleaseUserObject")]
    public static CUresult GraphRelease(ulong graph, ulong held, uint count) => GraphCalls.DoEnding(ended =>
    {
        if (count == 0 || GraphObjects.Graph(graph) is not { } keeper || GraphObjects.Object(held) is not { } found || keeper.Objects.GetValueOrDefault(found) < count) return CUresult.CUDA_ERROR_INVALID_VALUE;
        keeper.Objects[found] -= count;
        if (GraphObjects.Release(found, count)) ended.Add(found);
        return CUresult.CUDA_SUCCESS;
    });
}
