namespace TreCr.Wrapper.Mpi;

/// <summary>A collective call whose arguments have been checked: what its blocking, its non-blocking and its persistent function have in common (the generator makes all three).</summary>
/// <remarks>Source: MPI-4.0 §6.12 and §6.13.</remarks>
internal sealed class CollectiveCall(Comm comm, Func<Schedule, IEnumerator<bool>> steps)
{
    /// <summary>MPI_Bcast.</summary>
    public void Run() => Schedule.Run(comm, steps);

    /// <summary>MPI_Ibcast.</summary>
    public void Begin(HandlePointer request) => request.Value = Schedule.Begin(comm, steps).Handle;

    /// <summary>MPI_Bcast_init. Its number is taken here, once: ranks may start several such requests in different orders.</summary>
    public void Init(nint info, HandlePointer request)
    {
        InfoObject.Check(info);
        Request made = Request.Take(RequestKind.Schedule);
        int tag = comm.NextCollective();
        (made.Comm, made.IsPersistent, made.IsDone) = (comm, true, true);
        made.Again = () => Schedule.Begin(comm, steps, made, tag);
        request.Value = made.Handle;
    }
}
