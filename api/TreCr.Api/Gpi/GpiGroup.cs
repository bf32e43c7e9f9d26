namespace TreCr.Api.Gpi;

/// <summary>Ranks that agree on things together.</summary>
public sealed class GpiGroup
{
    private readonly GpiSession _session;
    private int _calls, _descriptions;

    /// <param name="name">the same for all members; empty: not committed yet</param>
    /// <param name="places">members by place: the order of the checkpoints that they stand for</param>
    internal GpiGroup(GpiSession session, string name, ushort[] places)
    {
        _session = session;
        Name = name;
        Places = places;
    }

    internal string Name { get; set; }

    public bool IsCommitted => Name.Length > 0;

    /// <summary>By place: in ascending order, but where spares have taken places.</summary>
    public ushort[] Places { get; internal set; }

    public ushort[] Members => [.. Places.Order()];

    /// <summary>Another group has taken this one's place: nobody waits for its dead any more.</summary>
    internal bool IsReplaced { get; set; }

    /// <summary>Whether it has a member that is dead or has left, and this rank in it.</summary>
    internal bool IsBroken => IsCommitted && !IsReplaced && Places.Contains(_session.Rank) && Places.Any(_session.IsGone);

    /// <summary>Begins a call of all members.</summary>
    /// <exception cref="GpiException">BadGroup: not committed, or this rank is no member</exception>
    public Task<byte[][]> Gather(string call, byte[] own)
    {
        if (!IsCommitted) throw new GpiException(GpiCode.BadGroup, "the group is not committed");
        if (!Places.Contains(_session.Rank)) throw new GpiException(GpiCode.BadGroup, $"rank {_session.Rank} is no member of the group");
        return _session.Gather($"{Name}: {call} {++_calls}", Places, own);
    }

    /// <summary>Name for a checkpoint that the group begins now.</summary>
    internal string NextDescription() => $"{Name}/{++_descriptions}";
}
