namespace TreCr.Wrapper.Mpi;

/// <summary>
/// The collective calls as steps of messages: dissemination (barrier), binomial trees (broadcast, reduction), recursive doubling (allreduce), rings (allgather), pairs
/// (alltoall). Counts are per rank; in place is said by a source of 0 where that is no address.
/// </summary>
/// <remarks>Source: R. Thakur, R. Rabenseifner, W. Gropp, "Optimization of Collective Communication Operations in MPICH", 2005; MPI-3.1 §5.</remarks>
internal static unsafe class Algorithms
{
    public static IEnumerator<bool> Barrier(Schedule s)
    {
        Datatype type = PredefinedTypes.Byte;
        for (int distance = 1; distance < s.Size; distance *= 2)
        {
            s.Send((s.Rank + distance) % s.Size, 0, 0, type);
            s.Receive((s.Rank - distance + s.Size) % s.Size, 0, 0, type);
            yield return true;
        }
    }

    public static IEnumerator<bool> Bcast(Schedule s, nint buffer, long count, Datatype type, int root)
    {
        int relative = (s.Rank - root + s.Size) % s.Size, mask = 1;
        for (; mask < s.Size; mask *= 2)
        {
            if ((relative & mask) == 0) continue;
            s.Receive((s.Rank - mask + s.Size) % s.Size, buffer, count, type);
            yield return true;
            break;
        }
        for (mask /= 2; mask > 0; mask /= 2)
            if (relative + mask < s.Size) s.Send((s.Rank + mask) % s.Size, buffer, count, type);
        yield return true;
    }

    public static IEnumerator<bool> Nothing()
    {
        yield break;
    }

    /// <summary>In order of the ranks: the operation need not be commutative.</summary>
    /// <param name="source">of this rank; at the root may be <paramref name="target"/> itself</param>
    public static IEnumerator<bool> Reduce(Schedule s, nint source, nint target, long count, Datatype type, Op op, int root)
    {
        if (count == 0) yield break;
        // To rank 0 where the order counts; else the tree's root is the call's.
        int top = op.IsCommutative ? root : 0, relative = (s.Rank - top + s.Size) % s.Size;
        nint mine = s.Rank == top && s.Rank == root ? s.Workplace(target, count, type) : s.Allocate(count, type), other = 0;
        Schedule.Copy(source, count, type, mine, count, type);
        for (int mask = 1; mask < s.Size; mask *= 2)
        {
            if ((relative & mask) != 0)
            {
                s.Send((s.Rank - mask + s.Size) % s.Size, mine, count, type);
                yield return true;
                break;
            }
            if (relative + mask >= s.Size) continue;
            if (other == 0) other = s.Allocate(count, type);
            s.Receive((s.Rank + mask) % s.Size, other, count, type);
            yield return true;
            if (op.IsCommutative) op.Apply(other, mine, count, type);
            else
            {
                // mine stands before other: inout = in op inout.
                op.Apply(mine, other, count, type);
                (mine, other) = (other, mine);
            }
        }
        if (top == root)
        {
            if (s.Rank == root) Schedule.Copy(mine, count, type, target, count, type);
            yield break;
        }
        if (s.Rank == top) s.Send(root, mine, count, type);
        if (s.Rank == root) s.Receive(top, target, count, type);
        yield return true;
    }

    public static IEnumerator<bool> Allreduce(Schedule s, nint source, nint target, long count, Datatype type, Op op)
    {
        if (count == 0) yield break;
        if (!op.IsCommutative)
        {
            for (IEnumerator<bool> steps = Reduce(s, source, target, count, type, op, 0); steps.MoveNext();) yield return true;
            for (IEnumerator<bool> steps = Bcast(s, target, count, type, 0); steps.MoveNext();) yield return true;
            yield break;
        }
        nint mine = s.Workplace(target, count, type);
        Schedule.Copy(source, count, type, mine, count, type);
        int power = 1;
        while (power * 2 <= s.Size) power *= 2;
        int rest = s.Size - power, number = s.Rank < 2 * rest ? s.Rank % 2 == 0 ? -1 : s.Rank / 2 : s.Rank - rest;
        nint other = s.Allocate(count, type);
        // Ranks beyond a power of two give theirs to a neighbour and get the result back.
        if (s.Rank < 2 * rest)
        {
            if (number < 0) s.Send(s.Rank + 1, mine, count, type);
            else s.Receive(s.Rank - 1, other, count, type);
            yield return true;
            if (number >= 0) op.Apply(other, mine, count, type);
        }
        for (int mask = 1; number >= 0 && mask < power; mask *= 2)
        {
            int partner = number ^ mask, rank = partner < rest ? 2 * partner + 1 : partner + rest;
            s.Send(rank, mine, count, type);
            s.Receive(rank, other, count, type);
            yield return true;
            op.Apply(other, mine, count, type); // commutative: both sides compute the same
        }
        if (s.Rank < 2 * rest)
        {
            if (number < 0) s.Receive(s.Rank + 1, mine, count, type);
            else s.Send(s.Rank - 1, mine, count, type);
            yield return true;
        }
        Schedule.Copy(mine, count, type, target, count, type);
    }

    /// <param name="sends">of this rank</param><param name="offsets">bytes, per rank; at the root</param>
    /// <param name="own">the root's part comes from <paramref name="source"/>; false: it is in place</param>
    public static IEnumerator<bool> Gather(Schedule s, nint source, long sends, Datatype sendType, nint target, long[] counts, long[] offsets, Datatype type, int root, bool own)
    {
        if (s.Rank != root) s.Send(root, source, sends, sendType);
        else
            for (int rank = 0; rank < s.Size; rank++)
                if (rank != root) s.Receive(rank, target + (nint)offsets[rank], counts[rank], type);
                else if (own) Schedule.Copy(source, sends, sendType, target + (nint)offsets[rank], counts[rank], type);
        yield return true;
    }

    public static IEnumerator<bool> Scatter(Schedule s, nint source, long[] counts, long[] offsets, Datatype type, nint target, long receives, Datatype receiveType, int root, bool own)
    {
        if (s.Rank != root) s.Receive(root, target, receives, receiveType);
        else
            for (int rank = 0; rank < s.Size; rank++)
                if (rank != root) s.Send(rank, source + (nint)offsets[rank], counts[rank], type);
                else if (own) Schedule.Copy(source + (nint)offsets[rank], counts[rank], type, target, receives, receiveType);
        yield return true;
    }

    /// <param name="source">0: the own part is in its place</param>
    public static IEnumerator<bool> Allgather(Schedule s, nint source, long sends, Datatype sendType, nint target, long[] counts, long[] offsets, Datatype type)
    {
        int right = (s.Rank + 1) % s.Size, left = (s.Rank - 1 + s.Size) % s.Size;
        if (source != 0) Schedule.Copy(source, sends, sendType, target + (nint)offsets[s.Rank], counts[s.Rank], type);
        for (int step = 0; step < s.Size - 1; step++)
        {
            int give = (s.Rank - step + s.Size) % s.Size, take = (s.Rank - step - 1 + s.Size) % s.Size;
            s.Send(right, target + (nint)offsets[give], counts[give], type);
            s.Receive(left, target + (nint)offsets[take], counts[take], type);
            yield return true;
        }
    }

    public static IEnumerator<bool> Alltoall(Schedule s, nint source, long[] sends, long[] sendOffsets, Datatype[] sendTypes, nint target, long[] counts, long[] offsets, Datatype[] types, bool inPlace)
    {
        for (int step = 0; step < s.Size; step++)
        {
            int to = (s.Rank + step) % s.Size, from = (s.Rank - step + s.Size) % s.Size;
            if (inPlace)
            {
                // Pairs exchange, the lower rank's partner in the same round: from and to are one.
                int partner = (step - s.Rank + s.Size) % s.Size;
                if (partner == s.Rank) continue;
                nint copy = s.Allocate(counts[partner], types[partner]);
                Schedule.Copy(target + (nint)offsets[partner], counts[partner], types[partner], copy, counts[partner], types[partner]);
                s.Send(partner, copy, counts[partner], types[partner]);
                s.Receive(partner, target + (nint)offsets[partner], counts[partner], types[partner]);
            }
            else if (step == 0) Schedule.Copy(source + (nint)sendOffsets[to], sends[to], sendTypes[to], target + (nint)offsets[to], counts[to], types[to]);
            else
            {
                s.Send(to, source + (nint)sendOffsets[to], sends[to], sendTypes[to]);
                s.Receive(from, target + (nint)offsets[from], counts[from], types[from]);
            }
            if (step % 8 == 7) yield return true; // not all ranks at once
        }
        yield return true;
    }

    /// <summary>Along the ranks.</summary>
    /// <param name="exclusive">without the own part: MPI_Exscan</param>
    public static IEnumerator<bool> Scan(Schedule s, nint source, nint target, long count, Datatype type, Op op, bool exclusive)
    {
        if (count == 0) yield break;
        nint sum = s.Allocate(count, type);
        Schedule.Copy(source, count, type, sum, count, type);
        if (s.Rank > 0)
        {
            nint before = exclusive ? s.Workplace(target, count, type) : s.Allocate(count, type);
            s.Receive(s.Rank - 1, before, count, type);
            yield return true;
            op.Apply(before, sum, count, type);
            if (exclusive) Schedule.Copy(before, count, type, target, count, type);
        }
        if (!exclusive) Schedule.Copy(sum, count, type, target, count, type);
        if (s.Rank + 1 < s.Size) s.Send(s.Rank + 1, sum, count, type);
        yield return true;
    }

    /// <summary>Items of all ranks, and where each one's are, in bytes.</summary>
    public static (long Total, long[] Offsets) OneAfterTheOther(long[] counts, Datatype type)
    {
        long[] offsets = new long[counts.Length];
        for (int i = 1; i < counts.Length; i++) offsets[i] = offsets[i - 1] + counts[i - 1] * type.Extent;
        return (counts.Sum(), offsets);
    }

    public static IEnumerator<bool> ReduceScatter(Schedule s, nint source, nint target, long[] counts, Datatype type, Op op)
    {
        (long total, long[] offsets) = OneAfterTheOther(counts, type);
        nint all = s.Allocate(total, type);
        for (IEnumerator<bool> steps = Reduce(s, source, all, total, type, op, 0); steps.MoveNext();) yield return true;
        for (IEnumerator<bool> steps = Scatter(s, all, counts, offsets, type, target, counts[s.Rank], type, 0, own: true); steps.MoveNext();) yield return true;
    }

    /// <summary>All at once: the parts of the neighbourhood calls, and of those between two groups.</summary>
    public static IEnumerator<bool> Exchange(Schedule s, Part[] receives, Part[] sends)
    {
        foreach (Part p in receives)
            if (p.Peer >= 0) s.Receive(p.Peer, p.Address, p.Count, p.Type);
        foreach (Part p in sends)
            if (p.Peer >= 0) s.Send(p.Peer, p.Address, p.Count, p.Type);
        yield return true;
    }
}

/// <summary>What one rank gets or gives.</summary>
/// <param name="Peer">below 0: nobody</param>
internal readonly record struct Part(int Peer, nint Address, long Count, Datatype Type);
