namespace TreCr.Api;

/// <summary>The regions that a program has protected: a set for checkpoints of any name, and sets of their own for some names.</summary>
public sealed class RegionSet
{
    private readonly SortedDictionary<int, ProtectedRegion> _general = [];
    private readonly Dictionary<string, SortedDictionary<int, ProtectedRegion>> _named = [];

    /// <summary>Registers a region; one of the same number is replaced.</summary>
    /// <param name="name">the checkpoint that it belongs to; null: any without regions of its own</param>
    /// <exception cref="CheckpointException">no address, or more bytes than there are addresses</exception>
    public void Protect(int id, nint address, long count, long sizeBytes, IRegionMemory memory, string? name = null, RegionCopy copy = RegionCopy.Written)
    {
        long bytes;
        try { bytes = checked(count * sizeBytes); }
        catch (OverflowException e) { throw new CheckpointException($"region {id}: {count} times {sizeBytes} bytes are too many", e); }
        if (count < 0 || sizeBytes < 0 || bytes > (1L << 47)) throw new CheckpointException($"region {id}: {count} times {sizeBytes} bytes are too many");
        if (address == 0 && bytes > 0) throw new CheckpointException($"region {id}: {bytes} bytes at no address");
        if (name is not null && !CheckpointId.IsName(name)) throw new CheckpointException($"region {id}: '{name}' is no name of a checkpoint");
        (name is null ? _general : Named(name))[id] = new(id, address, bytes, memory, copy);
    }

    /// <returns>false: there is none of this number</returns>
    public bool Unprotect(int id, string? name = null) => name is null ? _general.Remove(id) : _named.TryGetValue(name, out var regions) && regions.Remove(id);

    /// <summary>Forgets all of one set.</summary>
    public void Clear(string? name = null)
    {
        if (name is null) _general.Clear();
        else _named.Remove(name);
    }

    /// <summary>The regions of a checkpoint, by ascending number: those of its name where there are any, else the general ones.</summary>
    public IReadOnlyDictionary<int, ProtectedRegion> Of(string name) => _named.TryGetValue(name, out var regions) && regions.Count > 0 ? regions : _general;

    /// <summary>The regions of a checkpoint that a call is about, by ascending number.</summary>
    /// <exception cref="CheckpointException">a number that is not protected</exception>
    public IReadOnlyList<ProtectedRegion> Of(string name, RegionChoice choice, ReadOnlySpan<int> ids)
    {
        IReadOnlyDictionary<int, ProtectedRegion> regions = Of(name);
        SortedSet<int> chosen = Choose(regions.Keys, choice, ids);
        foreach (int id in chosen)
            if (!regions.ContainsKey(id)) throw new CheckpointException($"{name}: region {id} is not protected");
        return [.. chosen.Select(id => regions[id])];
    }

    /// <exception cref="CheckpointException">no such choice</exception>
    internal static SortedSet<int> Choose(IEnumerable<int> all, RegionChoice choice, ReadOnlySpan<int> ids)
    {
        SortedSet<int> chosen = choice == RegionChoice.Some ? [] : [.. all];
        switch (choice)
        {
            case RegionChoice.All: break;
            case RegionChoice.Some:
                foreach (int id in ids) chosen.Add(id);
                break;
            case RegionChoice.Rest:
                foreach (int id in ids) chosen.Remove(id);
                break;
            default: throw new CheckpointException($"{(int)choice}: neither all (0) nor some (1) nor the rest (2) of the regions");
        }
        return chosen;
    }

    private SortedDictionary<int, ProtectedRegion> Named(string name) => _named.TryGetValue(name, out var regions) ? regions : _named[name] = [];
}
