using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 chapter 7: grids and graphs. Ranks are never reordered.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class TopologyCalls
{
    private static CartTopology Cart(Comm comm) => comm.Topology as CartTopology ?? throw new MpiException(ErrorClass.Topology, "the communicator has no grid");

    public static void MPI_Dims_create(int nodes, int count, int* dims)
    {
        int rest = nodes, free = 0;
        for (int i = 0; i < count; i++)
        {
            if (dims[i] < 0) throw new MpiException(ErrorClass.Dims, $"dimension {i} is {dims[i]}");
            if (dims[i] == 0) free++;
            else if (rest % dims[i] != 0) throw new MpiException(ErrorClass.Dims, $"{nodes} is no multiple of what is given");
            else rest /= dims[i];
        }
        if (free == 0)
        {
            if (rest != 1) throw new MpiException(ErrorClass.Dims, $"the dimensions do not make {nodes}");
            return;
        }
        int[] balanced = Balanced(rest, free);
        for (int i = 0, next = 0; i < count; i++)
            if (dims[i] == 0) dims[i] = balanced[next++];
    }

    /// <summary>Factors as near to each other as can be, largest first.</summary>
    private static int[] Balanced(int number, int count)
    {
        if (count == 1) return [number];
        int best = 1;
        double root = Math.Pow(number, 1.0 / count);
        // The largest factor is the smallest one that is not below the root and leaves balanced others.
        int[]? chosen = null;
        for (int first = number; first >= 1; first--)
        {
            if (number % first != 0 || first < root - 1e-9) continue;
            int[] others = Balanced(number / first, count - 1);
            if (others[0] > first) continue;
            if (chosen is null || first < best) (best, chosen) = (first, [first, .. others]);
        }
        return chosen ?? [number, .. Enumerable.Repeat(1, count - 1)];
    }

    public static void MPI_Cart_create(Comm comm, int count, int* dims, int* periods, int reorder, HandlePointer result)
    {
        comm.RequireIntra();
        if (count < 0) throw new MpiException(ErrorClass.Dims, $"{count} dimensions");
        int[] sizes = new int[count];
        bool[] around = new bool[count];
        long total = 1;
        for (int i = 0; i < count; i++)
        {
            (sizes[i], around[i]) = (dims[i], periods[i] != 0);
            if (sizes[i] <= 0) throw new MpiException(ErrorClass.Dims, $"dimension {i} is {sizes[i]}");
            total *= sizes[i];
        }
        if (total > comm.Size) throw new MpiException(ErrorClass.Dims, $"a grid of {total} for {comm.Size} ranks");
        Give(First(comm, (int)total), new CartTopology(sizes, around), result);
    }

    /// <summary>A communicator of so many ranks; null at the others.</summary>
    private static Comm? First(Comm comm, int ranks) => CommunicatorCalls.Split(comm, comm.Rank < ranks ? 0 : MpiAbi.Undefined, comm.Rank);

    private static void Give(Comm? made, Topology topology, HandlePointer result)
    {
        result.Value = made?.Handle ?? Handles.Null<Comm>();
        if (made is not null) made.Topology = topology;
    }

    public static void MPI_Cart_map(Comm comm, int count, int* dims, int* periods, int* rank)
    {
        long total = 1;
        for (int i = 0; i < count; i++) total *= dims[i] > 0 ? dims[i] : throw new MpiException(ErrorClass.Dims, $"dimension {i} is {dims[i]}");
        if (total > comm.Size) throw new MpiException(ErrorClass.Dims, $"a grid of {total} for {comm.Size} ranks");
        *rank = comm.Rank < total ? comm.Rank : MpiAbi.Undefined;
    }

    public static void MPI_Cartdim_get(Comm comm, int* count) => *count = Cart(comm).Dims.Length;

    public static void MPI_Cart_get(Comm comm, int most, int* dims, int* periods, int* coordinates)
    {
        CartTopology cart = Cart(comm);
        int[] own = cart.CoordinatesOf(comm.Rank);
        for (int i = 0; i < Math.Min(most, own.Length); i++) (dims[i], periods[i], coordinates[i]) = (cart.Dims[i], cart.Periods[i] ? 1 : 0, own[i]);
    }

    public static void MPI_Cart_rank(Comm comm, int* coordinates, int* rank)
    {
        CartTopology cart = Cart(comm);
        int found = cart.RankOf(new ReadOnlySpan<int>(coordinates, cart.Dims.Length));
        *rank = found >= 0 ? found : throw new MpiException(ErrorClass.Arg, "coordinates outside of the grid");
    }

    public static void MPI_Cart_coords(Comm comm, int rank, int most, int* coordinates)
    {
        comm.WorldRank(rank);
        int[] found = Cart(comm).CoordinatesOf(rank);
        for (int i = 0; i < Math.Min(most, found.Length); i++) coordinates[i] = found[i];
    }

    public static void MPI_Cart_shift(Comm comm, int direction, int distance, int* source, int* dest)
    {
        CartTopology cart = Cart(comm);
        if ((uint)direction >= (uint)cart.Dims.Length) throw new MpiException(ErrorClass.Dims, $"direction {direction}");
        int[] at = cart.CoordinatesOf(comm.Rank);
        at[direction] += distance;
        *dest = MpiAbi.RankOut(cart.RankOf(at));
        at[direction] -= 2 * distance;
        *source = MpiAbi.RankOut(cart.RankOf(at));
    }

    public static void MPI_Cart_sub(Comm comm, int* remain, HandlePointer result)
    {
        CartTopology cart = Cart(comm);
        int[] at = cart.CoordinatesOf(comm.Rank);
        int color = 0, key = 0;
        List<int> dims = [];
        List<bool> periods = [];
        for (int i = 0; i < cart.Dims.Length; i++)
            if (remain[i] != 0)
            {
                key = key * cart.Dims[i] + at[i];
                dims.Add(cart.Dims[i]);
                periods.Add(cart.Periods[i]);
            }
            else color = color * cart.Dims[i] + at[i];
        Give(CommunicatorCalls.Split(comm, color, key), new CartTopology([.. dims], [.. periods]), result);
    }

    public static void MPI_Topo_test(Comm comm, int* kind)
        => *kind = comm.Topology switch { CartTopology => MpiAbi.IsMpich ? 2 : 1, GraphTopology => MpiAbi.IsMpich ? 1 : 2, DistGraphTopology => 3, _ => MpiAbi.Undefined };

    // ---- graphs ----

    private static GraphTopology Graph(Comm comm) => comm.Topology as GraphTopology ?? throw new MpiException(ErrorClass.Topology, "the communicator has no graph");

    private static GraphTopology ReadGraph(Comm comm, int nodes, int* index, int* edges)
    {
        comm.RequireIntra();
        if (nodes < 0 || nodes > comm.Size) throw new MpiException(ErrorClass.Arg, $"a graph of {nodes} for {comm.Size} ranks");
        int[] upTo = new ReadOnlySpan<int>(index, nodes).ToArray();
        for (int i = 0; i < nodes; i++)
            if (upTo[i] < (i == 0 ? 0 : upTo[i - 1])) throw new MpiException(ErrorClass.Arg, $"index {i} is {upTo[i]}");
        int[] all = new ReadOnlySpan<int>(edges, nodes == 0 ? 0 : upTo[^1]).ToArray();
        return Array.TrueForAll(all, e => (uint)e < (uint)nodes) ? new GraphTopology(upTo, all) : throw new MpiException(ErrorClass.Arg, "an edge leads out of the graph");
    }

    public static void MPI_Graph_create(Comm comm, int nodes, int* index, int* edges, int reorder, HandlePointer result)
    {
        GraphTopology graph = ReadGraph(comm, nodes, index, edges);
        Give(First(comm, nodes), graph, result);
    }

    public static void MPI_Graph_map(Comm comm, int nodes, int* index, int* edges, int* rank)
    {
        if (nodes < 1) throw new MpiException(ErrorClass.Arg, $"a graph of {nodes}");
        ReadGraph(comm, nodes, index, edges);
        *rank = comm.Rank < nodes ? comm.Rank : MpiAbi.Undefined;
    }

    public static void MPI_Graphdims_get(Comm comm, int* nodes, int* edges) => (*nodes, *edges) = (Graph(comm).Index.Length, Graph(comm).Edges.Length);

    public static void MPI_Graph_get(Comm comm, int mostIndex, int mostEdges, int* index, int* edges)
    {
        GraphTopology graph = Graph(comm);
        Write(graph.Index, mostIndex, index);
        Write(graph.Edges, mostEdges, edges);
    }

    public static void MPI_Graph_neighbors_count(Comm comm, int rank, int* count)
    {
        comm.WorldRank(rank);
        *count = Graph(comm).EdgesOf(rank).Length;
    }

    public static void MPI_Graph_neighbors(Comm comm, int rank, int most, int* neighbours)
    {
        comm.WorldRank(rank);
        Write(Graph(comm).EdgesOf(rank), most, neighbours);
    }

    private static void Write(int[] numbers, int most, int* into) => numbers.AsSpan(0, Math.Clamp(most, 0, numbers.Length)).CopyTo(new Span<int>(into, Math.Clamp(most, 0, numbers.Length)));

    // ---- graphs of which each rank knows its own edges ----

    private static DistGraphTopology DistGraph(Comm comm) => comm.Topology as DistGraphTopology ?? throw new MpiException(ErrorClass.Topology, "the communicator has no distributed graph");

    public static void MPI_Dist_graph_create_adjacent(Comm comm, int inCount, int* sources, int* sourceWeights, int outCount, int* destinations, int* destinationWeights, nint info, int reorder, HandlePointer result)
    {
        comm.RequireIntra();
        InfoObject.Check(info);
        int[] from = Neighbours(comm, inCount, sources), to = Neighbours(comm, outCount, destinations);
        DistGraphTopology graph = new(from, Weights(inCount, sourceWeights), to, Weights(outCount, destinationWeights));
        Give(First(comm, comm.Size), graph, result);
    }

    public static void MPI_Dist_graph_create(Comm comm, int count, int* sources, int* degrees, int* destinations, int* weights, nint info, int reorder, HandlePointer result)
    {
        comm.RequireIntra();
        InfoObject.Check(info);
        int[] from = Neighbours(comm, count, sources), degree = new ReadOnlySpan<int>(degrees, count).ToArray();
        if (Array.Exists(degree, d => d < 0)) throw new MpiException(ErrorClass.Arg, "a negative degree");
        int[] to = Neighbours(comm, degree.Sum(), destinations);
        int[]? heavy = Weights(to.Length, weights);
        // Everybody hears of all edges (source, destination, weight) and keeps its own.
        int[] own = new int[3 * to.Length];
        for (int i = 0, edge = 0; i < count; i++)
            for (int k = 0; k < degree[i]; k++, edge++) (own[3 * edge], own[3 * edge + 1], own[3 * edge + 2]) = (from[i], to[edge], heavy?[edge] ?? 0);
        bool isWeighted = Agreement.Collect(comm, heavy is null ? 0 : 1).Own.All(w => w[0] != 0);
        int[][] all = [.. Agreement.CollectAll(comm, own).Chunk(3)], into = [.. all.Where(e => e[1] == comm.Rank)], outOf = [.. all.Where(e => e[0] == comm.Rank)];
        DistGraphTopology graph = new([.. into.Select(e => e[0])], isWeighted ? [.. into.Select(e => e[2])] : null, [.. outOf.Select(e => e[1])], isWeighted ? [.. outOf.Select(e => e[2])] : null);
        Give(First(comm, comm.Size), graph, result);
    }

    private static int[] Neighbours(Comm comm, int count, int* ranks)
    {
        if (count < 0) throw new MpiException(ErrorClass.Arg, $"count {count}");
        int[] all = new ReadOnlySpan<int>(ranks, count).ToArray();
        return Array.TrueForAll(all, r => (uint)r < (uint)comm.Size) ? all : throw new MpiException(MpiAbi.IsMpich ? ErrorClass.Rank : ErrorClass.Arg, "a neighbour that is no rank of the communicator");
    }

    /// <returns>null: MPI_UNWEIGHTED</returns>
    private static int[]? Weights(int count, int* weights)
    {
        if (MpiAbi.IsUnweighted((nint)weights)) return null;
        if (count == 0) return [];
        if (weights == null || MpiAbi.IsEmptyWeights((nint)weights)) throw new MpiException(ErrorClass.Arg, "no weights");
        int[] all = new ReadOnlySpan<int>(weights, count).ToArray();
        return Array.TrueForAll(all, w => w >= 0) ? all : throw new MpiException(ErrorClass.Arg, "a negative weight");
    }

    public static void MPI_Dist_graph_neighbors_count(Comm comm, int* inCount, int* outCount, int* isWeighted)
    {
        (int[] sources, int[] destinations) = DistGraph(comm).NeighboursOf(comm.Rank);
        (*inCount, *outCount, *isWeighted) = (sources.Length, destinations.Length, DistGraph(comm).SourceWeights is null ? 0 : 1);
    }

    public static void MPI_Dist_graph_neighbors(Comm comm, int mostIn, int* sources, int* sourceWeights, int mostOut, int* destinations, int* destinationWeights)
    {
        DistGraphTopology graph = DistGraph(comm);
        (int[] from, int[] to) = graph.NeighboursOf(comm.Rank);
        Write(from, mostIn, sources);
        Write(to, mostOut, destinations);
        if (graph.SourceWeights is { } ins && !MpiAbi.IsUnweighted((nint)sourceWeights)) Write(ins, mostIn, sourceWeights);
        if (graph.DestinationWeights is { } outs && !MpiAbi.IsUnweighted((nint)destinationWeights)) Write(outs, mostOut, destinationWeights);
    }
}
