namespace TreCr.Wrapper.Mpi;

/// <summary>What the program said of how the ranks of a communicator lie. Nothing is reordered by it.</summary>
internal abstract class Topology
{
    /// <summary>Whom a rank gets from and whom it gives to, in the order of the neighbourhood calls' parts; MPI_PROC_NULL: a part that nobody sends.</summary>
    public abstract (int[] Sources, int[] Destinations) NeighboursOf(int rank);

    /// <summary>Which part a rank expects as its n-th: where two ranks have several edges between them, their messages come in the order in which the other one sends them.</summary>
    public virtual int ExpectedPart(int n) => n;
}

/// <summary>A grid.</summary>
internal sealed class CartTopology(int[] dims, bool[] periods) : Topology
{
    public int[] Dims => dims;
    public bool[] Periods => periods;

    /// <summary>For each dimension the one before and the one behind.</summary>
    /// <remarks>Source: MPI-3.1 §7.6.</remarks>
    public override (int[] Sources, int[] Destinations) NeighboursOf(int rank)
    {
        int[] all = new int[2 * dims.Length], at = CoordinatesOf(rank);
        for (int d = 0; d < dims.Length; d++)
            for (int side = 0; side < 2; side++)
            {
                at[d] += 2 * side - 1;
                all[2 * d + side] = RankOf(at);
                at[d] -= 2 * side - 1;
            }
        return (all, all);
    }

    /// <summary>What is given to the one before comes to it from the one behind: with one or two ranks in a ring both are the same rank.</summary>
    public override int ExpectedPart(int n) => n ^ 1;

    public int[] CoordinatesOf(int rank)
    {
        int[] coordinates = new int[dims.Length];
        for (int i = dims.Length - 1; i >= 0; i--) (rank, coordinates[i]) = (rank / dims[i], rank % dims[i]);
        return coordinates;
    }

    /// <returns>MPI_PROC_NULL: outside of a dimension that is not periodic</returns>
    public int RankOf(ReadOnlySpan<int> coordinates)
    {
        int rank = 0;
        for (int i = 0; i < dims.Length; i++)
        {
            int c = coordinates[i];
            if ((uint)c >= (uint)dims[i])
            {
                if (!periods[i]) return MpiAbi.ProcNull;
                c = ((c % dims[i]) + dims[i]) % dims[i];
            }
            rank = rank * dims[i] + c;
        }
        return rank;
    }
}

/// <summary>A graph that every rank knows whole.</summary>
/// <param name="index">edges of the ranks up to this one</param>
internal sealed class GraphTopology(int[] index, int[] edges) : Topology
{
    public int[] Index => index;
    public int[] Edges => edges;

    public int[] EdgesOf(int rank) => edges[(rank == 0 ? 0 : index[rank - 1])..index[rank]];

    public override (int[] Sources, int[] Destinations) NeighboursOf(int rank) => (EdgesOf(rank), EdgesOf(rank));
}

/// <summary>A graph of which every rank knows its own edges.</summary>
/// <param name="sourceWeights">of the edges that lead here; null: unweighted</param>
internal sealed class DistGraphTopology(int[] sources, int[]? sourceWeights, int[] destinations, int[]? destinationWeights) : Topology
{
    public int[]? SourceWeights => sourceWeights;
    public int[]? DestinationWeights => destinationWeights;

    public override (int[] Sources, int[] Destinations) NeighboursOf(int rank) => (sources, destinations);
}
