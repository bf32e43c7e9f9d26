using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-4.0 §11.3, §7.4.2 and §7.6.2: sessions, and communicators that are made of groups alone.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class SessionCalls
{
    /// <summary>MPI_Init need not have been called.</summary>
    public static void MPI_Session_init(nint info, Errhandler handler, HandlePointer session)
    {
        string level = Handles.IsNull<InfoObject>(info) ? "" : InfoObject.From(info).Pairs.FirstOrDefault(p => p.Key == Session.ThreadLevelKey).Value ?? "";
        Session made = new() { Errhandler = handler, ThreadLevel = level.Length > 0 ? level : Session.Multiple };
        Lifetime.BeginSession(made.ThreadLevel == Session.Multiple);
        session.Value = Handles.Add(made);
    }

    public static void MPI_Session_finalize(HandlePointer session)
    {
        Handles.Remove(Session.From(session.Value));
        session.Value = Handles.Null<Session>();
        Lifetime.EndSession();
    }

    public static void MPI_Session_get_info(Session session, HandlePointer info) => info.Value = Handles.Add(With(Session.ThreadLevelKey, session.ThreadLevel));

    private static InfoObject With(string key, string value)
    {
        InfoObject info = new();
        info.Pairs.Add((key, value));
        return info;
    }

    public static void MPI_Session_get_num_psets(Session session, nint info, int* count) => *count = Session.ProcessSets.Length;

    /// <param name="length">in: of the buffer, 0 where only the length is wanted; out: of the name with its NUL</param>
    public static void MPI_Session_get_nth_pset(Session session, nint info, int n, int* length, byte* name)
    {
        if ((uint)n >= (uint)Session.ProcessSets.Length) throw new MpiException(ErrorClass.Arg, $"process set {n} of {Session.ProcessSets.Length}");
        if (*length > 0) Text.Write(name, Session.ProcessSets[n], *length);
        *length = Session.ProcessSets[n].Length + 1;
    }

    public static void MPI_Session_get_pset_info(Session session, byte* name, HandlePointer info) => info.Value = Handles.Add(With("mpi_size", $"{Session.Members(Text.Read(name)).Size}"));

    public static void MPI_Group_from_session_pset(Session session, byte* name, HandlePointer group) => group.Value = Handles.Add(Session.Members(Text.Read(name)));

    /// <summary>Only the members of the group call it, all with the same text.</summary>
    public static void MPI_Comm_create_from_group(Group group, byte* text, nint info, Errhandler handler, HandlePointer result)
        => result.Value = group.OwnRank == MpiAbi.Undefined ? Handles.Null<Comm>() : Add(new Comm(new Group(group.Ranks), Agreement.Number(group, TagOf(text))), handler);

    /// <param name="remoteGroup">significant at the leader, as what follows</param>
    public static void MPI_Intercomm_create_from_groups(Group group, int leader, nint remoteGroup, int remoteLeader, byte* text, nint info, Errhandler handler, HandlePointer result)
    {
        if ((uint)leader >= (uint)group.Size || group.OwnRank == MpiAbi.Undefined) throw new MpiException(ErrorClass.Rank, $"leader {leader} of a group of {group.Size}");
        int tag = TagOf(text);
        Comm own = new(new Group(group.Ranks), Agreement.Number(group, tag));
        int[] head = new int[2], ranks = [];
        if (own.Rank == leader)
        {
            Group remote = Group.From(remoteGroup);
            if ((uint)remoteLeader >= (uint)remote.Size) throw new MpiException(ErrorClass.Rank, $"leader {remoteLeader} of a remote group of {remote.Size}");
            int[] leaders = [Rankings.World, remote.Ranks[remoteLeader]];
            Array.Sort(leaders);
            head = [(int)Agreement.Number(new Group(leaders), tag), remote.Size];
            ranks = remote.Ranks;
        }
        Agreement.Broadcast(own, head, leader);
        ranks = own.Rank == leader ? [.. ranks] : new int[head[1]];
        Agreement.Broadcast(own, ranks, leader);
        result.Value = Add(new Comm(own.Group, (uint)head[0], new Group(ranks)), handler);
    }

    private static nint Add(Comm comm, Errhandler handler)
    {
        comm.Errhandler = handler;
        return Handles.Add(comm);
    }

    /// <summary>Below 0: the program's own tags are not.</summary>
    private static int TagOf(byte* text)
    {
        uint hash = 2166136261;
        foreach (char c in Text.Read(text)) hash = (hash ^ c) * 16777619;
        return (int)(hash | 1u << 31);
    }

    public static void MPI_Session_create_errhandler(nint function, HandlePointer handler) => ErrhandlerCalls.MPI_Comm_create_errhandler(function, handler);
    public static void MPI_Session_set_errhandler(Session session, Errhandler handler) => session.Errhandler = handler;
    public static void MPI_Session_get_errhandler(Session session, HandlePointer handler) => handler.Value = session.Errhandler.Handle;
    public static void MPI_Session_call_errhandler(Session session, int code) => Library.Raise(MpiAbi.ErrorOf(code), session, "called by the program");
}
