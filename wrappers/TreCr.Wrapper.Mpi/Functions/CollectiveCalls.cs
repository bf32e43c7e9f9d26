using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>
/// MPI-4.0 chapter 6: collective calls. One method here is six functions (MPI_Bcast, MPI_Ibcast, MPI_Bcast_init, and each with large counts): <see cref="CollectiveCall"/>.
/// What each does is in <see cref="Algorithms"/>, and for intercommunicators in <see cref="BetweenGroups"/>; here arguments become counts and places in bytes.
/// </summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe partial class CollectiveCalls
{
    public static CollectiveCall MPI_Barrier(Comm comm) => new(comm, comm.IsInter ? BetweenGroups.Barrier : Algorithms.Barrier);

    public static CollectiveCall MPI_Bcast(nint buffer, Count count, Datatype type, Rank root, Comm comm)
    {
        CheckRoot(root, comm);
        Check(count, type);
        return new(comm, s => comm.IsInter ? BetweenGroups.Bcast(s, buffer, count, type, root) : Algorithms.Bcast(s, buffer, count, type, root));
    }

    public static CollectiveCall MPI_Reduce(nint source, nint target, Count count, Datatype type, Op op, Rank root, Comm comm)
    {
        CheckRoot(root, comm);
        nint from = OwnItems(source, target, count, type, op, comm);
        return new(comm, s => comm.IsInter ? BetweenGroups.Reduce(s, from, target, count, type, op, root) : Algorithms.Reduce(s, from, target, count, type, op, root));
    }

    public static CollectiveCall MPI_Allreduce(nint source, nint target, Count count, Datatype type, Op op, Comm comm)
    {
        nint from = OwnItems(source, target, count, type, op, comm);
        return new(comm, s => comm.IsInter ? BetweenGroups.Allreduce(s, from, target, count, type, op) : Algorithms.Allreduce(s, from, target, count, type, op));
    }

    public static CollectiveCall MPI_Scan(nint source, nint target, Count count, Datatype type, Op op, Comm comm) => Scan(source, target, count, type, op, comm, exclusive: false);

    public static CollectiveCall MPI_Exscan(nint source, nint target, Count count, Datatype type, Op op, Comm comm) => Scan(source, target, count, type, op, comm, exclusive: true);

    private static CollectiveCall Scan(nint source, nint target, Count count, Datatype type, Op op, Comm comm, bool exclusive)
    {
        comm.RequireIntra();
        nint from = OwnItems(source, target, count, type, op, comm);
        return new(comm, s => Algorithms.Scan(s, from, target, count, type, op, exclusive));
    }

    public static CollectiveCall MPI_Reduce_scatter(nint source, nint target, Counts counts, Datatype type, Op op, Comm comm)
        => ReduceScatter(source, target, Given(counts, default, 1, type, comm.Size).Counts, type, op, comm);

    public static CollectiveCall MPI_Reduce_scatter_block(nint source, nint target, Count count, Datatype type, Op op, Comm comm)
        => ReduceScatter(source, target, Even(count, type, comm.Size).Counts, type, op, comm);

    private static CollectiveCall ReduceScatter(nint source, nint target, long[] counts, Datatype type, Op op, Comm comm)
    {
        nint from = OwnItems(source, target, 0, type, op, comm);
        return new(comm, s => comm.IsInter ? BetweenGroups.ReduceScatter(s, from, target, counts, type, op) : Algorithms.ReduceScatter(s, from, target, counts, type, op));
    }

    // ---- to and from a root ----

    public static CollectiveCall MPI_Gather(nint source, Count sends, nint sendType, nint target, Count receives, nint receiveType, Rank root, Comm comm)
        => Gather(source, sends, sendType, target, (type, ranks) => Even(receives, type, ranks), receiveType, root, comm);

    public static CollectiveCall MPI_Gatherv(nint source, Count sends, nint sendType, nint target, Counts counts, Counts offsets, nint receiveType, Rank root, Comm comm)
        => Gather(source, sends, sendType, target, (type, ranks) => Given(counts, offsets, type.Extent, type, ranks), receiveType, root, comm);

    private static CollectiveCall Gather(nint source, Count sends, nint sendType, nint target, Func<Datatype, int, (long[], long[])> parts, nint receiveType, Rank root, Comm comm)
    {
        CheckRoot(root, comm);
        bool isRoot = IsRoot(root, comm), own = !MpiAbi.IsInPlace(source);
        if (root == MpiAbi.ProcNull) return new(comm, static _ => Algorithms.Nothing());
        if (!isRoot && !own) throw NotInPlace;
        Datatype? type = isRoot ? Datatype.From(receiveType) : null;
        Datatype sent = own && !(isRoot && comm.IsInter) ? Datatype.From(sendType) : type!;
        if (!isRoot || own && !comm.IsInter) Check(sends, sent);
        (long[] counts, long[] offsets) = isRoot ? parts(type!, comm.Peers.Size) : ([], []);
        if (!comm.IsInter) return new(comm, s => Algorithms.Gather(s, source, sends, sent, target, counts, offsets, type ?? sent, root, own));
        return isRoot ? Exchange(comm, Parts(target, counts, offsets, _ => type!), []) : Exchange(comm, [], [new Part(root, source, sends, sent)]);
    }

    public static CollectiveCall MPI_Scatter(nint source, Count sends, nint sendType, nint target, Count receives, nint receiveType, Rank root, Comm comm)
        => Scatter(source, (type, ranks) => Even(sends, type, ranks), sendType, target, receives, receiveType, root, comm);

    public static CollectiveCall MPI_Scatterv(nint source, Counts counts, Counts offsets, nint sendType, nint target, Count receives, nint receiveType, Rank root, Comm comm)
        => Scatter(source, (type, ranks) => Given(counts, offsets, type.Extent, type, ranks), sendType, target, receives, receiveType, root, comm);

    private static CollectiveCall Scatter(nint source, Func<Datatype, int, (long[], long[])> parts, nint sendType, nint target, Count receives, nint receiveType, Rank root, Comm comm)
    {
        CheckRoot(root, comm);
        bool isRoot = IsRoot(root, comm), own = !MpiAbi.IsInPlace(target);
        if (root == MpiAbi.ProcNull) return new(comm, static _ => Algorithms.Nothing());
        if (!isRoot && !own) throw NotInPlace;
        Datatype? type = isRoot ? Datatype.From(sendType) : null;
        Datatype received = own && !(isRoot && comm.IsInter) ? Datatype.From(receiveType) : type!;
        if (!isRoot || own && !comm.IsInter) Check(receives, received);
        (long[] counts, long[] offsets) = isRoot ? parts(type!, comm.Peers.Size) : ([], []);
        if (!comm.IsInter) return new(comm, s => Algorithms.Scatter(s, source, counts, offsets, type ?? received, target, receives, received, root, own));
        return isRoot ? Exchange(comm, [], Parts(source, counts, offsets, _ => type!)) : Exchange(comm, [new Part(root, target, receives, received)], []);
    }

    // ---- from all to all ----

    public static CollectiveCall MPI_Allgather(nint source, Count sends, nint sendType, nint target, Count receives, Datatype type, Comm comm)
        => Allgather(source, sends, sendType, target, Even(receives, type, comm.Peers.Size), type, comm);

    public static CollectiveCall MPI_Allgatherv(nint source, Count sends, nint sendType, nint target, Counts counts, Counts offsets, Datatype type, Comm comm)
        => Allgather(source, sends, sendType, target, Given(counts, offsets, type.Extent, type, comm.Peers.Size), type, comm);

    private static CollectiveCall Allgather(nint source, Count sends, nint sendType, nint target, (long[] Counts, long[] Offsets) parts, Datatype type, Comm comm)
    {
        if (IsInPlace(source, comm)) return new(comm, s => Algorithms.Allgather(s, 0, 0, type, target, parts.Counts, parts.Offsets, type));
        Datatype sent = Datatype.From(sendType);
        Check(sends, sent);
        if (!comm.IsInter) return new(comm, s => Algorithms.Allgather(s, source, sends, sent, target, parts.Counts, parts.Offsets, type));
        return Exchange(comm, Parts(target, parts.Counts, parts.Offsets, _ => type), ToEach(comm.Peers.Size, source, sends, sent));
    }

    public static CollectiveCall MPI_Alltoall(nint source, Count sends, nint sendType, nint target, Count receives, Datatype type, Comm comm)
    {
        bool inPlace = IsInPlace(source, comm);
        Datatype sent = inPlace ? type : Datatype.From(sendType);
        int ranks = comm.Peers.Size;
        return Alltoall(source, Even(inPlace ? receives : sends, sent, ranks), Same(sent, ranks), target, Even(receives, type, ranks), Same(type, ranks), inPlace, comm);
    }

    public static CollectiveCall MPI_Alltoallv(nint source, Counts sends, Counts sendOffsets, nint sendType, nint target, Counts counts, Counts offsets, Datatype type, Comm comm)
    {
        bool inPlace = IsInPlace(source, comm);
        Datatype sent = inPlace ? type : Datatype.From(sendType);
        int ranks = comm.Peers.Size;
        var parts = Given(counts, offsets, type.Extent, type, ranks);
        return Alltoall(source, inPlace ? parts : Given(sends, sendOffsets, sent.Extent, sent, ranks), Same(sent, ranks), target, parts, Same(type, ranks), inPlace, comm);
    }

    public static CollectiveCall MPI_Alltoallw(nint source, Counts sends, Counts sendOffsets, nint sendTypes, nint target, Counts counts, Counts offsets, nint types, Comm comm)
    {
        bool inPlace = IsInPlace(source, comm);
        int ranks = comm.Peers.Size;
        var parts = Given(counts, offsets, 1, null, ranks);
        var given = inPlace ? parts : Given(sends, sendOffsets, 1, null, ranks);
        Datatype[] receiveTypes = Types(types, parts.Counts);
        return Alltoall(source, given, inPlace ? receiveTypes : Types(sendTypes, given.Counts), target, parts, receiveTypes, inPlace, comm);
    }

    private static CollectiveCall Alltoall(nint source, (long[] Counts, long[] Offsets) sends, Datatype[] sendTypes, nint target, (long[] Counts, long[] Offsets) receives, Datatype[] types, bool inPlace, Comm comm)
        => comm.IsInter ? Exchange(comm, Parts(target, receives.Counts, receives.Offsets, i => types[i]), Parts(source, sends.Counts, sends.Offsets, i => sendTypes[i]))
            : new(comm, s => Algorithms.Alltoall(s, source, sends.Counts, sends.Offsets, sendTypes, target, receives.Counts, receives.Offsets, types, inPlace));
}
