using TreCr.Ring;

namespace TreCr.Wrapper.Mpi;

/// <summary>One context: receives that wait for messages, and messages that wait for receives, each in order.</summary>
/// <remarks>Matching: MPI-3.1 §3.5. All of it is ordinary memory of the program, so that it is saved and restored with it.</remarks>
internal sealed class Mailbox(uint context)
{
    private static readonly Dictionary<uint, Mailbox> s_all = [];

    private Request? _posted, _lastPosted;
    private Arrival? _arrived, _lastArrived;

    public uint Context => context;

    /// <summary>The mailbox of a context; a message may come before the communicator is made here.</summary>
    public static Mailbox Of(uint context)
    {
        if (!s_all.TryGetValue(context, out Mailbox? mailbox)) s_all[context] = mailbox = new Mailbox(context);
        return mailbox;
    }

    /// <summary>The communicator is freed.</summary>
    public static void Forget(uint context) => s_all.Remove(context);

    public void Post(Request receive)
    {
        receive.Next = null;
        if (_lastPosted is null) _posted = receive;
        else _lastPosted.Next = receive;
        _lastPosted = receive;
    }

    /// <summary>Takes the first receive that a message matches.</summary>
    public Request? TakePosted(int source, int tag)
    {
        Request? before = null;
        for (Request? r = _posted; r is not null; before = r, r = r.Next)
        {
            if (r.Peer != source && r.Peer != MpiAbi.AnySource || r.Tag != tag && r.Tag != MpiAbi.AnyTag) continue;
            RemovePosted(r, before);
            return r;
        }
        return null;
    }

    /// <returns>false: it has been matched</returns>
    public bool TryRemovePosted(Request receive)
    {
        Request? before = null;
        for (Request? r = _posted; r is not null; before = r, r = r.Next)
        {
            if (r != receive) continue;
            RemovePosted(r, before);
            return true;
        }
        return false;
    }

    private void RemovePosted(Request r, Request? before)
    {
        if (before is null) _posted = r.Next;
        else before.Next = r.Next;
        if (_lastPosted == r) _lastPosted = before;
        r.Next = null;
    }

    /// <summary>Messages are not received here but carried out as they come, also those that came before: one-sided calls.</summary>
    public Action<Arrival>? Service
    {
        get;
        set
        {
            field = value;
            for (Arrival? waiting = value is null ? null : Find(MpiAbi.AnySource, MpiAbi.AnyTag, take: true); waiting is not null; waiting = Find(MpiAbi.AnySource, MpiAbi.AnyTag, take: true)) value!(waiting);
        }
    }

    public void Arrive(Arrival arrival)
    {
        if (Service is { } service)
        {
            service(arrival);
            return;
        }
        if (_lastArrived is null) _arrived = arrival;
        else if (Seeded.Is(ProtocolBug.NewestFirst)) (arrival.Next, _arrived, arrival) = (_arrived, arrival, _lastArrived);
        else _lastArrived.Next = arrival;
        _lastArrived = arrival;
    }

    /// <summary>The first message that a receive would match.</summary>
    /// <param name="take">it waits no more</param>
    public Arrival? Find(int source, int tag, bool take)
    {
        Arrival? before = null;
        for (Arrival? a = _arrived; a is not null; before = a, a = a.Next)
        {
            if (source != a.Source && source != MpiAbi.AnySource || tag != a.Tag && tag != MpiAbi.AnyTag) continue;
            if (!take) return a;
            if (before is null) _arrived = a.Next;
            else before.Next = a.Next;
            if (_lastArrived == a) _lastArrived = before;
            a.Next = null;
            return a;
        }
        return null;
    }
}

/// <summary>A message that no receive waited for: its bytes, or only its envelope.</summary>
internal sealed class Arrival
{
    public required int Source { get; init; }
    public required int SourceWorld { get; init; }
    public required int Tag { get; init; }
    public required long LengthBytes { get; init; }

    /// <summary>Native memory with the bytes; 0: they are still with the sender.</summary>
    public nint Bytes { get; init; }

    /// <summary>Number of the sender's request; with bytes: it wants to hear that they were received, or 0.</summary>
    public uint SendId { get; init; }

    public Arrival? Next { get; set; }
}
