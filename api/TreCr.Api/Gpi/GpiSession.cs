using TreCr.Linux;

namespace TreCr.Api.Gpi;

/// <summary>A rank: its connection to the agent, and what it knows of the others. Requests are tasks, so that a call that times out goes on where it was when it is made again.</summary>
/// <remarks>Tasks are completed on the thread that receives, and what is awaited goes on there; nothing in it may wait for the agent in another way.</remarks>
public sealed class GpiSession : IDisposable
{
    private readonly FrameChannel _channel;
    private readonly Dictionary<uint, TaskCompletionSource<Frame>> _pending = [];
    private readonly bool[] _dead, _left;
    private readonly Lock _state = new();
    private readonly Queue<(ushort From, byte[] Bytes)> _posted = [];
    private uint _lastId;
    private volatile bool _ended;

    /// <summary>Connects; <see cref="Start"/> begins.</summary>
    /// <exception cref="GpiException">the agent cannot be reached</exception>
    public GpiSession(LaunchPlace place)
    {
        Place = place;
        _dead = new bool[place.Count];
        _left = new bool[place.Count];
        _channel = new FrameChannel(GpiHelper.Connect(place.Job));
        Copier = new BlockCopier();
        Segments = new GpiSegments(this);
        Groups = new GpiGroups(this);
        new Thread(Receive) { IsBackground = true, Name = "gpi-receive" }.Start();
    }

    public LaunchPlace Place { get; }

    public ushort Rank => Place.Rank;

    public GpiSegments Segments { get; }

    public GpiGroups Groups { get; }

    internal BlockCopier Copier { get; }

    /// <summary>Raised on the receiving thread when a rank has died or left, or the agent has ended.</summary>
    internal event Action? Lost;

    /// <summary>Raised on the receiving thread: what is kept under a name is another thing now.</summary>
    internal event Action<string>? Changed;

    /// <summary>Ends when all ranks have come.</summary>
    public Task Meet() => Request(FrameKind.Hello, w =>
    {
        w.Write(Place.Rank);
        w.Write(Place.Count);
    });

    /// <summary>Whether a rank's process has ended without leaving.</summary>
    public bool IsDead(ushort rank) { lock (_state) return _ended || rank < _dead.Length && _dead[rank]; }

    /// <summary>Whether a rank has died or left.</summary>
    public bool IsGone(ushort rank) { lock (_state) return _ended || rank < _dead.Length && (_dead[rank] || _left[rank]); }

    /// <summary>What the members of a group give each other.</summary>
    /// <param name="name">the same for all of them, and no other call's</param>
    /// <returns>[members], in their order</returns>
    internal async Task<byte[][]> Gather(string name, ushort[] members, byte[] own)
    {
        Frame answer = await Request(FrameKind.Gather, w =>
        {
            w.Write(name);
            Frame.WriteRanks(w, members);
            w.Write(own);
        });
        return answer.Read(r =>
        {
            byte[][] all = new byte[members.Length][];
            for (int i = 0; i < all.Length; i++) all[i] = r.ReadBytes(r.ReadInt32());
            return all;
        });
    }

    /// <summary>Gives the agent a descriptor to hold.</summary>
    internal void Keep(string name, int descriptor) => Tell(Frame.Of(FrameKind.Keep, 0, w => w.Write(name), descriptor));

    internal void Drop(string beginning) => Tell(Frame.Of(FrameKind.Drop, 0, w => w.Write(beginning)));

    /// <summary>A descriptor that the agent holds; the caller closes it.</summary>
    internal async Task<int> Fetch(string name) => (await Request(FrameKind.Fetch, w => w.Write(name))).Descriptor;

    /// <summary>Ends another rank's process (SIGKILL).</summary>
    public Task Kill(ushort rank)
        => rank < Place.Count && rank != Rank ? Request(FrameKind.Kill, w => w.Write(rank)) : throw new GpiException(GpiCode.BadRank, $"rank {rank} of {Place.Count}, and rank {Rank} is this one");

    /// <summary>Asks for a place (a spare: no name), or for spares in place of the dead.</summary>
    internal async Task<(string Name, ushort[] Places)> TakeOver(string group, ushort[] places)
    {
        Frame answer = await Request(FrameKind.Takeover, w =>
        {
            w.Write(group);
            Frame.WriteRanks(w, places);
        });
        return answer.Read(r => (r.ReadString(), Frame.ReadRanks(r)));
    }

    public void Post(ushort to, ReadOnlySpan<byte> bytes)
    {
        byte[] copy = bytes.ToArray();
        Tell(Frame.Of(FrameKind.Post, 0, w =>
        {
            w.Write(to);
            w.Write(copy);
        }));
    }

    /// <summary>The next message that another rank has posted.</summary>
    public bool TryTakePosted(out ushort from, out byte[] bytes)
    {
        lock (_state)
        {
            bool any = _posted.TryDequeue(out (ushort From, byte[] Bytes) first);
            (from, bytes) = any ? first : (default, []);
            return any;
        }
    }

    /// <summary>Waits until something is posted or lost; may return early.</summary>
    public void WaitPosted(int timeoutMs)
    {
        lock (_posted)
            if (_posted.Count == 0) Monitor.Wait(_posted, timeoutMs);
    }

    /// <summary>Leaves: this process's end is no death from now on.</summary>
    public void Dispose()
    {
        if (!_ended) Tell(new Frame(FrameKind.Leave, 0, []));
        _channel.Shutdown(); // the receiving thread closes it
        Copier.Dispose();
    }

    internal Task<Frame> Request(FrameKind kind, Action<BinaryWriter> write)
    {
        TaskCompletionSource<Frame> answer = new();
        uint id;
        lock (_state)
        {
            if (_ended) return Task.FromException<Frame>(AgentGone());
            _pending.Add(id = ++_lastId, answer);
        }
        Tell(Frame.Of(kind, id, write));
        return answer.Task;
    }

    // Where the agent has gone the receiving thread finds that out, and fails all requests.
    private void Tell(Frame frame) => _channel.Send(frame);

    private void Receive()
    {
        Sys.BlockProgramSignals();
        List<Frame> frames = [];
        bool open;
        do
        {
            frames.Clear();
            open = _channel.Receive(frames);
            foreach (Frame frame in frames)
            {
                try { Take(frame); }
                catch (Exception e) when (e is IOException or FormatException) { open = false; } // the payload is none
            }
        }
        while (open);
        TaskCompletionSource<Frame>[] pending;
        lock (_state)
        {
            _ended = true;
            pending = [.. _pending.Values];
            _pending.Clear();
        }
        foreach (TaskCompletionSource<Frame> request in pending) request.TrySetException(AgentGone());
        Wake();
        _channel.Dispose();
    }

    private void Take(Frame frame)
    {
        switch (frame.Kind)
        {
            case FrameKind.Answer:
                if (Pending(frame.Id) is { } answered) answered.TrySetResult(frame);
                else if (frame.Descriptor >= 0) Sys.Close(frame.Descriptor);
                break;
            case FrameKind.Failure:
                (int code, string reason) = frame.Read(r => (r.ReadInt32(), r.ReadString()));
                Pending(frame.Id)?.TrySetException(new GpiException((GpiCode)code, reason));
                break;
            case FrameKind.Died or FrameKind.Left:
                ushort gone = frame.Read(r => r.ReadUInt16());
                lock (_state)
                    if (gone < _dead.Length) (frame.Kind == FrameKind.Died ? _dead : _left)[gone] = true;
                Wake();
                break;
            case FrameKind.Changed:
                Changed?.Invoke(frame.Read(r => r.ReadString()));
                break;
            case FrameKind.Posted:
                (ushort from, byte[] bytes) = frame.Read(r => (r.ReadUInt16(), Frame.Rest(r)));
                lock (_state) _posted.Enqueue((from, bytes));
                Wake();
                break;
        }
    }

    private TaskCompletionSource<Frame>? Pending(uint id)
    {
        lock (_state) return _pending.Remove(id, out TaskCompletionSource<Frame>? request) ? request : null;
    }

    private void Wake()
    {
        lock (_posted) Monitor.PulseAll(_posted);
        Lost?.Invoke();
    }

    private static GpiException AgentGone() => new(GpiCode.Error, $"{GpiHelper.ProgramName} has ended");
}
