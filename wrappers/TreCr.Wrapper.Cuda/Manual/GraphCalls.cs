using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Graphs;

namespace TreCr.Wrapper.Cuda.Manual;

/// <summary>What the hand-written graph calls share. Graphs need the delegator only for the work of a launch.</summary>
internal static unsafe class GraphCalls
{
    /// <summary>Runs the body of a call under the lock over all graphs, while the session runs.</summary>
    public static CUresult Do(Func<CUresult> body)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        try
        {
            lock (GraphObjects.Gate) return body();
        }
        catch (Exception e) { return Session.Failed("a graph call"u8, e); }
    }

    /// <summary>The same for calls that may end user objects: their destructors run after the lock was left.</summary>
    public static CUresult DoEnding(Func<List<UserObject>, CUresult> body)
    {
        List<UserObject> ended = [];
        CUresult result = Do(() => body(ended));
        foreach (UserObject of in ended)
            if (of.Destructor != 0) ((delegate* unmanaged<ulong, void>)of.Destructor)(of.Data);
        return result;
    }

    /// <summary>Nodes by their handles.</summary>
    /// <returns>false: one is none, or not in the graph</returns>
    public static bool TryNodes(Graph graph, ulong* handles, nuint count, out GraphNode[] nodes)
    {
        nodes = [];
        if (count == 0) return true;
        if (handles == null || count > int.MaxValue) return false;
        nodes = new GraphNode[count];
        for (nuint i = 0; i < count; i++)
        {
            if (GraphObjects.Node(handles[i]) is not { } node || node.Graph != graph) return false;
            nodes[i] = node;
        }
        return true;
    }

    /// <summary>A list as the API gives them: NULL asks for the number; what does not fit is left out, places too many become 0.</summary>
    public static CUresult Give(IReadOnlyList<ulong> handles, ulong* into, nuint* count)
    {
        if (count == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (into != null)
            for (nuint i = 0; i < *count; i++) into[i] = i < (nuint)handles.Count ? handles[(int)i] : 0;
        *count = into == null ? (nuint)handles.Count : nuint.Min(*count, (nuint)handles.Count);
        return CUresult.CUDA_SUCCESS;
    }
}
