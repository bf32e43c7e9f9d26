namespace TreCr.Wrapper.Mpi;

// What the arguments of a collective call mean, at each rank.
internal static unsafe partial class CollectiveCalls
{
    /// <exception cref="MpiException">a negative count, or a datatype that is not committed</exception>
    internal static void Check(long count, Datatype type)
    {
        if (count < 0) throw new MpiException(ErrorClass.Count, $"count {count}");
        if (!type.IsCommitted) throw new MpiException(ErrorClass.Type, "the datatype is not committed");
    }

    private static void CheckRoot(Rank root, Comm comm)
    {
        if (comm.IsInter && root.Value is MpiAbi.Root or MpiAbi.ProcNull) return;
        if ((uint)root.Value >= (uint)comm.Peers.Size) throw new MpiException(ErrorClass.Root, $"root {root.Value} of a communicator of {comm.Peers.Size}");
    }

    private static bool IsRoot(Rank root, Comm comm) => root == (comm.IsInter ? MpiAbi.Root : comm.Rank);

    internal static MpiException NotInPlace => new(MpiAbi.IsMpich ? ErrorClass.Buffer : ErrorClass.Arg, "MPI_IN_PLACE is not allowed here");

    /// <exception cref="MpiException">in place, between two groups</exception>
    private static bool IsInPlace(nint buffer, Comm comm) => MpiAbi.IsInPlace(buffer) && (!comm.IsInter ? true : throw NotInPlace);

    /// <summary>Where a reduction's own items are, all arguments checked.</summary>
    private static nint OwnItems(nint source, nint target, long count, Datatype type, Op op, Comm comm)
    {
        Check(count, type);
        if (op.Kind != OpKind.User && (op.Kind is OpKind.Replace or OpKind.NoOp || type.Element == Element.None)) throw new MpiException(ErrorClass.Op, $"{op.Kind} is not defined for the datatype {type.Name}");
        return IsInPlace(source, comm) ? target : source;
    }

    /// <summary>Counts of all ranks and their places, one after the other.</summary>
    internal static (long[] Counts, long[] Offsets) Even(long count, Datatype type, int ranks)
    {
        Check(count, type);
        long[] counts = new long[ranks], offsets = new long[ranks];
        for (int i = 0; i < ranks; i++) (counts[i], offsets[i]) = (count, i * count * type.Extent);
        return (counts, offsets);
    }

    /// <param name="unitBytes">of the places</param><param name="type">null: several, which have been checked</param>
    internal static (long[] Counts, long[] Offsets) Given(Counts counts, Counts places, long unitBytes, Datatype? type, int ranks)
    {
        long[] all = counts.Take(ranks), offsets = places.IsGiven ? places.Take(ranks) : new long[ranks];
        for (int i = 0; i < ranks; i++)
        {
            Check(all[i], type ?? PredefinedTypes.Byte);
            offsets[i] *= unitBytes;
        }
        return (all, offsets);
    }

    /// <summary>A part for each peer.</summary>
    private static Part[] Parts(nint buffer, long[] counts, long[] offsets, Func<int, Datatype> type)
    {
        Part[] parts = new Part[counts.Length];
        for (int i = 0; i < parts.Length; i++) parts[i] = new Part(i, buffer + (nint)offsets[i], counts[i], type(i));
        return parts;
    }

    /// <summary>The same for each peer.</summary>
    private static Part[] ToEach(int ranks, nint buffer, long count, Datatype type)
    {
        Part[] parts = new Part[ranks];
        for (int i = 0; i < ranks; i++) parts[i] = new Part(i, buffer, count, type);
        return parts;
    }

    private static CollectiveCall Exchange(Comm comm, Part[] receives, Part[] sends) => new(comm, s => Algorithms.Exchange(s, receives, sends));

    private static Datatype[] Same(Datatype type, int count)
    {
        Datatype[] all = new Datatype[count];
        Array.Fill(all, type);
        return all;
    }

    /// <summary>Datatypes of an array of handles; where there are no items it may be MPI_DATATYPE_NULL.</summary>
    internal static Datatype[] Types(nint handles, long[] counts)
    {
        Datatype[] all = new Datatype[counts.Length];
        for (int i = 0; i < all.Length; i++)
        {
            nint handle = MpiAbi.Read(handles, i);
            all[i] = counts[i] == 0 && Handles.IsNull<Datatype>(handle) ? PredefinedTypes.Byte : Datatype.From(handle);
            Check(counts[i], all[i]);
        }
        return all;
    }
}
