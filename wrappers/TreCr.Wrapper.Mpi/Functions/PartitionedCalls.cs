using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-4.0 chapter 4: messages in parts.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class PartitionedCalls
{
    /// <param name="count">items of one part</param>
    public static void MPI_Psend_init(nint buffer, int parts, long count, Datatype type, Rank dest, int tag, Comm comm, nint info, HandlePointer request)
        => Init(RequestKind.Send, buffer, parts, count, type, dest, tag, comm, info, request);

    public static void MPI_Precv_init(nint buffer, int parts, long count, Datatype type, Rank source, int tag, Comm comm, nint info, HandlePointer request)
        => Init(RequestKind.Receive, buffer, parts, count, type, source, tag, comm, info, request);

    private static void Init(RequestKind kind, nint buffer, int parts, long count, Datatype type, Rank peer, int tag, Comm comm, nint info, HandlePointer request)
    {
        if (parts < 1) throw new MpiException(ErrorClass.Arg, $"{parts} parts");
        CollectiveCalls.Check(count, type);
        if (tag < 0) throw new MpiException(ErrorClass.Tag, $"tag {tag}");
        if (peer != MpiAbi.ProcNull) comm.WorldRank(peer);
        InfoObject.Check(info);
        Request made = Request.Take(kind);
        Partitions partitions = new(made, buffer, parts, count, type, peer, tag, comm);
        (made.Comm, made.IsPersistent, made.IsDone, made.Again, made.Partitions) = (comm, true, true, partitions.Start, partitions);
        partitions.Open();
        request.Value = made.Handle;
    }

    private static Partitions Of(nint request) => Request.Of(request)?.Partitions ?? throw new MpiException(ErrorClass.Request, "not a partitioned request");

    public static void MPI_Pready(int part, nint request) => Of(request).GiveAway(part);

    public static void MPI_Pready_range(int first, int last, nint request)
    {
        for (int part = first; part <= last; part++) Of(request).GiveAway(part);
    }

    public static void MPI_Pready_list(int count, int* parts, nint request)
    {
        if (count < 0) throw new MpiException(ErrorClass.Count, $"count {count}");
        for (int i = 0; i < count; i++) Of(request).GiveAway(parts[i]);
    }

    public static void MPI_Parrived(nint request, int part, int* flag)
    {
        if (Request.Of(request) is null)
        {
            *flag = 1;
            return;
        }
        Messages.Progress();
        *flag = Of(request).HasArrived(part) ? 1 : 0;
        if (*flag == 0) Idle.Turn();
    }
}
