namespace TreCr.Wrapper.Mpi;

/// <summary>
/// What the members of a communicator tell each other to make another one. Its number is chosen by one of them, out of those that are its own alone, so that several agreements
/// may be under way at a time (threads, MPI_Comm_idup) and none depends on another.
/// </summary>
internal static unsafe class Agreement
{
    /// <summary>Numbers of <see cref="Comm"/>: even ones are chosen (the next one is an intercommunicator's local group's). With these they are contexts for something else beside a communicator.</summary>
    public const uint Bridges = 0x10000000, PartitionHeads = 0x20000000, PartitionData = 0x30000000;

    /// <summary>From here on those of talks before there is a communicator.</summary>
    private const uint Groups = 0x40000000;

    private static uint s_taken;

    /// <summary>A number that no other rank takes and this one never again.</summary>
    /// <exception cref="MpiException">a rank has made too many: 134 million divided by the number of ranks</exception>
    public static uint TakeNumber()
    {
        ulong number = 2 * ((ulong)++s_taken * (uint)Rankings.Size + (uint)Rankings.World);
        return number < Bridges ? (uint)number : throw new MpiException(ErrorClass.Other, $"rank {Rankings.World} has made {s_taken} communicators, more than it has numbers for");
    }

    /// <summary>The number of a communicator that all members, of both groups, make together.</summary>
    public static uint Number(Comm comm)
    {
        long number = 0;
        nint place = (nint)(&number);
        Schedule.Run(comm, s => Number(s, comm.IsInter, place));
        return (uint)number;
    }

    /// <summary>The same, as steps of a call.</summary>
    /// <param name="place">8 bytes, which the number is written to</param>
    public static IEnumerator<bool> Number(Schedule s, bool isInter, nint place)
    {
        Datatype type = PredefinedTypes.Byte;
        const int Bytes = sizeof(long);
        if (s.Rank == 0) Take(place);
        if (isInter && s.Rank == 0)
        {
            // Each group's first rank has one: the smaller.
            nint other = s.Allocate(Bytes, type);
            s.Send(0, place, Bytes, type);
            s.Receive(0, other, Bytes, type);
            yield return true;
            Smaller(place, other);
        }
        for (IEnumerator<bool> steps = Algorithms.Bcast(isInter ? s.Local : s, place, Bytes, type, 0); steps.MoveNext();) yield return true;
    }

    private static void Take(nint place) => *(long*)place = TakeNumber();

    private static void Smaller(nint place, nint other) => *(long*)place = Math.Min(*(long*)place, *(long*)other);

    /// <summary>Each rank's words, those of the other group too.</summary>
    /// <returns>[rank][word] of the own group, and of the other one (empty where there is none)</returns>
    public static (int[][] Own, int[][] Remote) Collect(Comm comm, params int[] words)
    {
        int[] own = new int[words.Length * comm.Size], remote = new int[comm.IsInter ? words.Length * comm.Peers.Size : 0];
        int bytes = sizeof(int) * words.Length;
        long[] each = [.. Enumerable.Repeat((long)bytes, comm.Size)];
        fixed (int* mine = words, all = own, others = remote)
        {
            nint source = (nint)mine;
            Gather(comm.Local ?? comm, source, (nint)all, each);
            if (comm.IsInter)
            {
                nint target = (nint)others;
                Schedule.Run(comm, s => Algorithms.Exchange(s, [.. Enumerable.Range(0, s.PeerSize).Select(i => new Part(i, target + i * bytes, bytes, PredefinedTypes.Byte))],
                    [.. Enumerable.Range(0, s.PeerSize).Select(i => new Part(i, source, bytes, PredefinedTypes.Byte))]));
            }
        }
        return (Rows(own), Rows(remote));

        int[][] Rows(int[] all) => [.. all.Chunk(Math.Max(1, words.Length))];
    }

    /// <summary>The words of all ranks of one group, of some more than of others, in the order of the ranks.</summary>
    public static int[] CollectAll(Comm comm, int[] words)
    {
        long[] bytes = [.. Collect(comm, words.Length).Own.Select(w => (long)w[0] * sizeof(int))];
        int[] all = new int[bytes.Sum() / sizeof(int)];
        fixed (int* mine = words, target = all) Gather(comm, (nint)mine, (nint)target, bytes);
        return all;
    }

    private static void Gather(Comm comm, nint source, nint target, long[] bytes)
    {
        (_, long[] offsets) = Algorithms.OneAfterTheOther(bytes, PredefinedTypes.Byte);
        Schedule.Run(comm, s => Algorithms.Allgather(s, source, bytes[s.Rank], PredefinedTypes.Byte, target, bytes, offsets, PredefinedTypes.Byte));
    }

    /// <summary>Sends the words of one rank to all of the own group.</summary>
    public static void Broadcast(Comm comm, Span<int> words, int root)
    {
        fixed (int* first = words)
        {
            nint buffer = (nint)first;
            long bytes = sizeof(int) * words.Length;
            Schedule.Run(comm, s => Algorithms.Bcast(s, buffer, bytes, PredefinedTypes.Byte, root));
        }
    }

    /// <summary>Two ranks swap words through a communicator that both are in, in a context that only such talks use.</summary>
    public static void Swap(Comm peers, int peer, int tag, ReadOnlySpan<int> give, Span<int> take)
    {
        Comm bridge = peers.Beside(Bridges);
        fixed (int* from = give, to = take)
        {
            (nint source, nint target, long sends, long receives) = ((nint)from, (nint)to, sizeof(int) * give.Length, sizeof(int) * take.Length);
            Schedule.Run(bridge, s => Algorithms.Exchange(s, [new Part(peer, target, receives, PredefinedTypes.Byte)], [new Part(peer, source, sends, PredefinedTypes.Byte)]), tag);
        }
    }

    /// <summary>The number of a communicator that a group makes, whose members have nothing in common but the group and a tag.</summary>
    public static uint Number(Group group, int tag)
    {
        // In a context that only this group's calls with this tag use; those of one tag follow each other.
        uint hash = 2166136261;
        foreach (int word in group.Ranks.Append(tag)) hash = (hash ^ (uint)word) * 16777619;
        Comm among = new(new Group(group.Ranks), Groups | hash & (Groups - 1));
        uint number = Number(among);
        Mailbox.Forget(2 * among.Number);
        Mailbox.Forget(2 * among.Number + 1);
        return number;
    }
}
