namespace TreCr.Wrapper.Cuda.Graphs;

/// <summary>
/// A graph, or what a graph was instantiated to. Graphs are wholly the wrapper's: they lie in the program's memory and so come back with it at a restart; a launch
/// puts their work into the stream in an order that their edges allow. Under <see cref="GraphObjects.Gate"/>.
/// </summary>
internal sealed class Graph
{
    public ulong Handle { get; init; }

    /// <summary>In the order of making.</summary>
    public List<GraphNode> Nodes { get; } = [];

    /// <summary>References that the graph holds on user objects.</summary>
    public Dictionary<UserObject, uint> Objects { get; } = [];

    /// <summary>Instantiation flags.</summary>
    public ulong Flags { get; init; }

    public IEnumerable<(GraphNode From, GraphNode To)> Edges => Nodes.SelectMany(n => n.Dependents.Select(d => (n, d)));

    public GraphNode Add(NodeWork work, GraphNode[] dependencies)
    {
        GraphNode node = GraphObjects.AddNode(this, work, origin: null);
        Nodes.Add(node);
        foreach (GraphNode dependency in dependencies) GraphNode.Join(dependency, node);
        return node;
    }

    /// <summary>Adds references of this graph to an object.</summary>
    public void Hold(UserObject held, uint count)
    {
        held.References += count;
        Objects[held] = Objects.GetValueOrDefault(held) + count;
    }

    /// <summary>A deep copy; nodes of the copy know those that they come from.</summary>
    /// <param name="isExec">the copy is an executable graph</param>
    public Graph Clone(bool isExec = false, ulong flags = 0)
    {
        Graph copy = GraphObjects.AddGraph(isExec, flags);
        Dictionary<GraphNode, GraphNode> images = [];
        foreach (GraphNode node in Nodes)
        {
            GraphNode image = GraphObjects.AddNode(copy, node.Work.Copy(), node);
            image.IsEnabled = node.IsEnabled;
            copy.Nodes.Add(images[node] = image);
        }
        foreach ((GraphNode from, GraphNode to) in Edges) GraphNode.Join(images[from], images[to]);
        foreach ((UserObject held, uint count) in Objects) copy.Hold(held, count);
        return copy;
    }

    /// <summary>Nodes so that each stands behind what it depends on; null: the edges have a ring.</summary>
    public List<GraphNode>? Ordered()
    {
        List<GraphNode> ordered = new(Nodes.Count);
        Dictionary<GraphNode, int> left = Nodes.ToDictionary(n => n, n => n.Dependencies.Count);
        Queue<GraphNode> ready = [], waiting = [];
        foreach (GraphNode first in Nodes)
            if (first.Dependencies.Count == 0) Ready(first);
        while (ready.TryDequeue(out GraphNode? node) || waiting.TryDequeue(out node))
        {
            ordered.Add(node);
            foreach (GraphNode next in node.Dependents)
                if (--left[next] == 0) Ready(next);
        }
        // One after the other, what waits comes last: another branch may bring what it waits for.
        void Ready(GraphNode node) => (node.Work.Waits ? waiting : ready).Enqueue(node);
        return ordered.Count == Nodes.Count ? ordered : null;
    }

    /// <summary>What a launch puts into its stream, in order, with that of child graphs.</summary>
    public void Collect(List<NodeWork> work)
    {
        foreach (GraphNode node in Ordered() ?? [])
        {
            if (!node.IsEnabled) continue;
            if (node.Work is ChildWork child) child.Child.Collect(work);
            else work.Add(node.Work);
        }
    }
}
