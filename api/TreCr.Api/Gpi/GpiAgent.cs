using TreCr.Linux;

namespace TreCr.Api.Gpi;

/// <summary>
/// The process through which the ranks of a job agree: it passes round what they give each other, notices whose process has ended, and holds the descriptors of shared memory, so that a mirror is there
/// as long as it is, whoever dies. One thread, no file; it ends with the last connection.
/// </summary>
/// <remarks>
/// Why the ranks never disagree: what a collective call came to is decided here, once. It is complete when the last member has given its part, and then all get the same answer, also members that
/// are late in reading it; it has failed when a member that gave nothing is dead. Messages to one rank keep their order, so that whoever hears of a death has heard before of every call that was complete before it.
/// </remarks>
internal sealed class GpiAgent(int listener)
{
    private const int FirstRankMs = 30_000;

    private readonly List<AgentPeer> _peers = [];
    private readonly Dictionary<string, Collective> _collectives = [];
    private readonly Dictionary<string, Takeover> _takeovers = [];
    private readonly List<(AgentPeer Peer, uint Id)> _spares = [];
    private readonly Dictionary<string, int> _kept = [];
    private AgentPeer?[] _ranks = [];
    private bool[] _gone = [];
    private int _takeoverCount;

    /// <summary>Returns when nobody is connected any more.</summary>
    public void Run()
    {
        List<PollEntry> entries = [];
        List<Frame> frames = [];
        while (true)
        {
            entries.Clear();
            entries.Add(new PollEntry { Fd = listener, Events = Sys.POLLIN });
            foreach (AgentPeer peer in _peers) entries.Add(new PollEntry { Fd = peer.Channel.Socket, Events = peer.Channel.HasUnsent ? (short)(Sys.POLLIN | Sys.POLLOUT) : Sys.POLLIN });
            Span<PollEntry> polled = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(entries);
            int ready = Sys.Poll(polled, _peers.Count == 0 ? FirstRankMs : -1);
            if (ready == 0) return;
            AgentPeer[] peers = [.. _peers];
            if ((polled[0].Returned & Sys.POLLIN) != 0) Accept();
            for (int i = 0; i < peers.Length; i++)
                if ((polled[i + 1].Returned & (Sys.POLLIN | Sys.POLLHUP | Sys.POLLERR)) != 0)
                {
                    frames.Clear();
                    bool open = peers[i].Channel.Receive(frames);
                    foreach (Frame frame in frames) open &= Serve(peers[i], frame);
                    if (!open) End(peers[i]);
                }
            foreach (AgentPeer peer in _peers.ToArray())
                if (!peer.Channel.Flush()) End(peer);
            if (_peers.Count == 0 && _ranks.Length > 0) return;
        }
    }

    private void Accept()
    {
        int connection = Sys.Accept(listener);
        if (connection < 0) return;
        (int pid, uint user, _) = Sys.PeerCredentials(connection);
        if (user != Sys.EffectiveUserId())
        {
            Sys.Close(connection);
            return;
        }
        Sys.SetNonBlocking(connection, true);
        _peers.Add(new AgentPeer(new FrameChannel(connection), pid));
    }

    /// <returns>false: no rank of this job sends this</returns>
    private bool Serve(AgentPeer peer, Frame frame)
    {
        try
        {
            if (peer.Rank < 0 && frame.Kind != FrameKind.Hello) return false;
            switch (frame.Kind)
            {
                case FrameKind.Hello: return Greet(peer, frame);
                case FrameKind.Gather: Gather(peer, frame); return true;
                case FrameKind.Keep: return Keep(frame);
                case FrameKind.Fetch:
                    string wanted = frame.Read(r => r.ReadString());
                    if (_kept.TryGetValue(wanted, out int kept)) peer.Answer(frame.Id, [], kept);
                    else peer.Fail(frame.Id, GpiCode.BadSegment, $"{wanted}: nobody has it");
                    return true;
                case FrameKind.Drop: Drop(frame.Read(r => r.ReadString())); return true;
                case FrameKind.Kill: Kill(peer, frame); return true;
                case FrameKind.Takeover: TakeOver(peer, frame); return true;
                case FrameKind.Post:
                    (ushort to, byte[] bytes) = frame.Read(r => (r.ReadUInt16(), Frame.Rest(r)));
                    if (to < _ranks.Length) _ranks[to]?.Tell(FrameKind.Posted, w => { w.Write((ushort)peer.Rank); w.Write(bytes); });
                    return true;
                case FrameKind.Leave:
                    peer.HasLeft = true;
                    return true;
                default: return false;
            }
        }
        catch (Exception e) when (e is IOException or FormatException) { return false; } // the payload is none
        finally
        {
            if (frame.Descriptor >= 0 && frame.Kind != FrameKind.Keep) Sys.Close(frame.Descriptor);
        }
    }

    private bool Greet(AgentPeer peer, Frame frame)
    {
        (ushort rank, ushort count) = frame.Read(r => (r.ReadUInt16(), r.ReadUInt16()));
        if (_ranks.Length == 0 && count > 0)
        {
            _ranks = new AgentPeer?[count];
            _gone = new bool[count];
        }
        if (count != _ranks.Length || rank >= count || _ranks[rank] is not null || _gone[rank] || peer.Rank >= 0)
        {
            peer.Fail(frame.Id, GpiCode.EnvironmentWrong, $"rank {rank} of {count}: this job has {_ranks.Length} ranks{(rank < _ranks.Length ? ", and had that one already" : "")}");
            return true;
        }
        _ranks[rank] = peer;
        (peer.Rank, peer.HelloId) = (rank, frame.Id);
        if (_ranks.All(p => p is not null))
            foreach (AgentPeer? each in _ranks) each!.Answer(each.HelloId, []);
        return true;
    }

    private void Gather(AgentPeer peer, Frame frame)
    {
        (string name, ushort[] members, byte[] given) = frame.Read(r => (r.ReadString(), Frame.ReadRanks(r), Frame.Rest(r)));
        if (!_collectives.TryGetValue(name, out Collective? collective)) _collectives.Add(name, collective = new Collective(members));
        if (!collective.Members.AsSpan().SequenceEqual(members) || !collective.Give((ushort)peer.Rank, given))
        {
            peer.Fail(frame.Id, GpiCode.Error, $"{name}: the ranks do not agree on who takes part");
            return;
        }
        collective.Waiting.Add((peer, frame.Id));
        if (collective.IsComplete)
        {
            _collectives.Remove(name);
            byte[] answer = collective.Answer();
            foreach ((AgentPeer waiting, uint id) in collective.Waiting) waiting.Answer(id, answer);
            return;
        }
        foreach (ushort member in members)
            if (member >= _gone.Length || _gone[member] && collective.Lacks(member))
            {
                Fail(name, collective, $"rank {member} is not there any more");
                return;
            }
    }

    private void Fail(string name, Collective collective, string reason)
    {
        _collectives.Remove(name);
        foreach ((AgentPeer waiting, uint id) in collective.Waiting) waiting.Fail(id, GpiCode.Error, reason);
    }

    private bool Keep(Frame frame)
    {
        if (frame.Descriptor < 0) return false;
        string name = frame.Read(r => r.ReadString());
        Drop(name);
        _kept[name] = frame.Descriptor;
        return true;
    }

    private void Drop(string beginning)
    {
        foreach (string name in _kept.Keys.Where(n => n.StartsWith(beginning, StringComparison.Ordinal)).ToArray())
        {
            _kept.Remove(name, out int descriptor);
            Sys.Close(descriptor);
            foreach (AgentPeer peer in _peers) peer.Tell(FrameKind.Changed, w => w.Write(name));
        }
    }

    private void Kill(AgentPeer peer, Frame frame)
    {
        ushort rank = frame.Read(r => r.ReadUInt16());
        AgentPeer? victim = rank < _ranks.Length ? _ranks[rank] : null;
        if (victim is null) peer.Fail(frame.Id, GpiCode.Error, $"rank {rank} is not there any more");
        else if (victim.Pid == 0 || Sys.Kill(victim.Pid, Sys.SIGKILL) < 0) peer.Fail(frame.Id, GpiCode.Error, $"rank {rank}: its process cannot be reached from here");
        else peer.Answer(frame.Id, []);
    }

    private void TakeOver(AgentPeer peer, Frame frame)
    {
        (string group, ushort[] places) = frame.Read(r => (r.ReadString(), Frame.ReadRanks(r)));
        if (group.Length == 0) _spares.Add((peer, frame.Id));
        else
        {
            if (!_takeovers.TryGetValue(group, out Takeover? takeover)) _takeovers.Add(group, takeover = new Takeover(places));
            takeover.Survivors.Add((peer, frame.Id));
        }
        Place();
    }

    /// <summary>Gives places to spares where all survivors of a group have asked; answers those who wait for what cannot come.</summary>
    private void Place()
    {
        foreach ((string group, Takeover takeover) in _takeovers.ToArray())
        {
            bool Lives(ushort rank) => rank < _gone.Length && !_gone[rank];
            bool HasAsked(ushort rank) => takeover.Survivors.Any(s => s.Peer.Rank == rank);
            ushort[]? filled = Takeover.Fill(takeover.Places, Lives, _spares.Select(s => (ushort)s.Peer.Rank));
            if (filled is null)
            {
                // Spares that have not asked yet may come.
                IEnumerable<ushort> others = Enumerable.Range(0, _gone.Length).Select(r => (ushort)r).Where(Lives);
                if (Takeover.Fill(takeover.Places, Lives, others) is not null) continue;
                _takeovers.Remove(group);
                foreach ((AgentPeer survivor, uint id) in takeover.Survivors) survivor.Fail(id, GpiCode.Error, "no spare is left for a rank that is dead");
                continue;
            }
            if (!takeover.Places.Where(Lives).All(HasAsked)) continue;
            _takeovers.Remove(group);
            byte[] answer = Frame.Pack(w =>
            {
                w.Write($"takeover {++_takeoverCount}");
                Frame.WriteRanks(w, filled);
            });
            foreach ((AgentPeer survivor, uint id) in takeover.Survivors) survivor.Answer(id, answer);
            foreach ((AgentPeer spare, uint id) in _spares.Where(s => filled.Contains((ushort)s.Peer.Rank)).ToArray())
            {
                spare.Answer(id, answer);
                _spares.Remove((spare, id));
            }
        }
        // When all others have left, nothing is left to take over.
        if (_spares.Count == 0 || _ranks.Any(p => p is not null && _spares.All(s => s.Peer != p))) return;
        byte[] none = Frame.Pack(w =>
        {
            w.Write("");
            Frame.WriteRanks(w, []);
        });
        foreach ((AgentPeer spare, uint id) in _spares) spare.Answer(id, none);
        _spares.Clear();
    }

    private void End(AgentPeer peer)
    {
        if (!_peers.Remove(peer)) return;
        peer.Channel.Dispose();
        if (peer.Rank < 0) return;
        ushort rank = (ushort)peer.Rank;
        _ranks[rank] = null;
        _gone[rank] = true;
        _spares.RemoveAll(s => s.Peer == peer);
        foreach (Takeover takeover in _takeovers.Values) takeover.Survivors.RemoveAll(s => s.Peer == peer);
        foreach (AgentPeer other in _peers) other.Tell(peer.HasLeft ? FrameKind.Left : FrameKind.Died, w => w.Write(rank));
        foreach ((string name, Collective collective) in _collectives.ToArray())
        {
            collective.Waiting.RemoveAll(w => w.Peer == peer);
            if (collective.Lacks(rank)) Fail(name, collective, $"rank {rank} is not there any more");
        }
        // Whoever waits for the first meeting waits for a rank that will never come.
        if (Enumerable.Range(0, _ranks.Length).Any(r => _ranks[r] is null && !_gone[r]))
            foreach (AgentPeer other in _peers.Where(p => p.Rank >= 0)) other.Fail(other.HelloId, GpiCode.Error, $"rank {rank} has ended before all had come");
        Drop($"segment/{rank}/");
        Place();
    }
}
