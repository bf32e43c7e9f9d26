using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using TreCr.XxHash;
using TreCr.Zstd;

namespace TreCr.Store;

/// <summary>All objects of all committed packs, by hash. Any thread.</summary>
internal sealed class StoreCatalog(IStoreFiles files) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, PackIndex> _packs = [];
    private readonly Dictionary<UInt128, (PackIndex Pack, IndexEntry Entry)> _objects = [];

    [ThreadStatic] private static Decompressor? t_decompressor;

    /// <summary>Packs now known.</summary>
    internal PackIndex[] Packs
    {
        get { lock (_lock) return [.. _packs.Values]; }
    }

    /// <summary>Looks for packs that came or went. Reads only new indexes.</summary>
    internal void Refresh()
    {
        lock (_lock)
        {
            HashSet<string> present = [];
            foreach (string name in files.List(StoreDirectory.Packs))
            {
                if (!name.EndsWith(Format.IndexSuffix, StringComparison.Ordinal)) continue;
                string id = name[..^Format.IndexSuffix.Length];
                if (Format.IsSessionId(id)) present.Add(id);
            }
            bool removed = false;
            foreach (string id in _packs.Keys.ToArray())
            {
                if (present.Contains(id)) continue;
                _packs[id].Dispose();
                _packs.Remove(id);
                removed = true;
            }
            if (removed)
            {
                _objects.Clear();
                foreach (PackIndex pack in _packs.Values) Add(pack);
            }
            foreach (string id in present)
            {
                if (_packs.ContainsKey(id)) continue;
                PackIndex pack = PackIndex.Load(files, id);
                _packs.Add(id, pack);
                Add(pack);
            }
        }
    }

    /// <summary>Forgets everything and reads all indexes again.</summary>
    internal void Reload()
    {
        lock (_lock)
        {
            Dispose();
            Refresh();
        }
    }

    /// <returns>true when a committed pack has the object</returns>
    internal bool Contains(UInt128 hash)
    {
        lock (_lock) return _objects.ContainsKey(hash);
    }

    /// <returns>false: no committed pack has the object</returns>
    internal bool TryFind(UInt128 hash, [NotNullWhen(true)] out PackIndex? pack, out IndexEntry entry)
    {
        lock (_lock)
        {
            bool found = _objects.TryGetValue(hash, out (PackIndex Pack, IndexEntry Entry) at);
            pack = at.Pack;
            entry = at.Entry;
            return found;
        }
    }

    /// <summary>Reads an object and verifies its hash.</summary>
    /// <param name="into">exactly as long as the object</param>
    /// <exception cref="StoreException">Damaged: missing, or not the bytes that were written.</exception>
    [SkipLocalsInit]
    internal void Read(UInt128 hash, Span<byte> into)
    {
        if (!TryFind(hash, out PackIndex? pack, out IndexEntry entry)) throw Missing(hash);
        if (entry.PlainBytes != into.Length) throw new StoreException(StoreErrorKind.Damaged, $"{Name(hash, pack)} has {entry.PlainBytes} bytes, not {into.Length}");
        if (entry.StoredBytes == entry.PlainBytes)
        {
            if (pack.Pack!.ReadAt(entry.OffsetBytes, into) != into.Length) throw new StoreException(StoreErrorKind.Damaged, $"{Name(hash, pack)} is cut off");
        }
        else
        {
            Span<byte> stored = entry.StoredBytes <= Format.FrameSizeBytes ? stackalloc byte[Format.FrameSizeBytes] : new byte[entry.StoredBytes];
            stored = stored[..entry.StoredBytes];
            if (pack.Pack!.ReadAt(entry.OffsetBytes, stored) != stored.Length) throw new StoreException(StoreErrorKind.Damaged, $"{Name(hash, pack)} is cut off");
            try
            {
                if ((t_decompressor ??= new Decompressor()).Unwrap(stored, into) != into.Length)
                    throw new StoreException(StoreErrorKind.Damaged, $"{Name(hash, pack)} is damaged (shorter than it was)");
            }
            catch (ZstdException e)
            {
                throw new StoreException(StoreErrorKind.Damaged, $"{Name(hash, pack)} is damaged ({e.Message})", e);
            }
        }
        if (XxHash128.HashToUInt128(into) != hash) throw new StoreException(StoreErrorKind.Damaged, $"{Name(hash, pack)} is damaged (its bytes have another hash)");
    }

    /// <summary>Reads an object of a length not known before.</summary>
    /// <exception cref="StoreException">NotFound: none of this name; Damaged.</exception>
    internal byte[] ReadWhole(UInt128 hash, string what)
    {
        if (!TryFind(hash, out _, out IndexEntry entry))
        {
            StoreException missing = Missing(hash);
            throw new StoreException(missing.Kind, $"{what}: {missing.Message}");
        }
        byte[] bytes = new byte[entry.PlainBytes];
        try { Read(hash, bytes); }
        catch (StoreException e) { throw new StoreException(e.Kind, $"{what}: {e.Message}", e); }
        return bytes;
    }

    /// <summary>An object that should be there is not: says which damaged file it may have been in.</summary>
    internal StoreException Missing(UInt128 hash)
    {
        lock (_lock)
        {
            StoreException? problem = _packs.Values.Select(p => p.Problem).FirstOrDefault(p => p is not null);
            return problem is { Kind: StoreErrorKind.NewerFormat }
                ? problem
                : new StoreException(StoreErrorKind.Damaged, $"object {hash:x32} is missing" + (problem is null ? $" in {files.Location}" : $"; {problem.Message}"));
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            foreach (PackIndex pack in _packs.Values) pack.Dispose();
            _packs.Clear();
            _objects.Clear();
        }
    }

    private string Name(UInt128 hash, PackIndex pack) => $"{files.Location}/packs/{pack.SessionId}{Format.PackSuffix}: object {hash:x32}";

    private void Add(PackIndex pack)
    {
        _objects.EnsureCapacity(_objects.Count + pack.Entries.Length);
        foreach (IndexEntry entry in pack.Entries) _objects.TryAdd(entry.Hash, (pack, entry));
    }
}
