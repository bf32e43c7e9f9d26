namespace TreCr.Wrapper.Mpi;

/// <summary>
/// The collective calls of intercommunicators that are more than an exchange of parts: a group's first rank speaks for it with that of the other. With a root, one group has
/// the root (MPI_ROOT there, MPI_PROC_NULL at its others) and the other one names its rank.
/// </summary>
/// <remarks>Source: MPI-3.1 §5.2.2 and §5.2.3.</remarks>
internal static class BetweenGroups
{
    public static IEnumerator<bool> Barrier(Schedule s)
    {
        Datatype type = PredefinedTypes.Byte;
        for (IEnumerator<bool> steps = Algorithms.Barrier(s.Local); steps.MoveNext();) yield return true;
        if (s.Rank == 0)
        {
            s.Send(0, 0, 0, type);
            s.Receive(0, 0, 0, type);
            yield return true;
        }
        for (IEnumerator<bool> steps = Algorithms.Bcast(s.Local, 0, 0, type, 0); steps.MoveNext();) yield return true;
    }

    public static IEnumerator<bool> Bcast(Schedule s, nint buffer, long count, Datatype type, int root)
    {
        if (root == MpiAbi.ProcNull) yield break;
        if (root == MpiAbi.Root)
        {
            s.Send(0, buffer, count, type);
            yield return true;
            yield break;
        }
        if (s.Rank == 0)
        {
            s.Receive(root, buffer, count, type);
            yield return true;
        }
        for (IEnumerator<bool> steps = Algorithms.Bcast(s.Local, buffer, count, type, 0); steps.MoveNext();) yield return true;
    }

    public static IEnumerator<bool> Reduce(Schedule s, nint source, nint target, long count, Datatype type, Op op, int root)
    {
        if (root == MpiAbi.ProcNull || count == 0) yield break;
        if (root == MpiAbi.Root)
        {
            s.Receive(0, target, count, type);
            yield return true;
            yield break;
        }
        nint result = s.Allocate(count, type);
        for (IEnumerator<bool> steps = Algorithms.Reduce(s.Local, source, result, count, type, op, 0); steps.MoveNext();) yield return true;
        if (s.Rank != 0) yield break;
        s.Send(root, result, count, type);
        yield return true;
    }

    /// <summary>Each group gets what the other's items make.</summary>
    public static IEnumerator<bool> Allreduce(Schedule s, nint source, nint target, long count, Datatype type, Op op)
    {
        if (count == 0) yield break;
        for (IEnumerator<bool> steps = ReduceAndSwap(s, source, target, count, type, op); steps.MoveNext();) yield return true;
        for (IEnumerator<bool> steps = Algorithms.Bcast(s.Local, target, count, type, 0); steps.MoveNext();) yield return true;
    }

    /// <param name="counts">of the own group; both groups' make the same sum</param>
    public static IEnumerator<bool> ReduceScatter(Schedule s, nint source, nint target, long[] counts, Datatype type, Op op)
    {
        (long total, long[] offsets) = Algorithms.OneAfterTheOther(counts, type);
        nint all = s.Allocate(total, type);
        for (IEnumerator<bool> steps = ReduceAndSwap(s, source, all, total, type, op); steps.MoveNext();) yield return true;
        for (IEnumerator<bool> steps = Algorithms.Scatter(s.Local, all, counts, offsets, type, target, counts[s.Rank], type, 0, own: true); steps.MoveNext();) yield return true;
    }

    /// <summary>The first rank of each group has what the other group's items make.</summary>
    private static IEnumerator<bool> ReduceAndSwap(Schedule s, nint source, nint target, long count, Datatype type, Op op)
    {
        nint own = s.Allocate(count, type);
        for (IEnumerator<bool> steps = Algorithms.Reduce(s.Local, source, own, count, type, op, 0); steps.MoveNext();) yield return true;
        if (s.Rank != 0) yield break;
        s.Send(0, own, count, type);
        s.Receive(0, target, count, type);
        yield return true;
    }
}
