using TreCr.Ring;

namespace TreCr.Wrapper.Mpi;

/// <summary>A communicator: members, two contexts (messages, collective calls), and what the program has attached to it. An intercommunicator has a second group, to which messages go.</summary>
internal sealed class Comm : ErrorOwner
{
    private uint _collectives;

    /// <param name="number">the same at all members, and of no other communicator of any of them; 0 of one that is not MPI_COMM_WORLD: <see cref="Open"/> follows</param>
    /// <param name="remote">the other group of an intercommunicator</param>
    public Comm(Group group, uint number, Group? remote = null)
    {
        (Group, Remote) = (group, remote);
        Rank = group.OwnRank;
        Open(number);
    }

    /// <summary>Gives it its number.</summary>
    public void Open(uint number)
    {
        Number = number;
        Mailbox = Mailbox.Of(2 * number);
        CollectiveMailbox = Mailbox.Of(2 * number + 1);
        if (Remote is not null) Local = new Comm(Group, number + 1);
    }

    /// <summary>Of an intercommunicator: the local one.</summary>
    public Group Group { get; }

    /// <summary>The other group; null of an intracommunicator.</summary>
    public Group? Remote { get; }

    /// <summary>Of an intercommunicator: the local group's own, for the steps of collective calls that stay in it.</summary>
    public Comm? Local { get; private set; }

    public bool IsInter => Remote is not null;

    /// <summary>Whom messages go to and come from.</summary>
    public Group Peers => Remote ?? Group;

    public uint Number { get; private set; }

    /// <summary>This process's rank.</summary>
    public int Rank { get; }

    public int Size => Group.Size;

    /// <summary>Messages of the program.</summary>
    public Mailbox Mailbox { get; private set; } = null!;

    /// <summary>Messages of collective calls.</summary>
    public Mailbox CollectiveMailbox { get; private set; } = null!;

    public string Name { get; set; } = "";
    public AttributeTable Attributes { get; } = new();
    public Topology? Topology { get; set; }
    public bool IsPredefined { get; init; }

    public static Comm World { get; private set; } = null!;
    public static Comm Self { get; private set; } = null!;

    /// <summary>Number of the next collective call, as every member counts.</summary>
    public int NextCollective() => Seeded.Is(ProtocolBug.CollectivesShareTag) ? 0 : (int)(_collectives++ & int.MaxValue);

    public static Comm From(nint raw) => Handles.Get<Comm>(raw, ErrorClass.Comm);

    public static void Define()
    {
        Handles.PredefineNull<Comm>("ompi_mpi_comm_null", 0x04000000);
        World = new Comm(new Group([.. Enumerable.Range(0, Rankings.Size)]), 0) { IsPredefined = true, Name = "MPI_COMM_WORLD" };
        Self = new Comm(new Group([Rankings.World]), 1) { IsPredefined = true, Name = "MPI_COMM_SELF" };
        Handles.Predefine(World, "ompi_mpi_comm_world", 0x44000000);
        Handles.Predefine(Self, "ompi_mpi_comm_self", 0x44000001);
    }

    /// <summary>World rank of one to whom messages go.</summary>
    /// <exception cref="MpiException">no rank of this communicator</exception>
    public int WorldRank(int rank) => (uint)rank < (uint)Peers.Size ? Peers.Ranks[rank] : throw new MpiException(ErrorClass.Rank, $"rank {rank} of a communicator of {Peers.Size}");

    /// <summary>The worst of what the ranks say. Collective.</summary>
    public unsafe ErrorClass WorstOf(ErrorClass error)
    {
        int[] mine = [(int)error], worst = [0];
        fixed (int* a = mine, b = worst)
        {
            nint from = (nint)a, to = (nint)b;
            Schedule.Run(this, s => Algorithms.Allreduce(s, from, to, 1, PredefinedTypes.Int32, CommunicatorCalls.Max));
        }
        return (ErrorClass)worst[0];
    }

    /// <summary>The same ranks in another context.</summary>
    /// <param name="purpose">of <see cref="Agreement"/>'s</param>
    public Comm Beside(uint purpose) => new(Group, purpose | Number, Remote);

    /// <exception cref="MpiException">it is an intercommunicator</exception>
    public void RequireIntra()
    {
        if (IsInter) throw new MpiException(ErrorClass.Comm, "an intercommunicator");
    }

    /// <exception cref="MpiException">it is none</exception>
    public Group RequireInter() => Remote ?? throw new MpiException(ErrorClass.Comm, "not an intercommunicator");
}
