using System.Collections.Concurrent;

namespace TreCr.Store.Tiers;

/// <summary>
/// The files of a store that is cut over k + m nodes: each file becomes a shard on every node (docs/format.md). Reading needs any k of them; writing needs all, so that no node ever has
/// something older than the others. A name exists where k nodes have it.
/// </summary>
public sealed class ErasureStoreFiles : IStoreFiles
{
    private static readonly StoreDirectory[] s_directories = [StoreDirectory.Root, StoreDirectory.Packs, StoreDirectory.Sessions, StoreDirectory.Checkpoints];

    private readonly IStoreFiles?[] _nodes;
    private readonly string[] _reasons;
    private readonly ErasureCode _code;
    private readonly ConcurrentDictionary<string, ErasureRecipe> _recipes = new();
    private long _rebuilt;

    /// <param name="nodes">[k + m], data first; null: cannot be reached. Owned.</param>
    /// <param name="reasons">[k + m]: the node's place, or why it cannot be reached</param>
    /// <param name="parity">m</param>
    public ErasureStoreFiles(IStoreFiles?[] nodes, string[] reasons, int parity)
    {
        (_nodes, _reasons) = (nodes, reasons);
        _code = new ErasureCode(nodes.Length - parity, parity);
        Location = $"set of {nodes.Length} ({_code.Data}+{parity}) at {nodes.FirstOrDefault(n => n is not null)?.Location ?? reasons[0]}";
    }

    /// <inheritdoc/>
    public string Location { get; }

    /// <summary>Units that had to be computed because a shard was lost or damaged.</summary>
    public long RebuiltUnits => Interlocked.Read(ref _rebuilt);

    /// <summary>Nodes that cannot be reached, with the reason.</summary>
    public IReadOnlyList<string> Unreachable => [.. _reasons.Where((_, i) => _nodes[i] is null)];

    /// <inheritdoc/>
    public IReadOnlyList<string> List(StoreDirectory directory)
    {
        RequireEnough();
        // Of temporary files every one is listed, so that gc removes what a crash left on a few nodes.
        return [.. Count(directory).Where(n => n.Value >= _code.Data || n.Key.StartsWith(".tmp-", StringComparison.Ordinal)).Select(n => n.Key)];
    }

    /// <inheritdoc/>
    public IStoreFile Create(StoreDirectory directory, string name)
    {
        RequireAll();
        IStoreFile?[] shards = new IStoreFile?[_nodes.Length];
        try
        {
            for (int i = 0; i < shards.Length; i++) shards[i] = _nodes[i]!.Create(directory, name);
            return new ErasureWriter(shards!, _code, $"{Location}/{name}");
        }
        catch
        {
            for (int i = 0; i < shards.Length; i++)
            {
                if (shards[i] is not { } made) continue;
                made.Dispose();
                try { _nodes[i]!.Delete(directory, name); }
                catch (StoreException) { } // gc or the next heal takes it
            }
            throw;
        }
    }

    /// <inheritdoc/>
    public IStoreFile? TryOpen(StoreDirectory directory, string name, bool write = false)
    {
        if (write) throw new StoreException(StoreErrorKind.IO, $"{Location}/{name}: what is written on an erasure-coded tier cannot be changed");
        RequireEnough();
        if (Open(directory, name, out _) is { } file) return file;
        if (directory == StoreDirectory.Root) RequireNoRemains();
        return null;
    }

    /// <inheritdoc/>
    public void Rename(StoreDirectory directory, string from, string to, bool replace = true)
    {
        RequireAll();
        if (!replace && List(directory).Contains(to)) throw new StoreException(StoreErrorKind.Busy, $"{Location}/{to}: exists already");
        foreach (IStoreFiles? node in _nodes) node!.Rename(directory, from, to);
    }

    /// <inheritdoc/>
    public void Delete(StoreDirectory directory, string name)
    {
        // A checkpoint must not come back with a node that was away; of what no checkpoint names, the rest is taken by gc.
        if (directory == StoreDirectory.Checkpoints) RequireAll();
        StoreException? failure = null;
        foreach (IStoreFiles? node in _nodes)
        {
            try { node?.Delete(directory, name); }
            catch (StoreException e) { failure ??= e; }
        }
        if (failure is not null) throw failure;
    }

    /// <inheritdoc/>
    public void SyncDirectory(StoreDirectory directory)
    {
        RequireAll();
        foreach (IStoreFiles? node in _nodes) node!.SyncDirectory(directory);
    }

    /// <inheritdoc/>
    public IDisposable? TryLock(bool exclusive)
    {
        if (exclusive) RequireAll(); else RequireEnough();
        Leases leases = new();
        try
        {
            foreach (IStoreFiles? node in _nodes)
            {
                if (node is null) continue;
                if (node.TryLock(exclusive) is { } lease) leases.Held.Add(lease);
                else
                {
                    leases.Dispose();
                    return null;
                }
            }
            return leases;
        }
        catch
        {
            leases.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public long FreeBytes() => _nodes.Where(n => n is not null).Select(n => n!.FreeBytes()).DefaultIfEmpty(0).Min() * _code.Data;

    /// <summary>Whether some node lacks a shard that it should have; shards are not read.</summary>
    public bool IsDegraded()
        => _nodes.Any(n => n is null) || s_directories.Any(d => Count(d).Any(n => n.Value < _nodes.Length && IsShard(d, n.Key)));

    /// <summary>
    /// Computes the shards that are missing or damaged and puts them where they belong. What too few nodes have is left where it is, since a lost one may come back, unless it shows that no
    /// checkpoint can need it.
    /// </summary>
    /// <param name="thorough">reads every unit; else only looks for files that are missing</param>
    /// <returns>shards written</returns>
    /// <exception cref="StoreException">Busy: the tier is in use. IO: a node cannot be reached. Damaged: too few shards of a file.</exception>
    public int Heal(bool thorough)
    {
        RequireAll();
        using IDisposable lease = TryLock(exclusive: true) ?? throw new StoreException(StoreErrorKind.Busy, $"{Location}: in use; try again when that has ended");
        int healed = 0;
        StoreException? lost = null;
        foreach (StoreDirectory directory in s_directories)
        {
            bool changed = false;
            Dictionary<string, int> counts = Count(directory, all: true);
            foreach ((string name, int count) in counts)
            {
                if (!IsShard(directory, name)) continue;
                if (count < _code.Data)
                {
                    // A pack goes after its index and an index comes after its pack, on every node: one without the other is of a session that died, or of a gc.
                    bool alone = directory == StoreDirectory.Packs && !counts.ContainsKey(name.EndsWith(".idx", StringComparison.Ordinal) ? $"{name[..^4]}.pack" : $"{name.Split('.')[0]}.idx");
                    if (alone || directory == StoreDirectory.Sessions) foreach (IStoreFiles? node in _nodes) node!.Delete(directory, name);
                    continue;
                }
                if (count == _nodes.Length && !thorough) continue;
                try
                {
                    int written = HealFile(directory, name, thorough);
                    healed += written;
                    changed |= written > 0;
                }
                catch (StoreException e) when (e.Kind == StoreErrorKind.Damaged)
                {
                    // What was never synced may be anything: a session's file, a pack without its index.
                    if (directory != StoreDirectory.Sessions && !(name.EndsWith(".pack", StringComparison.Ordinal) && !counts.ContainsKey($"{name.Split('.')[0]}.idx"))) lost ??= e;
                }
            }
            if (changed) SyncDirectory(directory);
        }
        if (lost is not null) throw lost; // after the rest was done
        return healed;
    }

    public void Dispose()
    {
        foreach (IStoreFiles? node in _nodes) node?.Dispose();
    }

    internal void CountRebuilt() => Interlocked.Increment(ref _rebuilt);

    internal ErasureRecipe RecipeFor(int[] present, int wanted) => _recipes.GetOrAdd($"{string.Join(',', present)}>{wanted}", _ => _code.Rebuild(present, [wanted]));

    private int HealFile(StoreDirectory directory, string name, bool thorough)
    {
        using ErasureReader reader = Open(directory, name, out bool[] has) ?? throw new StoreException(StoreErrorKind.Damaged, $"{Location}/{name}: too few shards");
        ShardHeader header = reader.Header;
        for (int i = 0; thorough && i < has.Length; i++)
            for (long s = 0; s < header.Stripes && has[i]; s++) has[i] = reader.TryRead(s, i, header.UnitBytesOf(s)) is not null;
        int written = 0;
        for (int i = 0; i < has.Length; i++)
        {
            if (has[i]) continue;
            string temporary = $".tmp-{DateTimeOffset.UtcNow.ToUnixTimeMilliseconds():x12}{System.Security.Cryptography.RandomNumberGenerator.GetHexString(12, lowercase: true)}";
            try
            {
                using (IStoreFile shard = _nodes[i]!.Create(directory, temporary))
                {
                    byte[] start = new byte[ShardHeader.HeaderBytes];
                    (header with { Number = i }).Write(start);
                    shard.WriteAt(0, start);
                    for (long s = 0; s < header.Stripes; s++)
                    {
                        byte[] unit = reader.Unit(s, i, header.UnitBytesOf(s)), bytes = new byte[unit.Length + ShardHeader.HashBytes];
                        XxHash.XxHash128.Hash(unit, bytes);
                        unit.CopyTo(bytes.AsSpan(ShardHeader.HashBytes));
                        shard.WriteAt(ShardHeader.OffsetOf(s), bytes);
                    }
                    shard.Sync();
                }
                _nodes[i]!.Rename(directory, temporary, name);
            }
            catch
            {
                _nodes[i]!.Delete(directory, temporary);
                throw;
            }
            written++;
        }
        return written;
    }

    /// <returns>null: fewer than k nodes have a file of this name</returns>
    /// <param name="has">which of the shards are of this file</param>
    /// <exception cref="StoreException">Damaged: k nodes have one, but not of one file</exception>
    private ErasureReader? Open(StoreDirectory directory, string name, out bool[] has)
    {
        IStoreFile?[] shards = new IStoreFile?[_nodes.Length];
        ShardHeader?[] headers = new ShardHeader?[_nodes.Length];
        has = new bool[_nodes.Length];
        try
        {
            for (int i = 0; i < shards.Length; i++)
            {
                try { shards[i] = _nodes[i]?.TryOpen(directory, name); }
                catch (StoreException e) when (e.Kind is StoreErrorKind.IO or StoreErrorKind.Damaged) { continue; } // as good as lost
                if (shards[i] is { } shard && ShardHeader.TryRead(shard, _code.Data, _code.Parity, i, $"{_nodes[i]!.Location}/{name}", out ShardHeader header)) headers[i] = header;
            }
            int there = shards.Count(s => s is not null);
            var file = headers.Where(h => h is not null).GroupBy(h => (h!.Value.FileId, h.Value.LengthBytes)).OrderByDescending(g => g.Count()).FirstOrDefault();
            if (file is null || file.Count() < _code.Data)
            {
                foreach (IStoreFile? shard in shards) shard?.Dispose();
                if (there < _code.Data) return null;
                throw new StoreException(StoreErrorKind.Damaged, $"{Location}/{name}: {file?.Count() ?? 0} of {_nodes.Length} shards are whole, and {_code.Data} are needed");
            }
            for (int i = 0; i < shards.Length; i++)
            {
                has[i] = headers[i] is { } h && (h.FileId, h.LengthBytes) == file.Key;
                if (has[i]) continue;
                shards[i]?.Dispose();
                shards[i] = null;
            }
            return new ErasureReader(shards, file.First()!.Value, _code, this, $"{Location}/{name}");
        }
        catch
        {
            foreach (IStoreFile? shard in shards) shard?.Dispose();
            throw;
        }
    }

    private Dictionary<string, int> Count(StoreDirectory directory, bool all = false)
    {
        Dictionary<string, int> count = [];
        foreach (IStoreFiles? node in _nodes)
        {
            if (node is null) continue;
            IReadOnlyList<string> names;
            try { names = node.List(directory); }
            catch (StoreException) when (!all) { continue; } // it went away meanwhile
            foreach (string name in names) count[name] = count.GetValueOrDefault(name) + 1;
        }
        return count;
    }

    /// <summary>Of the root only the file that names the format; a temporary file is nobody's yet.</summary>
    private static bool IsShard(StoreDirectory directory, string name) => directory == StoreDirectory.Root ? name == "format" : !name.StartsWith(".tmp-", StringComparison.Ordinal);

    /// <summary>Where too many nodes were lost at once, what the others have must not be taken for a new set.</summary>
    private void RequireNoRemains()
    {
        if (Count(StoreDirectory.Checkpoints).Count == 0 && Count(StoreDirectory.Packs).Count == 0) return;
        throw new StoreException(StoreErrorKind.Damaged,
            $"{Location}: {Count(StoreDirectory.Root).GetValueOrDefault("format")} of {_nodes.Length} nodes still have their shards, and {_code.Data} are needed; bring a lost one back, or remove what is left to begin anew");
    }

    private void RequireAll()
    {
        if (Unreachable is [string first, ..]) throw new StoreException(StoreErrorKind.IO, $"{Location}: {Unreachable.Count} of {_nodes.Length} nodes cannot be reached, and writing needs all: {first}");
    }

    private void RequireEnough()
    {
        int there = _nodes.Count(n => n is not null);
        if (there < _code.Data) throw new StoreException(StoreErrorKind.IO, $"{Location}: {there} of {_nodes.Length} nodes can be reached, and {_code.Data} are needed: {Unreachable[0]}");
    }

    private sealed class Leases : IDisposable
    {
        internal List<IDisposable> Held { get; } = [];

        public void Dispose()
        {
            foreach (IDisposable lease in Held) lease.Dispose();
        }
    }
}
