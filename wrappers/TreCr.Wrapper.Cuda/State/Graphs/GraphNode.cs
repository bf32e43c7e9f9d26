namespace TreCr.Wrapper.Cuda.Graphs;

/// <summary>A node of a graph or of an executable graph.</summary>
internal sealed class GraphNode(Graph graph, ulong handle, NodeWork work, GraphNode? origin)
{
    public Graph Graph => graph;
    public ulong Handle => handle;

    /// <summary>The node of which this is a copy.</summary>
    public GraphNode? Origin => origin;

    public NodeWork Work { get; set; } = work;

    /// <summary>Only in executable graphs ever false: the node then does nothing.</summary>
    public bool IsEnabled { get; set; } = true;

    public List<GraphNode> Dependencies { get; } = [];
    public List<GraphNode> Dependents { get; } = [];

    public static void Join(GraphNode from, GraphNode to)
    {
        from.Dependents.Add(to);
        to.Dependencies.Add(from);
    }

    public static void Part(GraphNode from, GraphNode to)
    {
        from.Dependents.Remove(to);
        to.Dependencies.Remove(from);
    }
}
