using System.Collections.Concurrent;
using TreCr.Images;

namespace TreCr.Store;

/// <summary>One run of <see cref="SnapshotStore.Fill"/>: finds what is missing, writes it in pieces.</summary>
internal sealed class StoreFill : IDisposable
{
    private const long ProgressBytes = 4 << 20, ProgressMs = 250;

    private readonly SnapshotStore _store;
    private readonly JobManifest _checkpoint;
    private readonly IReadOnlyList<SnapshotStore> _sources;
    private readonly FillOptions _options;
    private readonly long[] _from;
    private readonly HashSet<UInt128> _seen = [];
    private readonly List<UInt128> _missing = [], _present = [];
    private readonly long _startedMs = Environment.TickCount64;
    private SessionFile? _session;
    private PackWriter? _pack;
    private byte[] _plain = [];
    private long _damaged, _bytes, _told, _total, _toldMs = Environment.TickCount64;

    internal StoreFill(SnapshotStore store, JobManifest checkpoint, IReadOnlyList<SnapshotStore> sources, FillOptions options)
    {
        (_store, _checkpoint, _sources, _options) = (store, checkpoint, sources, options);
        _from = new long[sources.Count];
    }

    /// <summary>Brings everything; the packs are part of the store then.</summary>
    internal FillReport Run()
    {
        foreach (SnapshotReference reference in _checkpoint.Ranks.SelectMany(r => r.Snapshots))
        {
            ContentHash hash = ContentHash.FromBytes(reference.ManifestHash.Span);
            foreach (UInt128 frame in Load(hash).Objects) Look(frame);
            Look(hash.Value);
        }
        if (_options.Verify) FindDamaged();
        _total = _missing.Sum(StoredBytes);
        _options.Progress?.Invoke(new FillProgress(0, _total));
        foreach (UInt128 hash in _missing) Bring(hash);
        Seal();
        if (_bytes != _told || _total != _bytes) _options.Progress?.Invoke(new FillProgress(_bytes, _bytes));
        return new FillReport(_missing.Count, _damaged, _bytes, _from);
    }

    /// <summary>The checkpoint is committed: nothing has to be kept for it any more.</summary>
    internal void End() => _session?.Delete();

    public void Dispose()
    {
        try
        {
            _pack?.Discard();
            _session?.Delete();
        }
        catch (StoreException) { } // gc takes them
        _pack?.Dispose();
        _pack = null;
    }

    /// <summary>A snapshot's manifest, from wherever it is whole.</summary>
    private SnapshotFrames Load(ContentHash hash)
    {
        StoreException? first = null;
        foreach (SnapshotStore store in _sources.Prepend(_store))
        {
            try { return store.LoadSnapshot(hash); }
            catch (StoreException e) when (IsLoss(e)) { first ??= e; }
        }
        throw Lost(first!);
    }

    private void Look(UInt128 hash)
    {
        if (!_seen.Add(hash)) return;
        (_store.Catalog.Contains(hash) ? _present : _missing).Add(hash);
    }

    /// <summary>Reads all that is there, on several threads.</summary>
    private void FindDamaged()
    {
        ConcurrentQueue<UInt128> damaged = [];
        Parallel.ForEach(Partitioner.Create(0, Math.Max(1, _present.Count), 64), range =>
        {
            byte[] plain = [];
            for (int i = range.Item1; i < Math.Min(range.Item2, _present.Count); i++)
            {
                try { _store.Catalog.ReadStored(_present[i], ref plain, out _); }
                catch (StoreException) { damaged.Enqueue(_present[i]); } // a disk that gives EIO, too
            }
        });
        _damaged = damaged.Count;
        _missing.AddRange(damaged);
    }

    private long StoredBytes(UInt128 hash)
    {
        foreach (SnapshotStore source in _sources)
            if (source.Catalog.TryFind(hash, out _, out IndexEntry entry)) return PackWriter.RecordBytes(entry.StoredBytes);
        return 0;
    }

    private void Bring(UInt128 hash)
    {
        _options.Cancel.ThrowIfCancellationRequested();
        StoreException? first = null;
        for (int i = 0; i < _sources.Count; i++)
        {
            byte[] stored;
            int plainBytes;
            try { stored = _sources[i].Catalog.ReadStored(hash, ref _plain, out plainBytes); }
            catch (StoreException e) when (IsLoss(e))
            {
                first ??= e;
                continue;
            }
            Write(hash, plainBytes, stored);
            _from[i]++;
            return;
        }
        throw Lost(first ?? _store.Catalog.Missing(hash));
    }

    private void Write(UInt128 hash, int plainBytes, byte[] stored)
    {
        if (_pack is null)
        {
            string id = NewSession();
            _session ??= SessionFile.Begin(_store.Files, id, _store.Seal);
            _pack = new PackWriter(_store.Files, id, _store.Seal);
        }
        _pack.Claim(hash);
        _pack.AppendStored(hash, plainBytes, stored);
        _bytes += PackWriter.RecordBytes(stored.Length);
        if (_bytes - _told >= ProgressBytes || Environment.TickCount64 - _toldMs >= ProgressMs)
        {
            (_told, _toldMs) = (_bytes, Environment.TickCount64);
            _options.Progress?.Invoke(new FillProgress(_bytes, Math.Max(_total, _bytes)));
        }
        if (_pack.LengthBytes >= _options.PieceBytes) Seal();
        if (_options.MaxBytesPerSecond <= 0) return;
        long due = _startedMs + (long)(_bytes * 1000.0 / _options.MaxBytesPerSecond), wait = due - Environment.TickCount64;
        if (wait > 0) _options.Cancel.WaitHandle.WaitOne((int)Math.Min(wait, int.MaxValue));
    }

    /// <summary>What was written so far becomes part of the store.</summary>
    private void Seal()
    {
        if (_pack is null) return;
        _pack.Commit();
        _pack.Dispose();
        _pack = null;
        _store.Catalog.Refresh();
    }

    /// <summary>Newer than every pack that is there, also where the clock jumped back: of two packs that have an object the newer is read.</summary>
    private string NewSession()
    {
        DateTimeOffset now = _store.Options.Time.GetUtcNow();
        foreach (PackIndex pack in _store.Catalog.Packs)
            if (Format.TimeOf(pack.SessionId) is var time && time >= now && time.Year < 9999) now = time.AddMilliseconds(1);
        return Format.NewSessionId(now);
    }

    /// <summary>The next source may have it: damaged or missing here, a disk that fails, an agent that has gone.</summary>
    private static bool IsLoss(StoreException e) => e.Kind is StoreErrorKind.Damaged or StoreErrorKind.IO;

    private StoreException Lost(StoreException e) => new(StoreErrorKind.Damaged, $"checkpoint {_checkpoint.CheckpointId}: {e.Message}; no other tier has it", e);
}
