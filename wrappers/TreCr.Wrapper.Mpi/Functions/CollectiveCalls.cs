using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 chapter 5: collective calls, blocking and not. What each does is in <see cref="Algorithms"/>; here arguments become counts and offsets in bytes.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe partial class CollectiveCalls
{
    public static void MPI_Barrier(Comm comm) => Schedule.Run(comm, Algorithms.Barrier);

    public static void MPI_Ibarrier(Comm comm, HandlePointer request) => request.Value = Schedule.Begin(comm, Algorithms.Barrier).Handle;

    public static void MPI_Bcast(nint buffer, int count, Datatype type, Rank root, Comm comm) => Wait(Bcast(buffer, count, type, root, comm));

    public static void MPI_Ibcast(nint buffer, int count, Datatype type, Rank root, Comm comm, HandlePointer request) => request.Value = Bcast(buffer, count, type, root, comm).Handle;

    public static void MPI_Reduce(nint source, nint target, int count, Datatype type, Op op, Rank root, Comm comm) => Wait(Reduce(source, target, count, type, op, root, comm));

    public static void MPI_Ireduce(nint source, nint target, int count, Datatype type, Op op, Rank root, Comm comm, HandlePointer request) => request.Value = Reduce(source, target, count, type, op, root, comm).Handle;

    public static void MPI_Allreduce(nint source, nint target, int count, Datatype type, Op op, Comm comm) => Wait(Allreduce(source, target, count, type, op, comm));

    public static void MPI_Iallreduce(nint source, nint target, int count, Datatype type, Op op, Comm comm, HandlePointer request) => request.Value = Allreduce(source, target, count, type, op, comm).Handle;

    public static void MPI_Gather(nint source, int sends, nint sendType, nint target, int receives, nint receiveType, Rank root, Comm comm) => Wait(Gather(source, sends, sendType, target, receives, receiveType, root, comm));

    public static void MPI_Igather(nint source, int sends, nint sendType, nint target, int receives, nint receiveType, Rank root, Comm comm, HandlePointer request) => request.Value = Gather(source, sends, sendType, target, receives, receiveType, root, comm).Handle;

    public static void MPI_Gatherv(nint source, int sends, nint sendType, nint target, int* counts, int* offsets, nint receiveType, Rank root, Comm comm) => Wait(Gatherv(source, sends, sendType, target, counts, offsets, receiveType, root, comm));

    public static void MPI_Igatherv(nint source, int sends, nint sendType, nint target, int* counts, int* offsets, nint receiveType, Rank root, Comm comm, HandlePointer request) => request.Value = Gatherv(source, sends, sendType, target, counts, offsets, receiveType, root, comm).Handle;

    public static void MPI_Scatter(nint source, int sends, nint sendType, nint target, int receives, nint receiveType, Rank root, Comm comm) => Wait(Scatter(source, sends, sendType, target, receives, receiveType, root, comm));

    public static void MPI_Iscatter(nint source, int sends, nint sendType, nint target, int receives, nint receiveType, Rank root, Comm comm, HandlePointer request) => request.Value = Scatter(source, sends, sendType, target, receives, receiveType, root, comm).Handle;

    public static void MPI_Scatterv(nint source, int* counts, int* offsets, nint sendType, nint target, int receives, nint receiveType, Rank root, Comm comm) => Wait(Scatterv(source, counts, offsets, sendType, target, receives, receiveType, root, comm));

    public static void MPI_Iscatterv(nint source, int* counts, int* offsets, nint sendType, nint target, int receives, nint receiveType, Rank root, Comm comm, HandlePointer request) => request.Value = Scatterv(source, counts, offsets, sendType, target, receives, receiveType, root, comm).Handle;

    public static void MPI_Allgather(nint source, int sends, nint sendType, nint target, int receives, Datatype type, Comm comm) => Wait(Allgather(source, sends, sendType, target, receives, type, comm));

    public static void MPI_Iallgather(nint source, int sends, nint sendType, nint target, int receives, Datatype type, Comm comm, HandlePointer request) => request.Value = Allgather(source, sends, sendType, target, receives, type, comm).Handle;

    public static void MPI_Allgatherv(nint source, int sends, nint sendType, nint target, int* counts, int* offsets, Datatype type, Comm comm) => Wait(Allgatherv(source, sends, sendType, target, counts, offsets, type, comm));

    public static void MPI_Iallgatherv(nint source, int sends, nint sendType, nint target, int* counts, int* offsets, Datatype type, Comm comm, HandlePointer request) => request.Value = Allgatherv(source, sends, sendType, target, counts, offsets, type, comm).Handle;

    public static void MPI_Alltoall(nint source, int sends, nint sendType, nint target, int receives, Datatype type, Comm comm) => Wait(Alltoall(source, sends, sendType, target, receives, type, comm));

    public static void MPI_Ialltoall(nint source, int sends, nint sendType, nint target, int receives, Datatype type, Comm comm, HandlePointer request) => request.Value = Alltoall(source, sends, sendType, target, receives, type, comm).Handle;

    public static void MPI_Alltoallv(nint source, int* sends, int* sendOffsets, nint sendType, nint target, int* counts, int* offsets, Datatype type, Comm comm) => Wait(Alltoallv(source, sends, sendOffsets, sendType, target, counts, offsets, type, comm));

    public static void MPI_Ialltoallv(nint source, int* sends, int* sendOffsets, nint sendType, nint target, int* counts, int* offsets, Datatype type, Comm comm, HandlePointer request) => request.Value = Alltoallv(source, sends, sendOffsets, sendType, target, counts, offsets, type, comm).Handle;

    public static void MPI_Alltoallw(nint source, int* sends, int* sendOffsets, nint sendTypes, nint target, int* counts, int* offsets, nint types, Comm comm) => Wait(Alltoallw(source, sends, sendOffsets, sendTypes, target, counts, offsets, types, comm));

    public static void MPI_Ialltoallw(nint source, int* sends, int* sendOffsets, nint sendTypes, nint target, int* counts, int* offsets, nint types, Comm comm, HandlePointer request) => request.Value = Alltoallw(source, sends, sendOffsets, sendTypes, target, counts, offsets, types, comm).Handle;

    public static void MPI_Scan(nint source, nint target, int count, Datatype type, Op op, Comm comm) => Wait(Scan(source, target, count, type, op, comm));

    public static void MPI_Iscan(nint source, nint target, int count, Datatype type, Op op, Comm comm, HandlePointer request) => request.Value = Scan(source, target, count, type, op, comm).Handle;

    public static void MPI_Exscan(nint source, nint target, int count, Datatype type, Op op, Comm comm) => Wait(Exscan(source, target, count, type, op, comm));

    public static void MPI_Iexscan(nint source, nint target, int count, Datatype type, Op op, Comm comm, HandlePointer request) => request.Value = Exscan(source, target, count, type, op, comm).Handle;

    public static void MPI_Reduce_scatter(nint source, nint target, int* counts, Datatype type, Op op, Comm comm) => Wait(Reduce_scatter(source, target, counts, type, op, comm));

    public static void MPI_Ireduce_scatter(nint source, nint target, int* counts, Datatype type, Op op, Comm comm, HandlePointer request) => request.Value = Reduce_scatter(source, target, counts, type, op, comm).Handle;

    public static void MPI_Reduce_scatter_block(nint source, nint target, int count, Datatype type, Op op, Comm comm) => Wait(Reduce_scatter_block(source, target, count, type, op, comm));

    public static void MPI_Ireduce_scatter_block(nint source, nint target, int count, Datatype type, Op op, Comm comm, HandlePointer request) => request.Value = Reduce_scatter_block(source, target, count, type, op, comm).Handle;
}
