using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 §6.6: communicators of two groups.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class IntercommunicatorCalls
{
    public static void MPI_Comm_remote_size(Comm comm, int* size) => *size = comm.RequireInter().Size;

    public static void MPI_Comm_remote_group(Comm comm, HandlePointer group) => group.Value = Handles.Add(new Group(comm.RequireInter().Ranks));

    /// <summary>No rank of a job was spawned by another one.</summary>
    public static void MPI_Comm_get_parent(HandlePointer parent) => parent.Value = Handles.Null<Comm>();

    /// <param name="peers">significant at the leaders, as what follows: a communicator that both are in</param>
    public static void MPI_Intercomm_create(Comm comm, int leader, nint peers, int remoteLeader, int tag, HandlePointer result)
    {
        comm.RequireIntra();
        if ((uint)leader >= (uint)comm.Size) throw new MpiException(ErrorClass.Rank, $"leader {leader} of a communicator of {comm.Size}");
        // Number of the new one, members of the other group; or the leader's error, which is that of all then.
        int[] head = new int[3], ranks = [];
        MpiException? failed = null;
        if (comm.Rank == leader)
        {
            try { ranks = Meet(comm, Comm.From(peers), remoteLeader, tag, head); }
            catch (MpiException e)
            {
                failed = e;
                head[2] = (int)e.Error;
            }
        }
        Agreement.Broadcast(comm, head, leader);
        if (head[2] != 0) throw failed ?? new MpiException((ErrorClass)head[2], "the leader's arguments are wrong");
        Array.Resize(ref ranks, head[1]);
        Agreement.Broadcast(comm, ranks, leader);
        if (ranks.Intersect(comm.Group.Ranks).Any()) throw new MpiException(ErrorClass.Comm, "a rank is in both groups");
        result.Value = CommunicatorCalls.Inherit(new Comm(comm.Group, (uint)head[0], new Group(ranks)), comm).Handle;
    }

    /// <summary>The two leaders: each has a number, the smaller is taken.</summary>
    private static int[] Meet(Comm comm, Comm peers, int remoteLeader, int tag, int[] head)
    {
        if (tag < 0) throw new MpiException(ErrorClass.Tag, $"tag {tag}");
        peers.WorldRank(remoteLeader);
        if (!peers.IsInter && remoteLeader == peers.Rank) throw new MpiException(ErrorClass.Rank, "the remote leader is the local one");
        int[] own = [(int)Agreement.TakeNumber(), comm.Size], other = new int[2];
        Agreement.Swap(peers, remoteLeader, tag, own, other);
        (head[0], head[1]) = (Math.Min(own[0], other[0]), other[1]);
        int[] ranks = new int[other[1]];
        Agreement.Swap(peers, remoteLeader, tag, comm.Group.Ranks, ranks);
        return ranks;
    }

    /// <summary>The group that says so comes last; where both say the same, the one with the lowest world rank first.</summary>
    public static void MPI_Intercomm_merge(Comm comm, int high, HandlePointer result)
    {
        Group remote = comm.RequireInter();
        (int[][] own, int[][] other) = Agreement.Collect(comm, high != 0 ? 1 : 0);
        if (own.Any(w => w[0] != own[0][0])) throw new MpiException(ErrorClass.Arg, "ranks of one group differ in which is the high one");
        bool isLast = own[0][0] != other[0][0] ? own[0][0] != 0 : comm.Group.Ranks.Min() > remote.Ranks.Min();
        uint number = Agreement.Number(comm);
        result.Value = CommunicatorCalls.Inherit(new Comm(new Group(isLast ? [.. remote.Ranks, .. comm.Group.Ranks] : [.. comm.Group.Ranks, .. remote.Ranks]), number), comm).Handle;
    }
}
