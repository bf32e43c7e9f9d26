using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 §7.6 to §7.8: collective calls among neighbours of a grid or graph.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class NeighbourCalls
{
    public static CollectiveCall MPI_Neighbor_allgather(nint source, Count sends, Datatype sendType, nint target, Count receives, Datatype type, Comm comm)
    {
        (int[] from, int[] to) = Neighbours(comm, source);
        return Exchange(comm, Parts(to, source, Same(sends, to.Length), _ => sendType), Parts(from, target, CollectiveCalls.Even(receives, type, from.Length), _ => type));
    }

    public static CollectiveCall MPI_Neighbor_allgatherv(nint source, Count sends, Datatype sendType, nint target, Counts counts, Counts offsets, Datatype type, Comm comm)
    {
        (int[] from, int[] to) = Neighbours(comm, source);
        return Exchange(comm, Parts(to, source, Same(sends, to.Length), _ => sendType), Parts(from, target, CollectiveCalls.Given(counts, offsets, type.Extent, type, from.Length), _ => type));
    }

    public static CollectiveCall MPI_Neighbor_alltoall(nint source, Count sends, Datatype sendType, nint target, Count receives, Datatype type, Comm comm)
    {
        (int[] from, int[] to) = Neighbours(comm, source);
        return Exchange(comm, Parts(to, source, CollectiveCalls.Even(sends, sendType, to.Length), _ => sendType), Parts(from, target, CollectiveCalls.Even(receives, type, from.Length), _ => type));
    }

    public static CollectiveCall MPI_Neighbor_alltoallv(nint source, Counts sends, Counts sendOffsets, Datatype sendType, nint target, Counts counts, Counts offsets, Datatype type, Comm comm)
    {
        (int[] from, int[] to) = Neighbours(comm, source);
        return Exchange(comm, Parts(to, source, CollectiveCalls.Given(sends, sendOffsets, sendType.Extent, sendType, to.Length), _ => sendType),
            Parts(from, target, CollectiveCalls.Given(counts, offsets, type.Extent, type, from.Length), _ => type));
    }

    /// <summary>The places are in bytes and MPI_Aint.</summary>
    public static CollectiveCall MPI_Neighbor_alltoallw(nint source, Counts sends, nint* sendOffsets, nint sendTypes, nint target, Counts counts, nint* offsets, nint types, Comm comm)
    {
        (int[] from, int[] to) = Neighbours(comm, source);
        (long[] all, long[] given) = (counts.Take(from.Length), sends.Take(to.Length));
        Datatype[] type = CollectiveCalls.Types(types, all), sendType = CollectiveCalls.Types(sendTypes, given);
        return Exchange(comm, Parts(to, source, (given, Distances.From(sendOffsets).Take(to.Length)), i => sendType[i]), Parts(from, target, (all, Distances.From(offsets).Take(from.Length)), i => type[i]));
    }

    private static (int[] Sources, int[] Destinations) Neighbours(Comm comm, nint source)
    {
        if (MpiAbi.IsInPlace(source)) throw CollectiveCalls.NotInPlace;
        return (comm.Topology ?? throw new MpiException(ErrorClass.Topology, "the communicator has neither a grid nor a graph")).NeighboursOf(comm.Rank);
    }

    private static (long[], long[]) Same(long count, int parts) => ([.. Enumerable.Repeat(count, parts)], new long[parts]);

    private static Part[] Parts(int[] ranks, nint buffer, (long[] Counts, long[] Offsets) items, Func<int, Datatype> type)
    {
        Part[] parts = new Part[ranks.Length];
        for (int i = 0; i < parts.Length; i++)
        {
            parts[i] = new Part(ranks[i], buffer + (nint)items.Offsets[i], items.Counts[i], type(i));
            CollectiveCalls.Check(parts[i].Count, parts[i].Type);
        }
        return parts;
    }

    private static CollectiveCall Exchange(Comm comm, Part[] sends, Part[] receives)
    {
        Part[] expected = [.. receives.Select((_, n) => receives[comm.Topology!.ExpectedPart(n)])];
        return new(comm, s => Algorithms.Exchange(s, expected, sends));
    }
}
