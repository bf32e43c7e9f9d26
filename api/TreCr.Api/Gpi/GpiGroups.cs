namespace TreCr.Api.Gpi;

/// <summary>The groups of a rank, by number; 0 is all ranks.</summary>
public sealed class GpiGroups
{
    /// <summary>Groups that a rank may have.</summary>
    public const int Most = 255;

    private readonly GpiSession _session;
    private readonly GpiGroup?[] _groups = new GpiGroup?[Most];
    private readonly Dictionary<string, int> _commits = [];
    private readonly Lock _gate = new();

    internal GpiGroups(GpiSession session)
    {
        _session = session;
        _groups[0] = new GpiGroup(session, "all", [.. Enumerable.Range(0, session.Place.Count).Select(r => (ushort)r)]);
    }

    public int Count { get { lock (_gate) return _groups.Count(g => g is not null); } }

    /// <exception cref="GpiException">BadGroup</exception>
    public GpiGroup this[byte id]
    {
        get { lock (_gate) return (id < Most ? _groups[id] : null) ?? throw new GpiException(GpiCode.BadGroup, $"there is no group {id}"); }
    }

    public byte Create() => Add(new GpiGroup(_session, "", []));

    public void Add(byte id, ushort rank)
    {
        GpiGroup group = this[id];
        if (group.IsCommitted) throw new GpiException(GpiCode.BadGroup, $"group {id} is committed already");
        if (rank >= _session.Place.Count) throw new GpiException(GpiCode.BadRank, $"rank {rank} of {_session.Place.Count}");
        if (group.Places.Contains(rank)) throw new GpiException(GpiCode.BadRank, $"rank {rank} is in group {id} already");
        group.Places = [.. group.Places.Append(rank).Order()];
    }

    /// <summary>Makes a group one that all its members know.</summary>
    public async Task Commit(byte id)
    {
        GpiGroup group = this[id];
        if (group.IsCommitted) throw new GpiException(GpiCode.BadGroup, $"group {id} is committed already");
        if (!group.Places.Contains(_session.Rank)) throw new GpiException(GpiCode.BadGroup, $"rank {_session.Rank} is no member of group {id}");
        string ranks = string.Join(',', group.Places);
        int times;
        lock (_gate) _commits[ranks] = times = _commits.GetValueOrDefault(ranks) + 1;
        string name = $"group {ranks} {times}";
        await _session.Gather(name, group.Places, []);
        ReplaceBroken();
        group.Name = name;
    }

    public void Delete(byte id)
    {
        if (id == 0) throw new GpiException(GpiCode.BadGroup, "the group of all ranks stays");
        _ = this[id];
        lock (_gate) _groups[id] = null;
    }

    /// <summary>
    /// What a member of a group that has lost ranks calls, and what a spare calls (with the group of all ranks, or one that it is no member of): ends with a new group, in which spares stand in the places of the dead.
    /// </summary>
    /// <returns>number of the new group and the place of this rank in it; null: a spare that is not needed any more</returns>
    public async Task<(byte Group, ushort Place)?> TakeOver(byte id)
    {
        GpiGroup old = this[id];
        bool spare = id == 0 || !old.IsCommitted || !old.Places.Contains(_session.Rank);
        string name = spare ? "" : old.Name;
        (string newName, ushort[] places) = await _session.TakeOver(name, spare ? [] : old.Places);
        if (places.Length == 0) return null;
        ReplaceBroken();
        return (Add(new GpiGroup(_session, newName, places)), (ushort)Array.IndexOf(places, _session.Rank));
    }

    /// <summary>Whether this rank would wait for one that is gone: a group of the program's own that it is in has lost a member, or all of them where there are no such groups.</summary>
    public bool IsBroken
    {
        get
        {
            lock (_gate)
            {
                bool own = _groups.Skip(1).Any(g => g is { IsCommitted: true });
                return _groups.Skip(own ? 1 : 0).Take(own ? Most : 1).Any(g => g is { IsBroken: true });
            }
        }
    }

    private void ReplaceBroken()
    {
        lock (_gate)
            foreach (GpiGroup? group in _groups)
                if (group is { IsBroken: true }) group.IsReplaced = true;
    }

    private byte Add(GpiGroup group)
    {
        lock (_gate)
        {
            int id = Array.IndexOf(_groups, null);
            if (id < 0) throw new GpiException(GpiCode.TooManyGroups, $"{Most} groups are the most");
            _groups[id] = group;
            return (byte)id;
        }
    }
}
