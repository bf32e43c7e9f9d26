using System.Runtime.InteropServices;
using TreCr.Linux;
using TreCr.Ring;

namespace TreCr.Backend.Mpi;

/// <summary>
/// Moves packets between a program's rings and the network, and empties the network at a gate: after the last packet each rank sends every other a marker, and
/// messages between two ranks do not overtake each other, so that a rank which has all markers has all packets.
/// </summary>
/// <remarks>
/// The thread that called MPI_Init. Between a rank's marker and the end of this rank's gate nothing of that rank is received: it may run on already, and what it sends then belongs
/// behind the cut. Source: K. M. Chandy, L. Lamport, "Distributed snapshots", 1985; facts/mpi.md §3.4.
/// </remarks>
internal sealed unsafe class PacketPump(IPacketNetwork mpi, MpiSegment segment)
{
    private const int PacketTag = 1, MarkerTag = 2, MostSends = 64, MostReceives = 16;

    private readonly MpiSegmentHeader* _header = segment.Header;
    private readonly Queue<(nint Request, ulong End)> _sends = new();
    private readonly Queue<(nint Request, ulong End, nint Packet, int Source)> _receives = new();
    private readonly Dictionary<int, ulong> _marked = []; // rank -> epoch of its newest marker
    private readonly nint[] _markers = new nint[mpi.Size];
    private readonly ulong* _marker = (ulong*)NativeMemory.AllocZeroed(sizeof(ulong));
    private ulong _taken = segment.Header->OutTail, _arriving = segment.Header->InHead, _arrived = segment.Header->InHead;
    private ulong _gate, _released; // epochs; gate 0: open; markers up to the released one are of the past
    private bool _markersSent;

    /// <summary>All that any rank sent before its gate is in the program's segment, and the program's packets that were begun have arrived.</summary>
    public bool IsDrained { get; private set; }

    public bool IsGated => _gate != 0;

    /// <summary>Something is under way that only calls of the library bring on.</summary>
    public bool IsBusy => _sends.Count > 0 || _receives.Count > 0 || (IsGated && !IsDrained);

    /// <summary>The program has packets that have not been begun.</summary>
    public bool HasWork => !IsGated && Volatile.Read(ref _header->OutHead) != _taken;

    /// <summary>Begins no further packet, and drains.</summary>
    public void Close(ulong epoch)
    {
        while (!AreMarkersSent()) Sys.Yield(); // of an epoch that was given up
        (_gate, _markersSent, IsDrained) = (epoch, false, false);
    }

    /// <summary>Goes on; markers up to this epoch hold nothing back any more.</summary>
    public void Open(ulong epoch)
    {
        (_gate, IsDrained) = (0, false);
        _released = Math.Max(_released, epoch);
        foreach (int rank in _marked.Keys.ToArray())
            if (_marked[rank] <= _released) _marked.Remove(rank);
    }

    /// <summary>One turn.</summary>
    /// <returns>whether anything moved</returns>
    public bool Turn()
    {
        bool moved = FinishSends() | FinishReceives();
        if (IsDrained) return moved;
        if (!IsGated) moved |= BeginSends();
        moved |= BeginReceives();
        if (!IsGated || (_sends.Count > 0 && !Seeded.Is(ProtocolBug.DrainedWithSendsUnderWay))) return moved;
        if (!_markersSent) SendMarkers();
        IsDrained = _receives.Count == 0 && (_marked.Count(m => m.Value >= _gate) == mpi.Size - 1 || Seeded.Is(ProtocolBug.DrainedWithoutMarkers)) && AreMarkersSent();
        return moved;
    }

    private bool BeginSends()
    {
        ulong head = Volatile.Read(ref _header->OutHead);
        if (head - _taken > MpiSegmentLayout.OutBytes) throw new RingException("MPI segment: the outgoing ring's head");
        bool moved = false;
        while (_taken != head && _sends.Count < MostSends)
        {
            ulong at = _taken & MpiSegment.OutMask;
            MpiPacket* packet = (MpiPacket*)(segment.Out + at);
            uint bytes = Volatile.Read(ref packet->Bytes);
            int to = Volatile.Read(ref packet->Peer);
            if (bytes % 16 != 0 || bytes < 16 || bytes > head - _taken || bytes > MpiSegmentLayout.OutBytes - at
                || to != MpiPacket.Filler && (bytes < MpiPacket.HeadBytes || bytes > MpiSegmentLayout.MaxPacketBytes || (uint)to >= (uint)mpi.Size))
                throw new RingException($"MPI segment: a packet of {bytes} bytes for rank {to}");
            _taken += bytes;
            _sends.Enqueue((to == MpiPacket.Filler ? 0 : mpi.Send(packet, (int)bytes, to, PacketTag), _taken));
            moved = true;
        }
        return moved;
    }

    private bool FinishSends()
    {
        bool moved = false;
        while (_sends.TryPeek(out (nint Request, ulong End) first))
        {
            if (first.Request != 0 && !mpi.Test(ref first.Request)) break;
            _sends.Dequeue();
            Volatile.Write(ref _header->OutTail, first.End);
            moved = true;
        }
        return moved;
    }

    private bool BeginReceives()
    {
        bool moved = false;
        if (_marked.Count == 0)
        {
            while (_receives.Count < MostReceives && mpi.TryProbe(mpi.AnySource, out nint message, out int source, out int tag, out int count))
                moved |= BeginReceive(message, source, tag, count);
            return moved;
        }
        // One after the other: who has sent its marker is not listened to.
        for (int rank = 0; rank < mpi.Size; rank++)
            while (rank != mpi.Rank && !_marked.ContainsKey(rank) && _receives.Count < MostReceives && mpi.TryProbe(rank, out nint message, out int source, out int tag, out int count))
                moved |= BeginReceive(message, source, tag, count);
        return moved;
    }

    private bool BeginReceive(nint message, int source, int tag, int count)
    {
        if (tag == MarkerTag)
        {
            ulong epoch = 0;
            nint request = mpi.Receive(&epoch, sizeof(ulong), message);
            while (!mpi.Test(ref request)) Sys.Yield();
            if (epoch > _released) _marked[source] = epoch;
            return true;
        }
        if (count < MpiPacket.HeadBytes || count > MpiSegmentLayout.MaxPacketBytes || count % 16 != 0) throw new RingException($"MPI: a packet of {count} bytes from rank {source}");
        ulong ring = segment.InMask + 1, at = _arriving & segment.InMask;
        if (at + (ulong)count > ring)
        {
            MpiPacket* filler = (MpiPacket*)(segment.In + at);
            (filler->Peer, filler->Bytes) = (MpiPacket.Filler, (uint)(ring - at));
            _arriving += ring - at;
            _receives.Enqueue((0, _arriving, 0, 0));
            at = 0;
        }
        if (_arriving + (ulong)count - Volatile.Read(ref _header->InTail) > ring) throw new RingException($"MPI segment: the incoming ring is full, which the senders' credit should not allow (rank {source})");
        _arriving += (ulong)count;
        _receives.Enqueue((mpi.Receive(segment.In + at, count, message), _arriving, (nint)(segment.In + at), source));
        return true;
    }

    private bool FinishReceives()
    {
        bool moved = false;
        while (_receives.TryPeek(out (nint Request, ulong End, nint Packet, int Source) first))
        {
            if (first.Request != 0 && !mpi.Test(ref first.Request)) break;
            _receives.Dequeue();
            MpiPacket* packet = (MpiPacket*)first.Packet;
            if (packet != null)
            {
                // The sender's head names the way there; its length is what the program goes by.
                if (packet->Bytes != first.End - _arrived) throw new RingException($"MPI: a packet of {first.End - _arrived} bytes from rank {first.Source} says {packet->Bytes}");
                packet->Peer = first.Source;
            }
            _arrived = first.End;
            Volatile.Write(ref _header->InHead, first.End);
            moved = true;
        }
        if (!moved) return false;
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _header->ProgramSleeps) != 0)
        {
            Interlocked.Increment(ref _header->InSignal);
            Sys.FutexWake(&_header->InSignal);
        }
        return true;
    }

    private void SendMarkers()
    {
        _markersSent = true;
        *_marker = _gate;
        for (int rank = 0; rank < mpi.Size; rank++)
            if (rank != mpi.Rank) _markers[rank] = mpi.Send(_marker, sizeof(ulong), rank, MarkerTag);
    }

    private bool AreMarkersSent()
    {
        for (int rank = 0; rank < mpi.Size; rank++)
            if (_markers[rank] != 0)
            {
                if (!mpi.Test(ref _markers[rank])) return false;
                _markers[rank] = 0;
            }
        return true;
    }
}
