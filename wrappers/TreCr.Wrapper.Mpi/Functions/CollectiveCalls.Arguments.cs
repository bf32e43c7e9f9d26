namespace TreCr.Wrapper.Mpi;

// What the arguments of a collective call mean, at each rank.
internal static unsafe partial class CollectiveCalls
{
    private static void Wait(Request request)
    {
        Waiting.Until(request);
        ErrorClass error = request.Status.Error;
        request.Free();
        if (error != ErrorClass.Success) throw new MpiException(error, "a message of the collective call is longer than its buffer, or the operation is not defined for the type");
    }

    private static void CheckCount(long count)
    {
        if (count < 0) throw new MpiException(ErrorClass.Count, $"count {count}");
    }

    private static void CheckRoot(Rank root, Comm comm)
    {
        if ((uint)root.Value >= (uint)comm.Size) throw new MpiException(ErrorClass.Root, $"root {root.Value} of a communicator of {comm.Size}");
    }

    private static void CheckOp(Op op, Datatype type)
    {
        if (op.Kind == OpKind.User) return;
        if (op.Kind is OpKind.Replace or OpKind.NoOp || type.Element == Element.None) throw new MpiException(ErrorClass.Op, $"{op.Kind} is not defined for the datatype {type.Name}");
    }

    /// <summary>Counts of all ranks and their places, one after the other.</summary>
    private static (long[] Counts, long[] Offsets) Even(long count, Datatype type, int size)
    {
        CheckCount(count);
        long[] counts = new long[size], offsets = new long[size];
        for (int i = 0; i < size; i++) (counts[i], offsets[i]) = (count, i * count * type.Extent);
        return (counts, offsets);
    }

    /// <param name="unitBytes">of the displacements</param>
    private static (long[] Counts, long[] Offsets) Given(int* counts, int* displacements, long unitBytes, int size)
    {
        long[] all = new long[size], offsets = new long[size];
        for (int i = 0; i < size; i++)
        {
            CheckCount(counts[i]);
            (all[i], offsets[i]) = (counts[i], displacements == null ? 0 : displacements[i] * unitBytes);
        }
        return (all, offsets);
    }

    private static Request Bcast(nint buffer, int count, Datatype type, Rank root, Comm comm)
    {
        CheckRoot(root, comm);
        CheckCount(count);
        return Schedule.Begin(comm, s => Algorithms.Bcast(s, buffer, count, type, root));
    }

    private static Request Reduce(nint source, nint target, int count, Datatype type, Op op, Rank root, Comm comm)
    {
        CheckRoot(root, comm);
        CheckCount(count);
        CheckOp(op, type);
        if (MpiAbi.IsInPlace(source)) source = target;
        return Schedule.Begin(comm, s => Algorithms.Reduce(s, source, target, count, type, op, root));
    }

    private static Request Allreduce(nint source, nint target, int count, Datatype type, Op op, Comm comm)
    {
        CheckCount(count);
        CheckOp(op, type);
        if (MpiAbi.IsInPlace(source)) source = target;
        return Schedule.Begin(comm, s => Algorithms.Allreduce(s, source, target, count, type, op));
    }

    private static Request Gather(nint source, int sends, nint sendType, nint target, int receives, nint receiveType, Rank root, Comm comm)
    {
        CheckRoot(root, comm);
        if (comm.Rank != root) return Gather(source, sends, sendType, target, [], [], null, root, comm);
        Datatype type = Datatype.From(receiveType);
        (long[] counts, long[] offsets) = Even(receives, type, comm.Size);
        return Gather(source, sends, sendType, target, counts, offsets, type, root, comm);
    }

    private static Request Gatherv(nint source, int sends, nint sendType, nint target, int* counts, int* offsets, nint receiveType, Rank root, Comm comm)
    {
        CheckRoot(root, comm);
        if (comm.Rank != root) return Gather(source, sends, sendType, target, [], [], null, root, comm);
        Datatype type = Datatype.From(receiveType);
        (long[] all, long[] places) = Given(counts, offsets, type.Extent, comm.Size);
        return Gather(source, sends, sendType, target, all, places, type, root, comm);
    }

    private static Request Gather(nint source, int sends, nint sendType, nint target, long[] counts, long[] offsets, Datatype? type, Rank root, Comm comm)
    {
        bool own = !MpiAbi.IsInPlace(source);
        Datatype sent = own ? Datatype.From(sendType) : type!;
        if (own) CheckCount(sends);
        return Schedule.Begin(comm, s => Algorithms.Gather(s, source, sends, sent, target, counts, offsets, type ?? sent, root, own));
    }

    private static Request Scatter(nint source, int sends, nint sendType, nint target, int receives, nint receiveType, Rank root, Comm comm)
    {
        CheckRoot(root, comm);
        if (comm.Rank != root) return Scatter(source, [], [], null, target, receives, receiveType, root, comm);
        Datatype type = Datatype.From(sendType);
        (long[] counts, long[] offsets) = Even(sends, type, comm.Size);
        return Scatter(source, counts, offsets, type, target, receives, receiveType, root, comm);
    }

    private static Request Scatterv(nint source, int* counts, int* offsets, nint sendType, nint target, int receives, nint receiveType, Rank root, Comm comm)
    {
        CheckRoot(root, comm);
        if (comm.Rank != root) return Scatter(source, [], [], null, target, receives, receiveType, root, comm);
        Datatype type = Datatype.From(sendType);
        (long[] all, long[] places) = Given(counts, offsets, type.Extent, comm.Size);
        return Scatter(source, all, places, type, target, receives, receiveType, root, comm);
    }

    private static Request Scatter(nint source, long[] counts, long[] offsets, Datatype? type, nint target, int receives, nint receiveType, Rank root, Comm comm)
    {
        bool own = !MpiAbi.IsInPlace(target);
        Datatype received = own ? Datatype.From(receiveType) : type!;
        if (own) CheckCount(receives);
        return Schedule.Begin(comm, s => Algorithms.Scatter(s, source, counts, offsets, type ?? received, target, receives, received, root, own));
    }

    private static Request Allgather(nint source, int sends, nint sendType, nint target, int receives, Datatype type, Comm comm)
    {
        (long[] counts, long[] offsets) = Even(receives, type, comm.Size);
        return Allgather(source, sends, sendType, target, counts, offsets, type, comm);
    }

    private static Request Allgatherv(nint source, int sends, nint sendType, nint target, int* counts, int* offsets, Datatype type, Comm comm)
    {
        (long[] all, long[] places) = Given(counts, offsets, type.Extent, comm.Size);
        return Allgather(source, sends, sendType, target, all, places, type, comm);
    }

    private static Request Allgather(nint source, int sends, nint sendType, nint target, long[] counts, long[] offsets, Datatype type, Comm comm)
    {
        if (!MpiAbi.IsInPlace(source))
        {
            CheckCount(sends);
            Schedule.Copy(source, sends, Datatype.From(sendType), target + (nint)offsets[comm.Rank], counts[comm.Rank], type);
        }
        return Schedule.Begin(comm, s => Algorithms.Allgather(s, target, counts, offsets, type));
    }

    private static Request Alltoall(nint source, int sends, nint sendType, nint target, int receives, Datatype type, Comm comm)
    {
        bool inPlace = MpiAbi.IsInPlace(source);
        Datatype sent = inPlace ? type : Datatype.From(sendType);
        (long[] sendCounts, long[] sendOffsets) = Even(inPlace ? receives : sends, sent, comm.Size);
        (long[] counts, long[] offsets) = Even(receives, type, comm.Size);
        return Alltoall(source, sendCounts, sendOffsets, Same(sent, comm.Size), target, counts, offsets, Same(type, comm.Size), inPlace, comm);
    }

    private static Request Alltoallv(nint source, int* sends, int* sendOffsets, nint sendType, nint target, int* counts, int* offsets, Datatype type, Comm comm)
    {
        bool inPlace = MpiAbi.IsInPlace(source);
        Datatype sent = inPlace ? type : Datatype.From(sendType);
        (long[] all, long[] places) = Given(counts, offsets, type.Extent, comm.Size);
        (long[] sendCounts, long[] sendPlaces) = inPlace ? (all, places) : Given(sends, sendOffsets, sent.Extent, comm.Size);
        return Alltoall(source, sendCounts, sendPlaces, Same(sent, comm.Size), target, all, places, Same(type, comm.Size), inPlace, comm);
    }

    private static Request Alltoallw(nint source, int* sends, int* sendOffsets, nint sendTypes, nint target, int* counts, int* offsets, nint types, Comm comm)
    {
        bool inPlace = MpiAbi.IsInPlace(source);
        Datatype[] receiveTypes = Types(types, comm.Size), sentTypes = inPlace ? receiveTypes : Types(sendTypes, comm.Size);
        (long[] all, long[] places) = Given(counts, offsets, 1, comm.Size);
        (long[] sendCounts, long[] sendPlaces) = inPlace ? (all, places) : Given(sends, sendOffsets, 1, comm.Size);
        return Alltoall(source, sendCounts, sendPlaces, sentTypes, target, all, places, receiveTypes, inPlace, comm);
    }

    private static Request Alltoall(nint source, long[] sends, long[] sendOffsets, Datatype[] sendTypes, nint target, long[] counts, long[] offsets, Datatype[] types, bool inPlace, Comm comm)
        => Schedule.Begin(comm, s => Algorithms.Alltoall(s, source, sends, sendOffsets, sendTypes, target, counts, offsets, types, inPlace));

    private static Datatype[] Same(Datatype type, int count)
    {
        Datatype[] all = new Datatype[count];
        Array.Fill(all, type);
        return all;
    }

    private static Datatype[] Types(nint handles, int count)
    {
        Datatype[] all = new Datatype[count];
        for (int i = 0; i < count; i++) all[i] = Datatype.From(MpiAbi.Read(handles, i));
        return all;
    }

    private static Request Scan(nint source, nint target, int count, Datatype type, Op op, Comm comm) => Scan(source, target, count, type, op, comm, exclusive: false);

    private static Request Exscan(nint source, nint target, int count, Datatype type, Op op, Comm comm) => Scan(source, target, count, type, op, comm, exclusive: true);

    private static Request Scan(nint source, nint target, int count, Datatype type, Op op, Comm comm, bool exclusive)
    {
        CheckCount(count);
        CheckOp(op, type);
        if (MpiAbi.IsInPlace(source)) source = target;
        return Schedule.Begin(comm, s => Algorithms.Scan(s, source, target, count, type, op, exclusive));
    }

    private static Request Reduce_scatter(nint source, nint target, int* counts, Datatype type, Op op, Comm comm)
        => ReduceScatter(source, target, Given(counts, null, 1, comm.Size).Counts, type, op, comm);

    private static Request Reduce_scatter_block(nint source, nint target, int count, Datatype type, Op op, Comm comm)
        => ReduceScatter(source, target, Even(count, type, comm.Size).Counts, type, op, comm);

    private static Request ReduceScatter(nint source, nint target, long[] counts, Datatype type, Op op, Comm comm)
    {
        CheckOp(op, type);
        if (MpiAbi.IsInPlace(source)) source = target;
        return Schedule.Begin(comm, s => Algorithms.ReduceScatter(s, source, target, counts, type, op));
    }
}
