namespace TreCr.Wrapper.Mpi;

/// <summary>Parts of arrays as datatypes. Source: MPI-3.1 §4.1.3 and §4.1.4.</summary>
internal static class Arrays
{
    /// <summary>MPI_DISTRIBUTE_* and MPI_DISTRIBUTE_DFLT_DARG: the same names, MPICH's numbers.</summary>
    private static int Block => MpiAbi.IsMpich ? 121 : 0;
    private static int Cyclic => MpiAbi.IsMpich ? 122 : 1;
    private static int Whole => MpiAbi.IsMpich ? 123 : 2;
    private static int Default => MpiAbi.IsMpich ? -49767 : -1;

    /// <summary>MPI_ORDER_C, as against MPI_ORDER_FORTRAN.</summary>
    /// <exception cref="MpiException">neither</exception>
    public static bool IsRows(int order) => (order - (MpiAbi.IsMpich ? 56 : 0)) switch { 0 => true, 1 => false, _ => throw new MpiException(ErrorClass.Arg, $"order {order}") };

    /// <summary>What of a dimension a rank has, as pieces (first, length) in order.</summary>
    /// <param name="size">of the dimension</param><param name="ranks">that share it</param>
    public static (long First, long Length)[] Spread(long size, int how, int argument, int ranks, int rank)
    {
        if (how == Whole) return ranks == 1 ? [(0, size)] : throw new MpiException(ErrorClass.Arg, $"{ranks} ranks for a dimension that is not spread");
        if (how != Block && how != Cyclic) throw new MpiException(ErrorClass.Arg, $"distribution {how}");
        long piece = argument != Default ? argument : how == Block ? (size + ranks - 1) / ranks : 1;
        if (piece < 1 || how == Block && piece * ranks < size) throw new MpiException(ErrorClass.Arg, $"pieces of {piece} for {size} items at {ranks} ranks");
        List<(long, long)> pieces = [];
        for (long first = rank * piece; first < size; first += ranks * piece)
        {
            pieces.Add((first, Math.Min(piece, size - first)));
            if (how == Block) break;
        }
        return [.. pieces];
    }

    /// <summary>The items at all combinations of places; the extent is that of the whole array.</summary>
    /// <param name="parts">[dimension]: pieces</param><param name="rows">the last dimension's items lie next to each other</param>
    public static Datatype Part(Combiner combiner, long[] sizes, (long First, long Length)[][] parts, bool rows, Datatype type, Contents contents)
    {
        int[] fastest = [.. Enumerable.Range(0, sizes.Length)];
        if (rows) Array.Reverse(fastest);
        List<(long Offset, long Count, Datatype Type)> blocks = [];
        long stride = type.Extent;
        foreach ((long first, long length) in parts[fastest[0]]) blocks.Add((first * stride, length, type));
        stride *= sizes[fastest[0]];
        foreach (int d in fastest.Skip(1))
        {
            List<(long, long, Datatype)> more = [];
            foreach ((long first, long length) in parts[d])
                for (long i = first; i < first + length; i++)
                    foreach (var (offset, count, of) in blocks) more.Add((offset + i * stride, count, of));
            (blocks, stride) = (more, stride * sizes[d]);
        }
        return Datatype.Make(combiner, blocks, contents, [type], 0, stride);
    }
}
