using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TreCr.Zstd;

namespace TreCr.Store;

/// <summary>All objects of all committed packs, by hash. Any thread.</summary>
internal sealed class StoreCatalog(IStoreFiles files, StoreSeal seal) : IDisposable
{
    private readonly Lock _lock = new();

    internal StoreSeal Seal => seal;

    private readonly Dictionary<string, PackIndex> _packs = [];
    private Dictionary<UInt128, (PackIndex Pack, IndexEntry Entry)>? _objects; // null: not made yet
    private int _searches, _firstSearches;

    [ThreadStatic] private static Decompressor? t_decompressor;
    [ThreadStatic] private static byte[]? t_opened;

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
            if (removed) _objects = null;
            foreach (string id in present)
            {
                if (_packs.ContainsKey(id)) continue;
                PackIndex pack = PackIndex.Load(files, id, seal);
                _packs.Add(id, pack);
                Add(pack);
            }
            // So many objects are looked up in the packs' own lists before one of all packs is made, which costs about as much: who opens a store for a manifest and the pages that a lazily
            // restored program needs first does not wait for it (2 ms for each GiB).
            _firstSearches = Math.Max(64, _packs.Values.Sum(p => p.Entries.Length) / Math.Max(1, _packs.Count) / 2);
        }
    }

    /// <summary>Looks too whether indexes were made anew: a repair leaves out what is damaged. Reads all of them.</summary>
    internal void RefreshRepaired()
    {
        lock (_lock)
        {
            Refresh();
            foreach ((string id, PackIndex known) in _packs.ToArray())
            {
                PackIndex now = PackIndex.Load(files, id, seal);
                if (now.Entries.AsSpan().SequenceEqual(known.Entries)) now.Dispose();
                else
                {
                    _packs[id] = now; // somebody may just be reading from the other
                    _objects = null;
                }
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
    internal bool Contains(UInt128 hash) => TryFind(hash, out _, out _);

    /// <returns>false: no committed pack has the object</returns>
    internal bool TryFind(UInt128 hash, [NotNullWhen(true)] out PackIndex? pack, out IndexEntry entry)
    {
        lock (_lock)
        {
            if (_objects is null && _searches++ < _firstSearches) return TrySearch(hash, out pack, out entry);
            if (_objects is null)
            {
                _objects = new Dictionary<UInt128, (PackIndex Pack, IndexEntry Entry)>(_packs.Values.Sum(p => p.Entries.Length));
                foreach (PackIndex one in _packs.Values) Add(one);
            }
            bool found = _objects.TryGetValue(hash, out (PackIndex Pack, IndexEntry Entry) at);
            pack = at.Pack;
            entry = at.Entry;
            return found;
        }
    }

    private bool TrySearch(UInt128 hash, [NotNullWhen(true)] out PackIndex? pack, out IndexEntry entry)
    {
        pack = null;
        entry = default;
        foreach (PackIndex one in _packs.Values)
        {
            int at = one.Find(hash);
            if (at < 0 || pack is not null && !IsNewer(one, pack)) continue;
            pack = one;
            entry = one.Entries[at];
        }
        return pack is not null;
    }

    /// <summary>Of two packs that have an object the newer counts: it is there because the other one's was damaged, or by chance.</summary>
    private static bool IsNewer(PackIndex pack, PackIndex than) => string.CompareOrdinal(pack.SessionId, than.SessionId) > 0;

    /// <summary>Reads an object and verifies its hash. Where it is damaged in one pack and another has it too, that one is read.</summary>
    /// <param name="into">exactly as long as the object</param>
    /// <param name="verify">false: the caller looks at a hash of what it makes of it, and reads again if that is another</param>
    /// <exception cref="StoreException">Damaged: missing, or not the bytes that were written.</exception>
    internal void Read(UInt128 hash, Span<byte> into, bool verify = true)
    {
        if (!TryFind(hash, out PackIndex? pack, out IndexEntry entry)) throw Missing(hash);
        try { ReadFrom(pack, entry, into, verify); }
        catch (StoreException e) when (e.Kind == StoreErrorKind.Damaged)
        {
            foreach ((PackIndex other, IndexEntry again) in OthersWith(hash, pack))
            {
                try
                {
                    ReadFrom(other, again, into, verify);
                    return;
                }
                catch (StoreException o) when (o.Kind == StoreErrorKind.Damaged) { } // the first failure is told
            }
            throw;
        }
    }

    /// <summary>Reads a piece of an object that is stored as it is, in a file of which small pieces can be had as fast; nothing is verified.</summary>
    /// <param name="offsetBytes">in the object</param>
    /// <returns>false: it is compressed, encrypted, far away, missing or too short: to be read whole</returns>
    internal bool TryReadPiece(UInt128 hash, int offsetBytes, Span<byte> into)
        => !seal.Encrypts && TryFind(hash, out PackIndex? pack, out IndexEntry entry) && pack.Pack is { IsLocal: true } file && !seal.IsCompressed(entry.StoredBytes, entry.PlainBytes)
            && offsetBytes + into.Length <= entry.PlainBytes && file.ReadAt(entry.OffsetBytes + offsetBytes, into) == into.Length;

    /// <summary>Reads an object as it is stored, verified.</summary>
    /// <param name="plain">scratch, grown where it is too short</param>
    /// <param name="plainBytes">equal to the length of the answer: not compressed</param>
    /// <exception cref="StoreException">Damaged: missing, or not the bytes that were written.</exception>
    internal byte[] ReadStored(UInt128 hash, ref byte[] plain, out int plainBytes)
    {
        if (!TryFind(hash, out PackIndex? pack, out IndexEntry entry)) throw Missing(hash);
        StoreException? first = null;
        foreach ((PackIndex at, IndexEntry e) in OthersWith(hash, pack).Prepend((pack, entry)))
        {
            try
            {
                byte[] stored = new byte[e.StoredBytes];
                if (at.Pack!.ReadAt(e.OffsetBytes, stored) != stored.Length) throw new StoreException(StoreErrorKind.Damaged, $"{Name(hash, at)} is cut off");
                if (plain.Length < e.PlainBytes) plain = new byte[e.PlainBytes];
                Unpack(at, e, stored, plain.AsSpan(0, e.PlainBytes));
                plainBytes = e.PlainBytes;
                return stored;
            }
            catch (StoreException e1) when (e1.Kind == StoreErrorKind.Damaged) { first ??= e1; }
        }
        throw first!;
    }

    private List<(PackIndex Pack, IndexEntry Entry)> OthersWith(UInt128 hash, PackIndex but)
    {
        List<(PackIndex, IndexEntry)> found = [];
        foreach (PackIndex pack in Packs)
        {
            if (pack == but || pack.Pack is null) continue;
            int at = pack.Find(hash);
            if (at >= 0) found.Add((pack, pack.Entries[at]));
        }
        return found;
    }

    [SkipLocalsInit]
    private void ReadFrom(PackIndex pack, IndexEntry entry, Span<byte> into, bool verify)
    {
        if (entry.PlainBytes != into.Length) throw new StoreException(StoreErrorKind.Damaged, $"{Name(entry.Hash, pack)} has {entry.PlainBytes} bytes, not {into.Length}");
        const int OnStack = Format.FrameSizeBytes + 64;
        Span<byte> stored = entry.StoredBytes == entry.PlainBytes ? into : entry.StoredBytes <= OnStack ? stackalloc byte[OnStack] : new byte[entry.StoredBytes];
        stored = stored[..entry.StoredBytes];
        if (pack.Pack!.ReadAt(entry.OffsetBytes, stored) != stored.Length) throw new StoreException(StoreErrorKind.Damaged, $"{Name(entry.Hash, pack)} is cut off");
        Unpack(pack, entry, stored, into, verify);
    }

    private void Unpack(PackIndex pack, IndexEntry entry, ReadOnlySpan<byte> stored, Span<byte> plain, bool verify = true)
    {
        if (TryUnpack(seal, entry, stored, plain, verify) is { } problem) throw new StoreException(StoreErrorKind.Damaged, $"{Name(entry.Hash, pack)} is damaged ({problem})");
    }

    /// <summary>Decrypts, decompresses and verifies an object.</summary>
    /// <param name="stored">may be <paramref name="plain"/> itself where the object is neither encrypted nor compressed</param>
    /// <param name="plain">[entry.PlainBytes]</param>
    /// <param name="verify">compare its hash</param>
    /// <returns>null: it is what was written; else what is wrong with it</returns>
    internal static string? TryUnpack(StoreSeal seal, IndexEntry entry, ReadOnlySpan<byte> stored, Span<byte> plain, bool verify = true)
    {
        bool compressed = seal.IsCompressed(entry.StoredBytes, entry.PlainBytes);
        ReadOnlySpan<byte> payload = stored;
        if (seal.Encrypts)
        {
            int length = stored.Length - seal.OverheadBytes;
            Span<byte> opened = plain;
            if (compressed)
            {
                if (t_opened is null || t_opened.Length < length) t_opened = new byte[Math.Max(length, Format.FrameSizeBytes)];
                opened = t_opened.AsSpan(0, length);
            }
            if (!seal.TryOpen(entry.Hash, entry.PlainBytes, stored, opened)) return "it is not what was encrypted under this name";
            payload = opened;
        }
        if (compressed)
        {
            try
            {
                if ((t_decompressor ??= new Decompressor()).Unwrap(payload, plain) != plain.Length) return "shorter than it was";
            }
            catch (ZstdException e) { return e.Message; }
        }
        else if (!Unsafe.AreSame(ref MemoryMarshal.GetReference(payload), ref MemoryMarshal.GetReference(plain))) payload.CopyTo(plain); // memmove would copy it onto itself
        return !verify || seal.Name(plain) == entry.Hash ? null : "its bytes have another hash";
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
            _objects = null;
        }
    }

    private string Name(UInt128 hash, PackIndex pack) => $"{files.Location}/packs/{pack.SessionId}{Format.PackSuffix}: object {hash:x32}";

    private void Add(PackIndex pack)
    {
        if (_objects is null) return;
        _objects.EnsureCapacity(_objects.Count + pack.Entries.Length);
        foreach (IndexEntry entry in pack.Entries)
        {
            ref (PackIndex Pack, IndexEntry Entry) at = ref CollectionsMarshal.GetValueRefOrAddDefault(_objects, entry.Hash, out bool known);
            if (!known || IsNewer(pack, at.Pack)) at = (pack, entry);
        }
    }
}
