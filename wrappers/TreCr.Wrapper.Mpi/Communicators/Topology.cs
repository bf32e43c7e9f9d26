namespace TreCr.Wrapper.Mpi;

/// <summary>What the program said of how the ranks of a communicator lie. Nothing is reordered by it.</summary>
internal abstract class Topology;

/// <summary>A grid.</summary>
internal sealed class CartTopology(int[] dims, bool[] periods) : Topology
{
    public int[] Dims => dims;
    public bool[] Periods => periods;

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
