using Google.Protobuf;
using TreCr.Images;

namespace TreCr.Store;

/// <summary>
/// Writes one snapshot: frames are copied and taken over at once; threads of its own hash, compress and append them to the session's pack. What
/// goes wrong behind shows in <see cref="Finish"/>. Nothing of it is visible before <see cref="Finish"/>, and nothing is left after <see cref="Abort"/>.
/// </summary>
/// <remarks>Parts and frames: any thread. Finish, Abort, Dispose: one thread, after all writes have returned.</remarks>
public sealed unsafe class StoreSnapshotWriter : ISnapshotWriter, IDisposable
{
    private readonly SnapshotStore _store;
    private readonly ContentHash? _baseHash;
    private readonly SnapshotFrames? _base;
    private readonly IDisposable _lease;
    private readonly SessionFile _session;
    private readonly PackWriter _pack;
    private readonly FrameQueue _queue;
    private readonly FrameWorker[] _workers;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, StorePartWriter> _parts = [];
    private readonly Dictionary<string, (FrameList Frames, int LengthBytes)> _records = [];
    private readonly List<Held> _held = []; // frames that wait for Finish; under _lock
    private readonly List<(CopiedPages Pages, StorePartWriter Part)> _heldPages = []; // likewise
    private readonly List<FramePatch> _patches = []; // under itself
    private bool _ended, _joined, _holding;

    /// <param name="lease">the store's shared lock; owned</param>
    internal StoreSnapshotWriter(SnapshotStore store, IDisposable lease, ContentHash? baseHash, SnapshotFrames? baseFrames)
    {
        _store = store;
        _lease = lease;
        _baseHash = baseHash;
        _base = baseFrames;
        string id = Format.NewSessionId(store.Options.Time.GetUtcNow());
        _session = SessionFile.Begin(store.Files, id, store.Seal);
        try
        {
            _pack = new PackWriter(store.Files, id, store.Seal);
        }
        catch
        {
            _session.Delete();
            throw;
        }
        StoreOptions options = store.Options;
        MemoryHeadroom room = MemoryHeadroom.Read();
        long limitBytes = room.ForCopies(options.MemoryLimitBytes);
        CopyLimit = $"copies may take {limitBytes >> 20} MiB here: {(limitBytes == options.MemoryLimitBytes ? "--max-extra-memory" : $"{room.Bytes >> 20} MiB are free, {room.Bound}")}";
        _queue = new FrameQueue(limitBytes);
        _workers = new FrameWorker[options.Workers > 0 ? options.Workers : store.Compression.Threads(Math.Min(Environment.ProcessorCount, 16))];
        for (int i = 0; i < _workers.Length; i++) _workers[i] = new FrameWorker(this, _queue, store.Catalog, _pack, store.Compression, i);
    }

    /// <summary>How much memory its copies may take, and why, in words.</summary>
    public string CopyLimit { get; }

    /// <summary>Name of the session: its pack is <c>packs/ID.pack</c>.</summary>
    public string SessionId => _pack.SessionId;

    /// <summary>
    /// Maps and touches buffers for this many bytes of frames, up to the memory limit. Called while the program still runs, so that no page fault
    /// falls into its stop.
    /// </summary>
    public void Prepare(long bytes) => _queue.Prepare(bytes);

    /// <inheritdoc/>
    /// <remarks>Looks at samples, their compression and whether the store has them, only where the plain bytes would not fit; a fifth less than they say is needed surely.</remarks>
    /// <exception cref="StoreException">NoSpace</exception>
    public void RequireRoom(long plainBytes, Func<double, nint, bool> sample)
    {
        long free = _store.EstimateFits(plainBytes).FreeBytes; // what can be spared of it is another matter: here only what cannot be is refused
        if (plainBytes <= free) return;
        const int Samples = 128;
        byte[] stored = new byte[Format.FrameSizeBytes];
        nint frame = TakeFrame();
        if (frame == 0) return;
        long needed = 0;
        int seen = 0;
        using (Zstd.Compressor? compressor = _store.Compression.Level is not 0 and var level ? new Zstd.Compressor(level) : null)
            for (int i = 0; i < Samples; i++)
            {
                if (!sample((i + 0.5) / Samples, frame)) continue;
                ReadOnlySpan<byte> bytes = new((void*)frame, Format.FrameSizeBytes);
                seen++;
                if (!bytes.ContainsAnyExcept((byte)0) || _store.Catalog.Contains(_store.Seal.Name(bytes))) continue;
                needed += compressor is not null && compressor.TryWrap(bytes, stored, out int length) ? length : bytes.Length;
            }
        ReturnFrame(frame);
        if (seen < Samples / 2) return;
        long atLeast = (long)((double)needed / seen / Format.FrameSizeBytes * plainBytes * 0.8);
        if (atLeast > free)
            throw new StoreException(StoreErrorKind.NoSpace, $"store {_store.Location}: the checkpoint needs at least {atLeast >> 20} MiB and {free >> 20} MiB are free, so that nothing was begun");
    }

    /// <summary>Throws what went wrong behind, if anything did so far.</summary>
    /// <exception cref="StoreException">NoSpace, IO</exception>
    public void ThrowIfFailed()
    {
        foreach (FrameWorker worker in _workers)
        {
            if (!worker.HasFailed) continue;
            if (worker.Failure is StoreException known) throw new StoreException(known.Kind, known.Message, known);
            throw new StoreException(StoreErrorKind.IO, $"{_store.Files.Location}: a frame could not be stored: {worker.Failure?.Message}", worker.Failure);
        }
    }

    /// <inheritdoc/>
    public int PrepareFrames(int count) => _queue.PrepareFree(count);

    /// <inheritdoc/>
    public nint TakeFrame(int timeoutMs = 0) => (nint)_queue.TakeFree(timeoutMs);

    /// <inheritdoc/>
    public void AwaitWorkers() => _queue.AwaitShort();

    /// <inheritdoc/>
    public void ReturnFrame(nint frame) => _queue.ReturnTaken((byte*)frame);

    /// <inheritdoc/>
    public void HoldFrames()
    {
        ThrowIfEnded();
        ThrowIfFailed();
        lock (_lock) _holding = true;
        _queue.Pause();
    }

    /// <summary>How long writers of frames had to wait since <see cref="HoldFrames"/>, because the memory limit was reached, µs.</summary>
    public long WaitedMicroseconds => _queue.WaitedNs / 1000;

    /// <inheritdoc/>
    public IPartWriter OpenPart(string name, long lengthBytes)
    {
        if (!PartName.IsValid(name)) throw new ArgumentException($"part name {name}: 1 to 100 characters of [a-z0-9._-]", nameof(name));
        ArgumentOutOfRangeException.ThrowIfNegative(lengthBytes);
        ThrowIfEnded();
        StorePartWriter part = new(this, lengthBytes, _base?.Parts.GetValueOrDefault(name));
        lock (_lock)
        {
            if (!_parts.TryAdd(name, part)) throw new InvalidOperationException($"part {name} is open already");
        }
        return part;
    }

    /// <inheritdoc/>
    public void PutRecord(string name, ReadOnlySpan<byte> bytes)
    {
        if (!PartName.IsValid(name)) throw new ArgumentException($"record name {name}: 1 to 100 characters of [a-z0-9._-]", nameof(name));
        if (bytes.Length > PartName.MaxRecordBytes) throw new ArgumentException($"record {name}: {bytes.Length} bytes; the limit is 64 MiB", nameof(bytes));
        ThrowIfEnded();
        FrameList frames = new();
        for (int at = 0; at < bytes.Length; at += Format.FrameSizeBytes)
        {
            ReadOnlySpan<byte> piece = bytes.Slice(at, Math.Min(Format.FrameSizeBytes, bytes.Length - at));
            FrameList.Slot* slot = frames.Add(at / Format.FrameSizeBytes);
            if (piece.ContainsAnyExcept((byte)0)) Copy(piece, slot, null);
        }
        // An older record of this name stays in the queue: its slots live until the writer is disposed.
        lock (_lock)
        {
            if (_records.TryGetValue(name, out (FrameList Frames, int) old)) _replaced.Add(old.Frames);
            _records[name] = (frames, bytes.Length);
        }
    }

    private readonly List<FrameList> _replaced = [];

    /// <summary>
    /// Waits for the frames, makes them durable, checks that every frame of the manifest is in the store, and stores the manifest. The snapshot is
    /// then kept for 24 hours for the checkpoint that will name it.
    /// </summary>
    /// <exception cref="StoreException">NoSpace, IO: nothing is left behind. Damaged: a kept frame is not in the store.</exception>
    public SnapshotResult Finish()
    {
        ThrowIfEnded();
        try
        {
            EnqueueHeld();
            JoinWorkers();
            ThrowIfFailed();
            long newBytes = _workers.Sum(w => w.NewBytes), storedBytes = _workers.Sum(w => w.StoredBytes);
            SnapshotManifest manifest = BuildManifest(newBytes, storedBytes, out long totalBytes);
            byte[] bytes = manifest.ToByteArray();
            UInt128 hash = _store.Seal.Name(bytes);
            if (!_store.Catalog.Contains(hash)) _pack.AppendObject(hash, bytes);
            _session.Finish(new ContentHash(hash));
            long start = Linux.Sys.ClockNs(1);
            _pack.Commit();
            _store.Compression.Ended(_workers.Length, _workers.Sum(w => w.WorkNs), _workers.Sum(w => w.CompressNs), _workers.Sum(w => w.AppendNs), newBytes, storedBytes, Linux.Sys.ClockNs(1) - start);
            _store.Catalog.Refresh();
            _ended = true;
            Release();
            return new SnapshotResult(new ContentHash(hash), totalBytes, newBytes, storedBytes);
        }
        catch
        {
            Abort();
            throw;
        }
    }

    /// <summary>Ends the session and removes its files. No error: what cannot be removed is collected by gc.</summary>
    public void Abort()
    {
        if (_ended) return;
        _ended = true;
        try
        {
            JoinWorkers();
            _pack.Discard();
            _session.Delete();
        }
        catch (StoreException)
        {
            // The disk that made us abort may refuse this too; the session is dead and gc removes its files.
        }
        finally { Release(); }
    }

    /// <summary>Aborts, unless finished.</summary>
    public void Dispose() => Abort();

    internal void ThrowIfEnded() => ObjectDisposedException.ThrowIf(_ended, this);

    /// <summary>Copies a frame that is not all zero and hands it to the workers, or keeps the copy for them.</summary>
    /// <param name="part">null: of a record</param>
    /// <param name="before">as for <see cref="HandOver"/></param>
    internal void Copy(ReadOnlySpan<byte> bytes, FrameList.Slot* slot, StorePartWriter? part, FrameList.Slot* before = null)
    {
        if (!_holding) _queue.AwaitShort();
        byte* taken = _holding ? _queue.TakeFree(0) : null, buffer = taken is null ? _queue.Rent() : taken;
        Span<byte> frame = new(buffer, Format.FrameSizeBytes);
        bytes.CopyTo(frame);
        frame[bytes.Length..].Clear();
        if (taken is null) _queue.Enqueue(buffer, slot, part, before);
        else HandOver(buffer, slot, part, before);
    }

    /// <summary>Frames are only copied now.</summary>
    internal bool IsHolding => _holding;

    /// <summary>Takes over a buffer of <see cref="TakeFrame"/>.</summary>
    /// <param name="before">the slot of the same frame's last state in this snapshot; null: none</param>
    internal void HandOver(byte* buffer, FrameList.Slot* slot, StorePartWriter? part, FrameList.Slot* before)
    {
        lock (_lock)
        {
            if (_holding)
            {
                _held.Add(new Held((nint)buffer, (nint)slot, part));
                return;
            }
        }
        _queue.EnqueueTaken(buffer, slot, part, before);
    }

    /// <summary>Takes over copies of pages.</summary>
    internal void HandOver(CopiedPages pages, StorePartWriter part)
    {
        lock (_lock)
        {
            if (_holding)
            {
                _heldPages.Add((pages, part));
                return;
            }
        }
        Enqueue(pages, part);
    }

    private void Enqueue(CopiedPages pages, StorePartWriter part)
    {
        List<PageBatch> batches = part.Overlay(pages, out bool unsettled);
        if (unsettled) _queue.Settle();
        foreach (PageBatch batch in batches) _queue.Enqueue(batch);
    }

    /// <summary>A worker has made a patch.</summary>
    /// <returns>its number, from 1</returns>
    internal int Add(FramePatch patch)
    {
        lock (_patches)
        {
            _patches.Add(patch);
            return _patches.Count;
        }
    }

    /// <param name="number">as <see cref="Add"/> gave it</param>
    internal FramePatch PatchOf(int number)
    {
        lock (_patches) return _patches[number - 1];
    }

    /// <summary>
    /// Gives the workers what was copied in the stop. Of a frame that was copied ahead and written again only the pages that changed in between are stored, so that its first state has to be in the pack by then.
    /// </summary>
    private void EnqueueHeld()
    {
        lock (_lock)
        {
            _holding = false;
            if (_held.Count > 0) EnqueueHeldFrames();
            foreach ((CopiedPages pages, StorePartWriter part) in _heldPages) Enqueue(pages, part);
            _heldPages.Clear();
        }
    }

    private void EnqueueHeldFrames()
    {
        _queue.Settle();
        Dictionary<nint, nint> before = [];
        foreach (IGrouping<StorePartWriter?, Held> part in _held.GroupBy(h => h.Part))
            if (part.Key is not null)
                foreach ((nint slot, nint earlier) in part.Key.Frames.Earlier([.. part.Select(h => h.Slot)])) before.Add(slot, earlier);
        foreach (Held held in _held)
        {
            held.Part?.Wrote((FrameList.Slot*)held.Slot);
            _queue.EnqueueTaken((byte*)held.Buffer, (FrameList.Slot*)held.Slot, held.Part, (FrameList.Slot*)before.GetValueOrDefault(held.Slot));
        }
        _held.Clear();
    }

    private readonly record struct Held(nint Buffer, nint Slot, StorePartWriter? Part);

    private SnapshotManifest BuildManifest(long newBytes, long storedBytes, out long totalBytes)
    {
        SnapshotManifest manifest = new() { BytesNew = (ulong)newBytes, BytesStored = (ulong)storedBytes };
        PatchListing patches = new();
        if (_baseHash is { } baseHash) manifest.BaseHash = baseHash.ToByteString();
        totalBytes = 0;
        foreach ((string name, StorePartWriter part) in _parts.OrderBy(p => p.Key, StringComparer.Ordinal))
        {
            PartManifest listed = new() { Name = name, LengthBytes = (ulong)part.LengthBytes };
            (long[] indexes, UInt128[] hashes, int[] patchOf) = part.Frames.Resolve();
            byte[] packed = new byte[hashes.Length * Format.HashBytes];
            long before = -1;
            ulong[] deltas = new ulong[indexes.Length];
            for (int i = 0; i < indexes.Length; i++)
            {
                if (part.PatchOf(patchOf[i]) is not { } patch) Require(hashes[i], name, indexes[i]);
                else
                {
                    foreach (UInt128 needed in patch.Objects) Require(needed, name, indexes[i]);
                    patches.Add(i, patch);
                }
                deltas[i] = (ulong)(indexes[i] - before);
                before = indexes[i];
                System.Buffers.Binary.BinaryPrimitives.WriteUInt128BigEndian(packed.AsSpan(i * Format.HashBytes), hashes[i]);
            }
            listed.FrameIndexDeltas = PackedNumbers.Pack(deltas);
            listed.FrameHashes = UnsafeByteOperations.UnsafeWrap(packed);
            patches.EndPart(listed);
            manifest.Parts.Add(listed);
            totalBytes += (long)indexes.Length * Format.FrameSizeBytes;
        }
        foreach ((string name, (FrameList frames, int lengthBytes)) in _records.OrderBy(p => p.Key, StringComparer.Ordinal))
        {
            RecordManifest listed = new() { Name = name, LengthBytes = (ulong)lengthBytes };
            (long[] indexes, UInt128[] hashes, _) = frames.Resolve();
            for (int i = 0, at = 0; i * (long)Format.FrameSizeBytes < lengthBytes; i++)
            {
                bool present = at < indexes.Length && indexes[at] == i;
                listed.FrameHashes.Add(present ? new ContentHash(hashes[at++]).ToByteString() : ByteString.Empty);
            }
            manifest.Records.Add(listed);
            totalBytes += (long)indexes.Length * Format.FrameSizeBytes;
        }
        manifest.PatchObjects = patches.Objects();
        manifest.FormatVersion = _store.Seal.ManifestVersion(patched: patches.Any);
        return manifest;
    }

    private void Require(UInt128 hash, string part, long index)
    {
        if (_pack.Contains(hash) || _store.Catalog.Contains(hash)) return;
        throw new StoreException(StoreErrorKind.Damaged, $"part {part}, offset {index * Format.FrameSizeBytes}: kept frame: {_store.Catalog.Missing(hash).Message}");
    }

    private void JoinWorkers()
    {
        if (_joined) return;
        _joined = true;
        _queue.Complete();
        foreach (FrameWorker worker in _workers) worker.Join();
    }

    private void Release()
    {
        _pack.Dispose();
        _queue.Dispose();
        foreach (StorePartWriter part in _parts.Values) part.Dispose();
        foreach ((FrameList frames, _) in _records.Values) frames.Dispose();
        foreach (FrameList frames in _replaced) frames.Dispose();
        _lease.Dispose();
    }
}
