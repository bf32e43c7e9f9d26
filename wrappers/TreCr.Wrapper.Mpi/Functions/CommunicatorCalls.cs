using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 chapter 6: communicators. A new one is agreed on by its members alone: nothing of it is known to the MPI library.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class CommunicatorCalls
{
    /// <summary>A communicator of the same ranks that the program does not know, for a window or a file, and the number of another for calls to its ranks. Collective.</summary>
    internal static (Comm Comm, uint CallsNumber) MakePrivate(Comm comm)
    {
        comm.RequireIntra();
        uint number = Agreement.Number(comm);
        return (new Comm(new Group(comm.Group.Ranks), number), number + 1);
    }

    internal static Op Max => field ??= new() { Kind = OpKind.Max };

    internal static Comm Inherit(Comm child, Comm parent)
    {
        child.Errhandler = parent.Errhandler;
        Handles.Add(child);
        return child;
    }

    public static void MPI_Comm_rank(Comm comm, int* rank) => *rank = comm.Rank;

    public static void MPI_Comm_size(Comm comm, int* size) => *size = comm.Size;

    public static void MPI_Comm_group(Comm comm, HandlePointer group) => group.Value = Handles.Add(new Group(comm.Group.Ranks));

    public static void MPI_Comm_compare(Comm a, Comm b, int* result)
        => *result = a == b ? MpiAbi.Ident : a.IsInter != b.IsInter ? MpiAbi.Unequal : Math.Max(Compare(a.Group, b.Group), a.Remote is null ? MpiAbi.Congruent : Compare(a.Remote, b.Remote!));

    /// <summary>As a part of two different communicators.</summary>
    private static int Compare(Group a, Group b) => Math.Max(MpiAbi.Congruent, Group.Compare(a, b));

    public static void MPI_Comm_test_inter(Comm comm, int* flag) => *flag = comm.IsInter ? 1 : 0;

    public static void MPI_Comm_dup(Comm comm, HandlePointer copy) => copy.Value = Duplicate(comm).Handle;

    public static void MPI_Comm_dup_with_info(Comm comm, nint info, HandlePointer copy)
    {
        InfoObject.Check(info);
        copy.Value = Duplicate(comm).Handle;
    }

    /// <summary>The attributes are copied at once; the communicator may be used when the request is done.</summary>
    public static void MPI_Comm_idup(Comm comm, HandlePointer copy, HandlePointer request)
    {
        Comm made = Copy(comm, 0);
        request.Value = Schedule.Begin(comm, s => Number(s, comm, made)).Handle;
        copy.Value = made.Handle;
    }

    public static void MPI_Comm_idup_with_info(Comm comm, nint info, HandlePointer copy, HandlePointer request)
    {
        InfoObject.Check(info);
        MPI_Comm_idup(comm, copy, request);
    }

    private static IEnumerator<bool> Number(Schedule s, Comm comm, Comm made)
    {
        nint place = s.Allocate(sizeof(long), PredefinedTypes.Byte);
        for (IEnumerator<bool> steps = Agreement.Number(s, comm.IsInter, place); steps.MoveNext();) yield return true;
        made.Open(At(place));
    }

    private static uint At(nint place) => (uint)*(long*)place;

    private static Comm Duplicate(Comm comm) => Copy(comm, Agreement.Number(comm));

    private static Comm Copy(Comm comm, uint number)
    {
        Comm copy = Inherit(new Comm(comm.Group, number, comm.Remote) { Topology = comm.Topology }, comm);
        try { comm.Attributes.CopyTo(comm, copy.Attributes); }
        catch
        {
            Handles.Remove(copy);
            throw;
        }
        return copy;
    }

    /// <summary>With an intercommunicator each group's ranks name those of their own that are in the new one's.</summary>
    public static void MPI_Comm_create(Comm comm, Group group, HandlePointer result)
    {
        if (group.Ranks.Except(comm.Group.Ranks).Any()) throw new MpiException(ErrorClass.Group, "a rank of the group is not in the communicator");
        Group? remote = null;
        if (comm.IsInter)
        {
            int[][] places = Agreement.Collect(comm, group.OwnRank).Remote;
            remote = new Group([.. Enumerable.Range(0, places.Length).Where(i => places[i][0] >= 0).OrderBy(i => places[i][0]).Select(i => comm.Remote!.Ranks[i])]);
        }
        uint number = Agreement.Number(comm);
        bool isIn = group.OwnRank != MpiAbi.Undefined && remote is not { Size: 0 };
        result.Value = isIn ? Inherit(new Comm(new Group(group.Ranks), number, remote), comm).Handle : Handles.Null<Comm>();
    }

    /// <summary>Only the members of the group call it.</summary>
    public static void MPI_Comm_create_group(Comm comm, Group group, int tag, HandlePointer result)
    {
        comm.RequireIntra();
        if (tag < 0) throw new MpiException(ErrorClass.Tag, $"tag {tag}");
        if (group.Ranks.Except(comm.Group.Ranks).Any()) throw new MpiException(ErrorClass.Group, "a rank of the group is not in the communicator");
        result.Value = group.OwnRank == MpiAbi.Undefined ? Handles.Null<Comm>() : Inherit(new Comm(new Group(group.Ranks), Agreement.Number(group, tag)), comm).Handle;
    }

    public static void MPI_Comm_split(Comm comm, int color, int key, HandlePointer result)
    {
        if (color < 0 && color != MpiAbi.Undefined) throw new MpiException(ErrorClass.Arg, $"color {color}");
        result.Value = Split(comm, color, key) is { } made ? made.Handle : Handles.Null<Comm>();
    }

    /// <returns>null: the color is MPI_UNDEFINED, or the other group has nobody of it</returns>
    internal static Comm? Split(Comm comm, int color, int key)
    {
        (int[][] own, int[][] other) = Agreement.Collect(comm, color, key);
        uint number = Agreement.Number(comm);
        if (color == MpiAbi.Undefined) return null;
        Group members = OfColor(own, comm.Group, color);
        Group? remote = comm.IsInter ? OfColor(other, comm.Remote!, color) : null;
        return remote is { Size: 0 } ? null : Inherit(new Comm(members, number, remote), comm);
    }

    private static Group OfColor(int[][] choices, Group group, int color)
        => new([.. Enumerable.Range(0, choices.Length).Where(r => choices[r][0] == color).OrderBy(r => choices[r][1]).ThenBy(r => r).Select(r => group.Ranks[r])]);

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
}
