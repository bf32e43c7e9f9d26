namespace TreCr.Wrapper.Mpi;

/// <summary>An operation under way. Pooled: handle and number stay the object's for ever, so that another rank's packet can name it.</summary>
internal sealed class Request : MpiObject
{
    /// <summary>In use: between its beginning and the moment at which the program has its result.</summary>
    public bool IsLive;

    public RequestKind Kind;
    public bool IsDone;
    public MessageStatus Status;

    // Of a message.
    public Mailbox Mailbox = null!;
    public Datatype Type = null!;
    public nint Buffer;
    public long Count;
    public long LengthBytes;   // of a send; of a receive: what fits
    public int Peer;           // rank in the communicator: destination, or source or MPI_ANY_SOURCE
    public int PeerWorld;      // the same in the world
    public int OwnRank;        // in the communicator
    public int Tag;
    public SendMode Mode;
    public PackCursor Cursor;
    public long MovedBytes;    // of a rendezvous
    public long MessageBytes;  // of a receive: of the whole message, which may be longer than what fits
    public uint Remote;        // number of the other side's request
    public Comm? Comm;         // whose error handler hears of it
    public Request? Next;      // in a queue of its mailbox or peer

    // Of a persistent one.
    public bool IsPersistent, IsActive;

    /// <summary>Begins a persistent collective or partitioned operation again; null of a message.</summary>
    public Action? Again;

    /// <summary>Of a collective call, or one that waits for others.</summary>
    public Schedule? Schedule;

    /// <summary>Functions of a generalized one.</summary>
    public GeneralizedRequest? Generalized;

    /// <summary>Of a partitioned one.</summary>
    public Partitions? Partitions;

    /// <summary>Frees its own copy of the bytes when it ends (buffered sends).</summary>
    public nint OwnedCopy;

    /// <summary>Called once when it is done.</summary>
    public Action<Request>? Completed;

    /// <summary>MPI_Request_free or a blocking wait has let it go: it is returned to the pool when it is done.</summary>
    public bool IsDetached;

    private static readonly Stack<Request> s_pool = new();

    public static Request Take(RequestKind kind)
    {
        if (!s_pool.TryPop(out Request? request))
        {
            request = new Request();
            Handles.Add(request);
        }
        request.IsLive = true;
        request.Kind = kind;
        request.Status = MessageStatus.Empty;
        return request;
    }

    /// <summary>Gives it back.</summary>
    public void Free()
    {
        nint handle = Handle;
        (IsLive, IsDone, IsPersistent, IsActive, IsDetached, Remote, MovedBytes, MessageBytes, Mode) = (false, false, false, false, false, 0, 0, 0, default);
        (Schedule, Next, Comm, Completed, Again, Partitions, Generalized) = (null, null, null, null, null, null, null);
        (Mailbox, Type) = (null!, null!);
        Handle = handle;
        s_pool.Push(this);
    }

    /// <summary>The request of a handle; null for MPI_REQUEST_NULL.</summary>
    public static Request? Of(nint raw)
    {
        if (Handles.IsNull<Request>(raw)) return null;
        Request request = Handles.Get<Request>(raw, ErrorClass.Request);
        return request.IsLive ? request : throw new MpiException(ErrorClass.Request, "the request is no more");
    }

    public static void Define() => Handles.PredefineNull<Request>("ompi_request_null", 0x2c000000);
}

internal enum RequestKind { Send, Receive, Schedule, Generalized }

internal enum SendMode { Standard, Synchronous, Buffered, Ready }
