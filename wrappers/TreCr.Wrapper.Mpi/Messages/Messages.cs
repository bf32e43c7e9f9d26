using System.Runtime.InteropServices;
using TreCr.Linux;
using TreCr.Ring;

namespace TreCr.Wrapper.Mpi;

/// <summary>
/// Messages between ranks: short ones with their envelope, long ones when the receiver has found the receive for them. Matching, queues and partly moved
/// messages are ordinary memory of the program, so that it can be frozen at any instruction; packets under way are the delegator's to drain.
/// </summary>
/// <remarks>The caller holds the library's lock. Source: MPI-3.1 §3.5 (order and progress), facts/mpi.md §8 decision 4.</remarks>
internal static unsafe class Messages
{
    /// <summary>Longest message that goes with its envelope, bytes.</summary>
    public const int EagerBytes = 16 * 1024;

    private static readonly Queue<(int Peer, uint SendId, uint ReceiveId)> s_clears = new();
    private static readonly List<Request> s_streams = [];
    private static readonly List<Schedule> s_schedules = [];
    private static readonly Dictionary<int, Queue<Request>> s_waiting = []; // sends without room, by world rank, in order

    /// <summary>Something waits for room or credit.</summary>
    public static bool HasUnsent => s_clears.Count > 0 || s_streams.Count > 0 || s_waiting.Count > 0 || Transport.Owes;

    /// <summary>Begins to send. Fields of the message are set.</summary>
    public static void Send(Request send)
    {
        send.IsDone = false;
        send.LengthBytes = send.Count * send.Type.SizeBytes;
        if (send.Peer == MpiAbi.ProcNull)
        {
            (send.Status, send.IsDone) = (MessageStatus.OfNobody, true);
            return;
        }
        send.Cursor = new PackCursor(send.Type, send.Buffer);
        send.MovedBytes = 0;
        if (send.PeerWorld == Rankings.World) SendToSelf(send);
        else if (s_waiting.TryGetValue(send.PeerWorld, out Queue<Request>? before) && !(Seeded.Is(ProtocolBug.SendOvertakes) && TrySend(send))) before.Enqueue(send);
        else if (before is null && !TrySend(send)) (s_waiting[send.PeerWorld] = new Queue<Request>()).Enqueue(send);
    }

    /// <summary>Puts the envelope, and the bytes of a short message, into the ring.</summary>
    private static bool TrySend(Request send)
    {
        bool eager = send.LengthBytes <= EagerBytes && send.Mode != SendMode.Synchronous;
        MpiPacket* packet = Transport.Reserve(send.PeerWorld, eager ? PacketKind.Eager : PacketKind.Request, eager ? send.LengthBytes : 0);
        if (packet == null) return false;
        (packet->Context, packet->Source, packet->Tag, packet->Length) = (send.Mailbox.Context, send.OwnRank, send.Tag, (ulong)send.LengthBytes);
        packet->SendId = Handles.Number(send);
        if (eager) Pack(send, Transport.PayloadOf(packet), send.LengthBytes);
        Transport.Publish(packet);
        if (eager) Finish(send);
        return true;
    }

    private static void SendToSelf(Request send)
    {
        Mailbox mailbox = Mailbox.Of(send.Mailbox.Context);
        byte* bytes = (byte*)NativeMemory.Alloc((nuint)Math.Max(1, send.LengthBytes));
        Pack(send, bytes, send.LengthBytes);
        Arrival arrival = new()
        {
            Source = send.OwnRank, SourceWorld = Rankings.World, Tag = send.Tag, LengthBytes = send.LengthBytes, Bytes = (nint)bytes, SendId = send.Mode == SendMode.Synchronous ? Handles.Number(send) : 0,
        };
        if (arrival.SendId == 0) Finish(send);
        if (mailbox.TakePosted(arrival.Source, arrival.Tag) is { } receive) Accept(receive, arrival);
        else mailbox.Arrive(arrival);
    }

    /// <summary>Begins to receive. Fields of the message are set.</summary>
    public static void Receive(Request receive)
    {
        receive.IsDone = false;
        receive.LengthBytes = receive.Count * receive.Type.SizeBytes;
        if (receive.Peer == MpiAbi.ProcNull)
        {
            (receive.Status, receive.IsDone) = (MessageStatus.OfNobody, true);
            return;
        }
        receive.Cursor = new PackCursor(receive.Type, receive.Buffer);
        receive.MovedBytes = 0;
        if (receive.Mailbox.Find(receive.Peer, receive.Tag, take: true) is { } arrival) Accept(receive, arrival);
        else receive.Mailbox.Post(receive);
    }

    /// <summary>A message and its receive have met.</summary>
    public static void Accept(Request receive, Arrival arrival)
    {
        receive.Status = new MessageStatus { Source = arrival.Source, Tag = arrival.Tag };
        receive.MessageBytes = arrival.LengthBytes;
        if (arrival.Bytes != 0)
        {
            Unpack(receive, (byte*)arrival.Bytes, arrival.LengthBytes);
            NativeMemory.Free((void*)arrival.Bytes);
            if (arrival.SendId != 0) Finish((Request)Handles.At(arrival.SendId)!); // synchronous, to ourselves
            FinishReceive(receive);
            return;
        }
        s_clears.Enqueue((arrival.SourceWorld, arrival.SendId, Handles.Number(receive)));
        FlushClears();
        if (arrival.LengthBytes == 0) FinishReceive(receive);
    }

    /// <summary>Where a buffer turns out to be none (a device's memory that was freed) its request fails; the receiver gets as many bytes as it was promised.</summary>
    private static void Pack(Request send, byte* into, long length)
    {
        try { send.Cursor.Pack(into, length); }
        catch (MpiException e) { send.Status.Error = e.Error; }
    }

    private static void Unpack(Request receive, byte* bytes, long length)
    {
        long fits = Math.Min(length, receive.LengthBytes - Math.Min(receive.MovedBytes, receive.LengthBytes));
        try { receive.Cursor.Unpack(bytes, fits); }
        catch (MpiException e) { receive.Status.Error = e.Error; }
        receive.MovedBytes += length;
    }

    private static void FinishReceive(Request receive)
    {
        receive.Status.LengthBytes = Math.Min(receive.MessageBytes, receive.LengthBytes);
        if (receive.MessageBytes > receive.LengthBytes) receive.Status.Error = ErrorClass.Truncate;
        Finish(receive);
    }

    public static void Finish(Request request)
    {
        request.IsDone = true;
        if (request.OwnedCopy != 0)
        {
            NativeMemory.Free((void*)request.OwnedCopy);
            request.OwnedCopy = 0;
        }
        request.Completed?.Invoke(request);
        if (request.IsDetached) request.Free();
    }

    /// <summary>A collective call goes on whenever what it waits for is done.</summary>
    public static void Begin(Schedule schedule)
    {
        if (!schedule.Advance()) s_schedules.Add(schedule);
    }

    /// <summary>Handles what has arrived, sends what has room now, and brings collective calls on.</summary>
    /// <returns>whether anything moved</returns>
    public static bool Progress()
    {
        bool moved = ProgressPackets();
        for (int i = 0; i < s_schedules.Count;)
        {
            if (!s_schedules[i].Advance()) i++;
            else
            {
                s_schedules.RemoveAt(i);
                moved = true;
            }
        }
        return moved;
    }

    /// <summary>Handles what has arrived and sends what has room now: nothing of it calls a function of the program.</summary>
    /// <returns>whether anything moved</returns>
    public static bool ProgressPackets()
    {
        bool moved = false;
        for (MpiPacket* packet; (packet = Transport.Peek()) != null; moved = true)
        {
            Handle(packet);
            Transport.Taken(packet);
        }
        if (HasUnsent) moved |= FlushClears() | FlushWaiting() | FlushStreams();
        if (Transport.Owes) Transport.GiveAllCredit();
        return moved;
    }

    private static void Handle(MpiPacket* packet)
    {
        byte* payload = Transport.PayloadOf(packet);
        long payloadBytes = packet->Bytes - MpiPacket.HeadBytes;
        switch ((PacketKind)packet->Kind)
        {
            case PacketKind.Eager:
            case PacketKind.Request:
                bool eager = packet->Kind == (ushort)PacketKind.Eager;
                if (eager && (long)packet->Length > payloadBytes) Fatal.Stop($"a packet of {payloadBytes} bytes for a message of {packet->Length}");
                Mailbox mailbox = Mailbox.Of(packet->Context);
                Request? receive = mailbox.TakePosted(packet->Source, packet->Tag);
                if (receive is not null && eager)
                {
                    receive.Status = new MessageStatus { Source = packet->Source, Tag = packet->Tag };
                    receive.MessageBytes = (long)packet->Length;
                    Unpack(receive, payload, (long)packet->Length);
                    FinishReceive(receive);
                    return;
                }
                nint copy = 0;
                if (eager)
                {
                    copy = (nint)NativeMemory.Alloc((nuint)Math.Max(1, packet->Length));
                    Buffer.MemoryCopy(payload, (void*)copy, packet->Length, packet->Length);
                }
                Arrival arrival = new() { Source = packet->Source, SourceWorld = packet->Peer, Tag = packet->Tag, LengthBytes = (long)packet->Length, Bytes = copy, SendId = eager ? 0 : packet->SendId };
                if (receive is not null) Accept(receive, arrival);
                else mailbox.Arrive(arrival);
                return;
            case PacketKind.Clear:
                if (Handles.At(packet->SendId) is not Request { IsLive: true, IsDone: false, Kind: RequestKind.Send } send) { Fatal.Stop($"rank {packet->Peer} is ready for a message that is none"); return; }
                send.Remote = packet->ReceiveId;
                if (send.LengthBytes == 0) Finish(send);
                else s_streams.Add(send);
                return;
            case PacketKind.Data:
                if (Handles.At(packet->ReceiveId) is not Request { IsLive: true, IsDone: false, Kind: RequestKind.Receive } into) { Fatal.Stop($"rank {packet->Peer} sends bytes of a message that nobody receives"); return; }
                Unpack(into, payload, Math.Min((long)packet->Length, payloadBytes));
                if (into.MovedBytes >= into.MessageBytes) FinishReceive(into);
                return;
        }
    }

    private static bool FlushClears()
    {
        bool moved = false;
        while (s_clears.TryPeek(out var clear))
        {
            MpiPacket* packet = Transport.Reserve(clear.Peer, PacketKind.Clear, 0);
            if (packet == null) break;
            (packet->SendId, packet->ReceiveId) = (clear.SendId, clear.ReceiveId);
            Transport.Publish(packet);
            s_clears.Dequeue();
            moved = true;
        }
        return moved;
    }

    private static bool FlushWaiting()
    {
        bool moved = false;
        if (s_waiting.Count == 0) return false;
        foreach ((int peer, Queue<Request> sends) in s_waiting.ToArray())
        {
            while (sends.TryPeek(out Request? send) && TrySend(send))
            {
                sends.Dequeue();
                moved = true;
            }
            if (sends.Count == 0) s_waiting.Remove(peer);
        }
        return moved;
    }

    private static bool FlushStreams()
    {
        bool moved = false;
        for (int i = 0; i < s_streams.Count;)
        {
            Request send = s_streams[i];
            while (send.MovedBytes < send.LengthBytes)
            {
                long piece = Math.Min(Transport.MaxPayloadBytes, send.LengthBytes - send.MovedBytes);
                MpiPacket* packet = Transport.Reserve(send.PeerWorld, PacketKind.Data, piece);
                if (packet == null) break;
                (packet->ReceiveId, packet->Length) = (send.Remote, (ulong)piece);
                Pack(send, Transport.PayloadOf(packet), piece);
                Transport.Publish(packet);
                send.MovedBytes += piece;
                moved = true;
            }
            if (send.MovedBytes < send.LengthBytes) i++;
            else
            {
                s_streams.RemoveAt(i);
                Finish(send);
            }
        }
        return moved;
    }

    /// <summary>Takes a send back that nothing has been put into the ring of.</summary>
    public static bool TryCancelSend(Request send)
    {
        if (!s_waiting.TryGetValue(send.PeerWorld, out Queue<Request>? sends) || !sends.Contains(send)) return false;
        s_waiting[send.PeerWorld] = new Queue<Request>(sends.Where(s => s != send));
        return true;
    }
}
