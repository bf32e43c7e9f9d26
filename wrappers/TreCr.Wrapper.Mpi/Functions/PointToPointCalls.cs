using System.Runtime.InteropServices;
using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 chapter 3: messages.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class PointToPointCalls
{
    private static nint s_attached;
    private static long s_attachedBytes;

    /// <summary>A checked send that has not begun.</summary>
    private static Request NewSend(nint buffer, long count, Datatype type, Rank dest, int tag, Comm comm, SendMode mode)
    {
        Check(count, type, tag, anyTag: false);
        Request r = Request.Take(RequestKind.Send);
        (r.Mailbox, r.Type, r.Buffer, r.Count, r.Peer, r.OwnRank, r.Tag, r.Mode, r.Comm) = (comm.Mailbox, type, buffer, count, dest, comm.Rank, tag, mode, comm);
        try { r.PeerWorld = dest == MpiAbi.ProcNull ? -1 : comm.WorldRank(dest); }
        catch
        {
            r.Free();
            throw;
        }
        return r;
    }

    private static Request NewReceive(nint buffer, long count, Datatype type, Rank source, int tag, Comm comm)
    {
        Check(count, type, tag, anyTag: true);
        if (source != MpiAbi.AnySource && source != MpiAbi.ProcNull) comm.WorldRank(source);
        Request r = Request.Take(RequestKind.Receive);
        (r.Mailbox, r.Type, r.Buffer, r.Count, r.Peer, r.OwnRank, r.Tag, r.Comm) = (comm.Mailbox, type, buffer, count, source, comm.Rank, tag, comm);
        return r;
    }

    private static void Check(long count, Datatype type, int tag, bool anyTag)
    {
        if (count < 0) throw new MpiException(ErrorClass.Count, $"count {count}");
        if (!type.IsCommitted) throw new MpiException(ErrorClass.Type, "the datatype is not committed");
        if (tag < 0 && !(anyTag && tag == MpiAbi.AnyTag)) throw new MpiException(ErrorClass.Tag, $"tag {tag}");
    }

    /// <summary>Waits, gives the status, and throws what went wrong.</summary>
    private static void Complete(Request request, StatusPointer status)
    {
        Waiting.Until(request);
        MessageStatus s = request.Status;
        Comm? comm = request.Comm;
        request.Free();
        status.Set(s);
        if (s.Error != ErrorClass.Success) throw new MpiException(s.Error, s.Error == ErrorClass.Truncate ? $"the message from rank {s.Source}, tag {s.Tag}, is longer than the buffer" : "the buffer's memory cannot be reached", comm);
    }

    private static void Begin(Request request)
    {
        if (request.Again is { } again) again();
        else if (request.Kind == RequestKind.Receive) Messages.Receive(request);
        else if (request.Mode == SendMode.Buffered) BeginBuffered(request);
        else Messages.Send(request);
    }

    /// <summary>The bytes are copied: the program may change its own at once.</summary>
    private static void BeginBuffered(Request send)
    {
        long bytes = send.Count * send.Type.SizeBytes;
        if (bytes + MpiAbi.BsendOverhead > s_attachedBytes) throw new MpiException(ErrorClass.Buffer, $"{bytes} bytes do not fit into the attached buffer of {s_attachedBytes}");
        Request copy = Request.Take(RequestKind.Send);
        byte* packed = (byte*)NativeMemory.Alloc((nuint)Math.Max(1, bytes));
        new PackCursor(send.Type, send.Buffer).Pack(packed, bytes);
        (copy.Mailbox, copy.Type, copy.Buffer, copy.Count, copy.Peer, copy.PeerWorld, copy.OwnRank, copy.Tag, copy.OwnedCopy, copy.IsDetached) =
            (send.Mailbox, PredefinedTypes.Byte, (nint)packed, bytes, send.Peer, send.PeerWorld, send.OwnRank, send.Tag, (nint)packed, true);
        if (send.Peer == MpiAbi.ProcNull)
        {
            NativeMemory.Free(packed);
            copy.OwnedCopy = 0;
            copy.Free();
        }
        else Messages.Send(copy);
        send.IsDone = true;
    }

    private static void Send(nint buffer, long count, Datatype type, Rank dest, int tag, Comm comm, SendMode mode)
    {
        Request r = NewSend(buffer, count, type, dest, tag, comm, mode);
        Begin(r);
        Complete(r, default);
    }

    private static void Begin(Request request, HandlePointer result)
    {
        Begin(request);
        result.Value = request.Handle;
    }

    public static void MPI_Send(nint buffer, Count count, Datatype type, Rank dest, int tag, Comm comm) => Send(buffer, count, type, dest, tag, comm, SendMode.Standard);
    public static void MPI_Ssend(nint buffer, Count count, Datatype type, Rank dest, int tag, Comm comm) => Send(buffer, count, type, dest, tag, comm, SendMode.Synchronous);
    public static void MPI_Bsend(nint buffer, Count count, Datatype type, Rank dest, int tag, Comm comm) => Send(buffer, count, type, dest, tag, comm, SendMode.Buffered);
    public static void MPI_Rsend(nint buffer, Count count, Datatype type, Rank dest, int tag, Comm comm) => Send(buffer, count, type, dest, tag, comm, SendMode.Ready);

    public static void MPI_Isend(nint buffer, Count count, Datatype type, Rank dest, int tag, Comm comm, HandlePointer request) => Begin(NewSend(buffer, count, type, dest, tag, comm, SendMode.Standard), request);
    public static void MPI_Issend(nint buffer, Count count, Datatype type, Rank dest, int tag, Comm comm, HandlePointer request) => Begin(NewSend(buffer, count, type, dest, tag, comm, SendMode.Synchronous), request);
    public static void MPI_Ibsend(nint buffer, Count count, Datatype type, Rank dest, int tag, Comm comm, HandlePointer request) => Begin(NewSend(buffer, count, type, dest, tag, comm, SendMode.Buffered), request);
    public static void MPI_Irsend(nint buffer, Count count, Datatype type, Rank dest, int tag, Comm comm, HandlePointer request) => Begin(NewSend(buffer, count, type, dest, tag, comm, SendMode.Ready), request);

    public static void MPI_Recv(nint buffer, Count count, Datatype type, Rank source, int tag, Comm comm, StatusPointer status)
    {
        Request r = NewReceive(buffer, count, type, source, tag, comm);
        Begin(r);
        Complete(r, status);
    }

    public static void MPI_Irecv(nint buffer, Count count, Datatype type, Rank source, int tag, Comm comm, HandlePointer request) => Begin(NewReceive(buffer, count, type, source, tag, comm), request);

    // ---- both at once ----

    public static void MPI_Sendrecv(nint sendBuffer, Count sendCount, Datatype sendType, Rank dest, int sendTag, nint buffer, Count count, Datatype type, Rank source, int tag, Comm comm, StatusPointer status)
    {
        (Request receive, Request send) = NewPair(sendBuffer, sendCount, sendType, dest, sendTag, buffer, count, type, source, tag, comm);
        Begin(receive);
        Begin(send);
        Complete(send, default);
        Complete(receive, status);
    }

    public static void MPI_Isendrecv(nint sendBuffer, Count sendCount, Datatype sendType, Rank dest, int sendTag, nint buffer, Count count, Datatype type, Rank source, int tag, Comm comm, HandlePointer request)
    {
        (Request receive, Request send) = NewPair(sendBuffer, sendCount, sendType, dest, sendTag, buffer, count, type, source, tag, comm);
        request.Value = Schedule.Begin(comm, s => Both(s, receive, send), Request.Take(RequestKind.Schedule), tag: 0).Handle;
    }

    public static void MPI_Sendrecv_replace(nint buffer, Count count, Datatype type, Rank dest, int sendTag, Rank source, int tag, Comm comm, StatusPointer status)
        => Complete(BeginReplacing(buffer, count, type, dest, sendTag, source, tag, comm), status);

    public static void MPI_Isendrecv_replace(nint buffer, Count count, Datatype type, Rank dest, int sendTag, Rank source, int tag, Comm comm, HandlePointer request)
        => request.Value = BeginReplacing(buffer, count, type, dest, sendTag, source, tag, comm).Handle;

    private static (Request Receive, Request Send) NewPair(nint sendBuffer, long sendCount, Datatype sendType, Rank dest, int sendTag, nint buffer, long count, Datatype type, Rank source, int tag, Comm comm)
    {
        Request receive = NewReceive(buffer, count, type, source, tag, comm);
        try { return (receive, NewSend(sendBuffer, sendCount, sendType, dest, sendTag, comm, SendMode.Standard)); }
        catch
        {
            receive.Free();
            throw;
        }
    }

    /// <summary>What is sent is copied first.</summary>
    private static Request BeginReplacing(nint buffer, long count, Datatype type, Rank dest, int sendTag, Rank source, int tag, Comm comm)
    {
        (Request receive, Request send) = NewPair(buffer, count, type, dest, sendTag, buffer, count, type, source, tag, comm);
        return Schedule.Begin(comm, s =>
        {
            (send.Count, send.Type) = (count * type.SizeBytes, PredefinedTypes.Byte);
            send.Buffer = s.Allocate(send.Count, send.Type);
            new PackCursor(type, buffer).Pack((byte*)send.Buffer, send.Count);
            return Both(s, receive, send);
        }, Request.Take(RequestKind.Schedule), tag: 0);
    }

    private static IEnumerator<bool> Both(Schedule s, Request receive, Request send)
    {
        s.Begin(receive, isAnswer: true);
        s.Begin(send);
        yield return true;
    }

    public static void MPI_Buffer_attach(nint buffer, Count bytes)
    {
        if (s_attached != 0) throw new MpiException(ErrorClass.Buffer, "a buffer is attached already");
        if (bytes < 0) throw new MpiException(ErrorClass.Arg, "a negative size");
        (s_attached, s_attachedBytes) = (buffer, bytes);
    }

    public static void MPI_Buffer_detach(nint* buffer, CountPointer bytes)
    {
        Waiting.Until(static _ => !Messages.HasUnsent, 0); // the copies are our own, but all of them are on their way then
        (*buffer, bytes.Value) = (s_attached, s_attachedBytes);
        (s_attached, s_attachedBytes) = (0, 0);
    }

    // ---- persistent ----

    private static void Init(Request request, HandlePointer result)
    {
        request.IsPersistent = true;
        request.IsDone = true;
        result.Value = request.Handle;
    }

    public static void MPI_Send_init(nint buffer, Count count, Datatype type, Rank dest, int tag, Comm comm, HandlePointer request) => Init(NewSend(buffer, count, type, dest, tag, comm, SendMode.Standard), request);
    public static void MPI_Ssend_init(nint buffer, Count count, Datatype type, Rank dest, int tag, Comm comm, HandlePointer request) => Init(NewSend(buffer, count, type, dest, tag, comm, SendMode.Synchronous), request);
    public static void MPI_Bsend_init(nint buffer, Count count, Datatype type, Rank dest, int tag, Comm comm, HandlePointer request) => Init(NewSend(buffer, count, type, dest, tag, comm, SendMode.Buffered), request);
    public static void MPI_Rsend_init(nint buffer, Count count, Datatype type, Rank dest, int tag, Comm comm, HandlePointer request) => Init(NewSend(buffer, count, type, dest, tag, comm, SendMode.Ready), request);
    public static void MPI_Recv_init(nint buffer, Count count, Datatype type, Rank source, int tag, Comm comm, HandlePointer request) => Init(NewReceive(buffer, count, type, source, tag, comm), request);

    public static void MPI_Start(HandlePointer request)
    {
        Request r = Request.Of(request.Value) ?? throw new MpiException(ErrorClass.Request, "MPI_REQUEST_NULL");
        if (!r.IsPersistent || r.IsActive) throw new MpiException(ErrorClass.Request, "the request is active, or not persistent");
        r.IsActive = true;
        r.Status = MessageStatus.Empty;
        Begin(r);
    }

    public static void MPI_Startall(int count, HandlePointer requests)
    {
        for (int i = 0; i < count; i++) MPI_Start(new HandlePointer(requests.Address + i * MpiAbi.HandleBytes));
    }

    // ---- probing ----

    private static Arrival? Look(Rank source, int tag, Comm comm, bool take)
    {
        if (source != MpiAbi.AnySource) comm.WorldRank(source);
        return comm.Mailbox.Find(source, tag, take);
    }

    public static void MPI_Iprobe(Rank source, int tag, Comm comm, int* flag, StatusPointer status)
    {
        *flag = 1;
        if (source == MpiAbi.ProcNull)
        {
            status.Set(MessageStatus.OfNobody);
            return;
        }
        Messages.Progress();
        Arrival? found = Look(source, tag, comm, take: false);
        if (found is null)
        {
            *flag = 0;
            Idle.Turn();
        }
        else status.Set(new MessageStatus { Source = found.Source, Tag = found.Tag, LengthBytes = found.LengthBytes });
    }

    public static void MPI_Probe(Rank source, int tag, Comm comm, StatusPointer status)
    {
        if (source == MpiAbi.ProcNull)
        {
            status.Set(MessageStatus.OfNobody);
            return;
        }
        Waiting.Until(static w => Look(w.source, w.tag, w.comm, take: false) is not null, (source, tag, comm));
        Arrival found = Look(source, tag, comm, take: false)!;
        status.Set(new MessageStatus { Source = found.Source, Tag = found.Tag, LengthBytes = found.LengthBytes });
    }

    public static void MPI_Improbe(Rank source, int tag, Comm comm, int* flag, HandlePointer message, StatusPointer status)
    {
        Messages.Progress();
        *flag = source == MpiAbi.ProcNull || Look(source, tag, comm, take: false) is not null ? 1 : 0;
        if (*flag != 0) Take(source, tag, comm, message, status);
        else Idle.Turn();
    }

    public static void MPI_Mprobe(Rank source, int tag, Comm comm, HandlePointer message, StatusPointer status)
    {
        if (source != MpiAbi.ProcNull) Waiting.Until(static w => Look(w.source, w.tag, w.comm, take: false) is not null, (source, tag, comm));
        Take(source, tag, comm, message, status);
    }

    private static void Take(Rank source, int tag, Comm comm, HandlePointer message, StatusPointer status)
    {
        if (source == MpiAbi.ProcNull)
        {
            message.Value = PendingMessage.NoProcess.Handle;
            status.Set(MessageStatus.OfNobody);
            return;
        }
        Arrival found = Look(source, tag, comm, take: true)!;
        message.Value = Handles.Add(new PendingMessage(found, comm));
        status.Set(new MessageStatus { Source = found.Source, Tag = found.Tag, LengthBytes = found.LengthBytes });
    }

    private static Request ReceiveTaken(nint buffer, long count, Datatype type, HandlePointer message)
    {
        PendingMessage taken = Handles.Get<PendingMessage>(message.Value, ErrorClass.Request);
        if (count < 0) throw new MpiException(ErrorClass.Count, $"count {count}");
        Request r = Request.Take(RequestKind.Receive);
        (r.Type, r.Buffer, r.Count, r.LengthBytes, r.Comm, r.Cursor) = (type, buffer, count, count * type.SizeBytes, taken.Comm, new PackCursor(type, buffer));
        if (taken.Arrival is null) (r.Status, r.IsDone) = (MessageStatus.OfNobody, true);
        else
        {
            Handles.Remove(taken);
            Messages.Accept(r, taken.Arrival);
        }
        message.Value = Handles.Null<PendingMessage>();
        return r;
    }

    public static void MPI_Mrecv(nint buffer, Count count, Datatype type, HandlePointer message, StatusPointer status) => Complete(ReceiveTaken(buffer, count, type, message), status);

    public static void MPI_Imrecv(nint buffer, Count count, Datatype type, HandlePointer message, HandlePointer request) => request.Value = ReceiveTaken(buffer, count, type, message).Handle;

    // ---- what a status says ----

    public static void MPI_Get_count(StatusPointer status, Datatype type, CountPointer count)
        => count.Value = type.SizeBytes == 0 ? 0 : status.LengthBytes % type.SizeBytes != 0 ? MpiAbi.Undefined : status.LengthBytes / type.SizeBytes;

    public static void MPI_Get_elements(StatusPointer status, Datatype type, CountPointer count) => count.Value = Elements(status, type);

    public static void MPI_Get_elements_x(StatusPointer status, Datatype type, long* count) => *count = Elements(status, type);

    private static long Elements(StatusPointer status, Datatype type)
    {
        long bytes = status.LengthBytes;
        if (type.SizeBytes == 0) return 0;
        if (type.BasicSizes.Length == 1) return bytes % type.BasicSizes[0] == 0 ? bytes / type.BasicSizes[0] : MpiAbi.Undefined;
        long whole = bytes / type.SizeBytes, elements = whole * type.BasicSizes.Length;
        bytes -= whole * type.SizeBytes;
        for (int i = 0; bytes > 0; i++, elements++)
            if ((bytes -= type.BasicSizes[i]) < 0) return MpiAbi.Undefined;
        return elements;
    }

    public static void MPI_Status_set_elements(StatusPointer status, Datatype type, int count) => MPI_Status_set_elements_x(status, type, count);

    public static void MPI_Status_set_elements_x(StatusPointer status, Datatype type, long count)
    {
        if (count < 0) throw new MpiException(ErrorClass.Count, $"count {count}");
        long whole = count / type.BasicSizes.Length, bytes = type.BasicSizes.Length == 1 ? count * type.BasicSizes[0] : whole * type.SizeBytes;
        for (int i = 0; i < count % type.BasicSizes.Length; i++) bytes += type.BasicSizes[i];
        status.LengthBytes = bytes;
    }

    public static void MPI_Status_set_cancelled(StatusPointer status, int flag) => status.IsCancelled = flag != 0;

    public static void MPI_Test_cancelled(StatusPointer status, int* flag) => *flag = status.IsCancelled ? 1 : 0;
}

/// <summary>A message that MPI_Mprobe has taken out of matching.</summary>
internal sealed class PendingMessage(Arrival? arrival, Comm? comm) : MpiObject
{
    public Arrival? Arrival => arrival;
    public Comm? Comm => comm;
    public static PendingMessage NoProcess { get; } = new(null, null);

    public static void Define()
    {
        Handles.PredefineNull<PendingMessage>("ompi_message_null", 0x2c000000);
        Handles.Predefine(NoProcess, "ompi_message_no_proc", 0x6c000000);
    }
}

/// <summary>A program that asks again and again whether something has come: others get the processor after a while.</summary>
internal static class Idle
{
    private const int Patience = 50;
    private static int s_turns;

    public static void Turn()
    {
        if (++s_turns < Patience) return;
        s_turns = 0;
        Linux.Sys.Yield();
    }
}
