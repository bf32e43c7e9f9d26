using TreCr.Ptx.Passes;

namespace TreCr.Ptx.Ranges;

/// <summary>A set of blocks, compared by content.</summary>
sealed class BlockSet : IEquatable<BlockSet>
{
    public static BlockSet Empty { get; } = new([]);
    readonly int[] blocks;

    public BlockSet(IEnumerable<int> blocks) => this.blocks = [.. blocks.Distinct().Order()];

    public bool Contains(int block) => Array.BinarySearch(blocks, block) >= 0;
    public bool Equals(BlockSet? other) => other is not null && blocks.AsSpan().SequenceEqual(other.blocks);
    public override bool Equals(object? other) => Equals(other as BlockSet);

    public override int GetHashCode()
    {
        HashCode h = new();
        foreach (int b in blocks) h.Add(b);
        return h.ToHashCode();
    }
}

/// <summary>Questions about ways through a flow graph, answered by search and remembered. A way has at least one edge.</summary>
sealed class Reachability(FlowGraph g)
{
    static readonly (int, int) NoEdge = (-1, -1);
    readonly Dictionary<(int From, BlockSet Avoid, (int, int) Edge), bool[]> known = [];

    bool[] After(int from, BlockSet avoid, (int From, int To) edge)
    {
        if (known.TryGetValue((from, avoid, edge), out bool[]? done)) return done;
        bool[] seen = new bool[g.Blocks.Count];
        Stack<int> todo = new([from]);
        while (todo.TryPop(out int b))
            foreach (int s in g.Blocks[b].Successors())
            {
                if (seen[s] || avoid.Contains(s) || edge.From == b && edge.To == s) continue;
                seen[s] = true;
                todo.Push(s);
            }
        return known[(from, avoid, edge)] = seen;
    }

    /// <summary>True where, after leaving <paramref name="from"/>, <paramref name="to"/> can be entered without entering a block to avoid and without an edge.</summary>
    public bool Can(int from, int to, BlockSet avoid, (int From, int To)? edge = null) => After(from, avoid, edge ?? NoEdge)[to];

    /// <summary>True where every way from the kernel's start to (block, index) passes one of <paramref name="places"/>.</summary>
    public bool Guards(IEnumerable<(int Block, int Index)> places, int block, int index)
    {
        List<(int Block, int Index)> all = [.. places];
        if (all.Exists(p => p.Block == block && p.Index < index)) return true;
        // A definition further down in the block itself sets nothing before the use.
        BlockSet cut = new(all.Where(p => p.Block != block).Select(p => p.Block));
        return block != 0 && (cut.Contains(0) || !After(0, cut, NoEdge)[block]);
    }
}
