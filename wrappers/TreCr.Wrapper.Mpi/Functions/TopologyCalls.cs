using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 chapter 7: grids. Ranks are never reordered.</summary>
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
        Comm made = comm;
        CommunicatorCalls.MPI_Comm_split(comm, comm.Rank < total ? 0 : MpiAbi.Undefined, comm.Rank, result);
        if (comm.Rank >= total) return;
        made = Comm.From(result.Value);
        made.Topology = new CartTopology(sizes, around);
    }

    public static void MPI_Cart_map(Comm comm, int count, int* dims, int* periods, int* rank)
    {
        long total = 1;
        for (int i = 0; i < count; i++) total *= dims[i];
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
        CommunicatorCalls.MPI_Comm_split(comm, color, key, result);
        Comm.From(result.Value).Topology = new CartTopology([.. dims], [.. periods]);
    }

    public static void MPI_Topo_test(Comm comm, int* kind) => *kind = comm.Topology is CartTopology ? MpiAbi.CartTopology : MpiAbi.Undefined;
}
