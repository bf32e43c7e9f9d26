namespace TreCr.Api.Gpi;

/// <summary>Other ranks' segments, which are mapped when they are reached first.</summary>
public sealed partial class GpiSegments
{
    /// <summary>Makes one on all ranks of a group.</summary>
    /// <param name="address">memory of the program's own; 0: none</param>
    public async Task AddTogether(byte id, ulong bytes, nint address, GpiGroup group)
    {
        GpiException? problem = null;
        try { Add(id, bytes, address); }
        catch (GpiException e) { problem = e; }
        // A rank that cannot take part tells the others here, where all are; else they would wait for it.
        byte[][] all = await group.Gather("segment", [problem is null ? (byte)1 : (byte)0]);
        if (problem is not null) throw problem;
        if (!all.Any(a => a[0] == 0)) return;
        Remove(id);
        throw new GpiException(GpiCode.Error, $"segment {id} could not be made on every rank");
    }

    /// <summary>Size of a rank's segment.</summary>
    public async Task<long> SizeOf(byte id, ushort rank) => (await Reach(rank, id)).Bytes;

    /// <summary>Finds a rank's segment; afterwards it is reached at once.</summary>
    internal async Task<GpiSegment> Reach(ushort rank, byte id)
    {
        if (rank >= _session.Place.Count) throw new GpiException(GpiCode.BadRank, $"rank {rank} of {_session.Place.Count}");
        if (rank == _session.Rank) return Own(id) is { IsShared: true } own ? own : throw new GpiException(GpiCode.BadSegment, $"segment {id} is the program's own memory, which other ranks do not reach");
        lock (_gate)
            if (_others.TryGetValue((rank, id), out GpiSegment? known)) return known;
        int descriptor = await _session.Fetch(Name(rank, id));
        GpiSegment segment = GpiSegment.Open(descriptor);
        lock (_gate)
        {
            if (_others.TryAdd((rank, id), segment)) return segment;
            segment.Dispose();
            return _others[(rank, id)];
        }
    }
}
