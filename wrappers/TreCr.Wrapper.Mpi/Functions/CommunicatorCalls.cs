using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 chapter 6: communicators. A new one is agreed on by its members alone: nothing of it is known to the MPI library.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class CommunicatorCalls
{
    private const uint FirstNumber = 2;
    private static uint s_next = FirstNumber;

    /// <summary>A number that no communicator of any member has: the largest of what the members would take next.</summary>
    private static uint Agree(Comm comm)
    {
        long[] mine = [s_next], largest = [0];
        fixed (long* a = mine, b = largest)
        {
            nint from = (nint)a, to = (nint)b;
            Schedule.Run(comm, s => Algorithms.Allreduce(s, from, to, 1, PredefinedTypes.Int64, Max));
        }
        s_next = checked((uint)largest[0] + 1);
        return (uint)largest[0];
    }

    /// <summary>A communicator of the same ranks that the program does not know, for a window or a file, and the number of another for calls to its ranks. Collective.</summary>
    internal static (Comm Comm, uint CallsNumber) MakePrivate(Comm comm) => (new Comm(new Group(comm.Group.Ranks), Agree(comm)), Agree(comm));

    internal static Op Max => field ??= new() { Kind = OpKind.Max };

    private static Comm Inherit(Comm child, Comm parent)
    {
        child.Errhandler = parent.Errhandler;
        Handles.Add(child);
        return child;
    }

    public static void MPI_Comm_rank(Comm comm, int* rank) => *rank = comm.Rank;

    public static void MPI_Comm_size(Comm comm, int* size) => *size = comm.Size;

    public static void MPI_Comm_group(Comm comm, HandlePointer group) => group.Value = comm.Group.Handle == 0 ? Handles.Add(new Group(comm.Group.Ranks)) : comm.Group.Handle;

    public static void MPI_Comm_compare(Comm a, Comm b, int* result)
        => *result = a == b ? MpiAbi.Ident : Group.Compare(a.Group, b.Group) switch { MpiAbi.Ident => MpiAbi.Congruent, int other => other };

    public static void MPI_Comm_test_inter(Comm comm, int* flag) => *flag = 0;

    public static void MPI_Comm_dup(Comm comm, HandlePointer copy) => copy.Value = Duplicate(comm).Handle;

    public static void MPI_Comm_dup_with_info(Comm comm, nint info, HandlePointer copy) => copy.Value = Duplicate(comm).Handle;

    /// <summary>Done when it returns, which the standard allows: the request only says so.</summary>
    public static void MPI_Comm_idup(Comm comm, HandlePointer copy, HandlePointer request)
    {
        copy.Value = Duplicate(comm).Handle;
        Request done = Request.Take(RequestKind.Schedule);
        done.IsDone = true;
        request.Value = done.Handle;
    }

    private static Comm Duplicate(Comm comm)
    {
        Comm copy = Inherit(new Comm(comm.Group, Agree(comm)) { Topology = comm.Topology }, comm);
        try { comm.Attributes.CopyTo(comm, copy.Attributes); }
        catch
        {
            Handles.Remove(copy);
            throw;
        }
        return copy;
    }

    public static void MPI_Comm_create(Comm comm, Group group, HandlePointer result)
    {
        uint number = Agree(comm);
        result.Value = group.OwnRank == MpiAbi.Undefined ? Handles.Null<Comm>() : Inherit(new Comm(new Group(group.Ranks), number), comm).Handle;
    }

    /// <summary>Only the members of the group call it.</summary>
    public static void MPI_Comm_create_group(Comm comm, Group group, int tag, HandlePointer result)
    {
        if (group.OwnRank == MpiAbi.Undefined)
        {
            result.Value = Handles.Null<Comm>();
            return;
        }
        // Members agree in a context that only this group's calls with this tag use; those of one tag follow each other.
        Comm among = new(new Group(group.Ranks), GroupContext(group, tag));
        result.Value = Inherit(new Comm(new Group(group.Ranks), Agree(among)), comm).Handle;
        Mailbox.Forget(2 * among.Number);
        Mailbox.Forget(2 * among.Number + 1);
    }

    /// <summary>A number in the upper half for a set of members and a tag.</summary>
    private static uint GroupContext(Group group, int tag)
    {
        uint hash = 2166136261;
        foreach (int word in group.Ranks.Append(tag)) hash = (hash ^ (uint)word) * 16777619;
        return 0x40000000 | hash & 0x3fffffff;
    }

    public static void MPI_Comm_split(Comm comm, int color, int key, HandlePointer result)
    {
        if (color < 0 && color != MpiAbi.Undefined) throw new MpiException(ErrorClass.Arg, $"color {color}");
        result.Value = Split(comm, color, key) is { } made ? made.Handle : Handles.Null<Comm>();
    }

    /// <returns>null: the color is MPI_UNDEFINED</returns>
    private static Comm? Split(Comm comm, int color, int key)
    {
        int[] all = new int[2 * comm.Size];
        (all[2 * comm.Rank], all[2 * comm.Rank + 1]) = (color, key);
        fixed (int* words = all)
        {
            nint target = (nint)words;
            long[] counts = new long[comm.Size], offsets = new long[comm.Size];
            for (int i = 0; i < comm.Size; i++) (counts[i], offsets[i]) = (8, 8 * i);
            Schedule.Run(comm, s => Algorithms.Allgather(s, target, counts, offsets, PredefinedTypes.Byte));
        }
        uint number = Agree(comm);
        if (color == MpiAbi.Undefined) return null;
        int[] members = [.. Enumerable.Range(0, comm.Size).Where(r => all[2 * r] == color).OrderBy(r => all[2 * r + 1]).ThenBy(r => r).Select(r => comm.Group.Ranks[r])];
        return Inherit(new Comm(new Group(members), number), comm);
    }

    /// <summary>By host: which ranks share one is recorded here and stays, wherever they are restarted.</summary>
    public static void MPI_Comm_split_type(Comm comm, int type, int key, nint info, HandlePointer result)
    {
        if (type != MpiAbi.Undefined && type != MpiAbi.CommTypeShared) throw new MpiException(ErrorClass.Arg, $"split type {type}");
        uint hash = 2166136261;
        foreach (char c in Environment.MachineName) hash = (hash ^ c) * 16777619;
        result.Value = Split(comm, type == MpiAbi.Undefined ? type : (int)(hash & int.MaxValue), key) is { } made ? made.Handle : Handles.Null<Comm>();
    }

    public static void MPI_Comm_free(HandlePointer comm)
    {
        Comm freed = Comm.From(comm.Value);
        if (freed.IsPredefined) throw new MpiException(ErrorClass.Comm, $"{freed.Name} cannot be freed");
        freed.Attributes.DeleteAll(freed);
        Handles.Remove(freed); // messages of it that are under way find their mailbox still
        comm.Value = Handles.Null<Comm>();
    }

    public static void MPI_Comm_disconnect(HandlePointer comm) => MPI_Comm_free(comm);

    public static void MPI_Comm_set_name(Comm comm, byte* name) => comm.Name = Text.ReadName(name);

    public static void MPI_Comm_get_name(Comm comm, byte* name, int* length) => *length = Text.Write(name, comm.Name, MpiAbi.MaxObjectName);

    public static void MPI_Comm_set_info(Comm comm, nint info) { }

    public static void MPI_Comm_get_info(Comm comm, HandlePointer info) => info.Value = Handles.Add(new InfoObject());

    public static void MPI_Comm_remote_size(Comm comm, int* size) => throw new MpiException(ErrorClass.Comm, "not an intercommunicator");

    public static void MPI_Comm_remote_group(Comm comm, HandlePointer group) => throw new MpiException(ErrorClass.Comm, "not an intercommunicator");
}
