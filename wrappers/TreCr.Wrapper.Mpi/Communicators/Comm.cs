namespace TreCr.Wrapper.Mpi;

/// <summary>A communicator of one group: members, two contexts (messages, collective calls), and what the program has attached to it.</summary>
internal sealed class Comm : ErrorOwner
{
    private uint _collectives;

    /// <param name="number">the same at all members, and of no other communicator of any of them</param>
    public Comm(Group group, uint number)
    {
        (Group, Number) = (group, number);
        Rank = group.OwnRank;
        Mailbox = Mailbox.Of(2 * number);
        CollectiveMailbox = Mailbox.Of(2 * number + 1);
    }

    public Group Group { get; }
    public uint Number { get; }

    /// <summary>This process's rank.</summary>
    public int Rank { get; }

    public int Size => Group.Size;

    /// <summary>Messages of the program.</summary>
    public Mailbox Mailbox { get; }

    /// <summary>Messages of collective calls.</summary>
    public Mailbox CollectiveMailbox { get; }

    public string Name { get; set; } = "";
    public AttributeTable Attributes { get; } = new();
    public Topology? Topology { get; set; }
    public bool IsPredefined { get; init; }

    public static Comm World { get; private set; } = null!;
    public static Comm Self { get; private set; } = null!;

    /// <summary>Number of the next collective call, as every member counts.</summary>
    public int NextCollective() => (int)(_collectives++ & int.MaxValue);

    public static Comm From(nint raw) => Handles.Get<Comm>(raw, ErrorClass.Comm);

    public static void Define()
    {
        Handles.PredefineNull<Comm>("ompi_mpi_comm_null", 0x04000000);
        World = new Comm(new Group([.. Enumerable.Range(0, Rankings.Size)]), 0) { IsPredefined = true, Name = "MPI_COMM_WORLD" };
        Self = new Comm(new Group([Rankings.World]), 1) { IsPredefined = true, Name = "MPI_COMM_SELF" };
        Handles.Predefine(World, "ompi_mpi_comm_world", 0x44000000);
        Handles.Predefine(Self, "ompi_mpi_comm_self", 0x44000001);
    }

    /// <exception cref="MpiException">no rank of this communicator</exception>
    public int WorldRank(int rank) => (uint)rank < (uint)Size ? Group.Ranks[rank] : throw new MpiException(ErrorClass.Rank, $"rank {rank} of a communicator of {Size}");
}
