using TreCr.Calls;

namespace TreCr.Wrapper.Cuda.Graphs;

/// <summary>Handles of graphs, executable graphs, nodes and user objects. They never reach the delegator.</summary>
internal static class GraphObjects
{
    /// <summary>Over everything in this folder.</summary>
    public static readonly Lock Gate = new();

    private static readonly Dictionary<ulong, object> Known = [];
    private static ulong s_serial = VirtualHandle.FirstSerial;

    private static ulong Next(HandleKind kind) => VirtualHandle.Make(kind, s_serial++);

    public static Graph AddGraph(bool isExec, ulong flags)
    {
        Graph graph = new() { Handle = Next(isExec ? HandleKind.GraphExec : HandleKind.Graph), Flags = flags };
        Known[graph.Handle] = graph;
        return graph;
    }

    public static GraphNode AddNode(Graph graph, NodeWork work, GraphNode? origin)
    {
        GraphNode node = new(graph, Next(HandleKind.GraphNode), work, origin);
        Known[node.Handle] = node;
        return node;
    }

    public static UserObject AddObject(ulong data, ulong destructor, uint references)
    {
        UserObject made = new() { Handle = Next(HandleKind.GraphNode), Data = data, Destructor = destructor, References = references };
        Known[made.Handle] = made;
        return made;
    }

    /// <summary>Null: no such graph now.</summary>
    public static Graph? Graph(ulong handle) => VirtualHandle.KindOf(handle) == HandleKind.Graph ? Find<Graph>(handle) : null;

    public static Graph? Exec(ulong handle) => VirtualHandle.KindOf(handle) == HandleKind.GraphExec ? Find<Graph>(handle) : null;

    public static GraphNode? Node(ulong handle) => Find<GraphNode>(handle);

    public static UserObject? Object(ulong handle) => Find<UserObject>(handle);

    private static T? Find<T>(ulong handle) where T : class => Known.TryGetValue(handle, out object? found) ? found as T : null;

    /// <param name="ended">receives user objects whose destructors the caller runs, outside of the lock</param>
    public static void Remove(GraphNode node, List<UserObject> ended)
    {
        if (node.Work is ChildWork child) Remove(child.Child, ended);
        node.Work.End();
        Known.Remove(node.Handle);
    }

    public static void Remove(Graph graph, List<UserObject> ended)
    {
        foreach (GraphNode node in graph.Nodes) Remove(node, ended);
        foreach ((UserObject held, uint count) in graph.Objects)
            if (Release(held, count)) ended.Add(held);
        Known.Remove(graph.Handle);
    }

    /// <summary>Takes references away.</summary>
    /// <returns>true: it was the last; the caller runs the destructor, outside of the lock</returns>
    public static bool Release(UserObject of, uint count)
    {
        of.References -= Math.Min(count, of.References);
        if (of.References == 0) Known.Remove(of.Handle);
        return of.References == 0;
    }
}
