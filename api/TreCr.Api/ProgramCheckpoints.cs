using Microsoft.Win32.SafeHandles;

namespace TreCr.Api;

/// <summary>
/// Checkpoints that a program takes of what it names: memory regions, or a file that it writes itself. A checkpoint has a name and a version; each rank writes its part into the scratch directory
/// while it waits, and a flush brings it to where it outlives the node.
/// </summary>
/// <remarks>
/// One thread at a time. Every failure is an exception, nothing that was saved before is changed by it. <see cref="FindVersion"/> and <see cref="BeginRestart"/> are made by all ranks of the group
/// together, everything else by each for itself.
/// </remarks>
public sealed partial class ProgramCheckpoints : IDisposable
{
    private readonly CheckpointSettings _settings;
    private readonly IRankGroup _group;
    private readonly CheckpointDirectory _scratch = null!;
    private readonly CheckpointDirectory? _persistent;
    private readonly CheckpointStore? _store;
    private readonly IFlushQueue _queue = null!;
    private readonly int _launch;
    private readonly HashSet<CheckpointId> _refused = [];
    private long _lastFlushMs = Environment.TickCount64;
    private CheckpointId? _open, _restart;
    private SealedFile? _written; // of the open checkpoint, in memory mode
    private string? _original;    // of the open checkpoint, in file mode
    private int _attempt;

    private readonly record struct SealedFile(string Path, FileSeal Seal);

    /// <summary>Opens the directories. All ranks of the group together.</summary>
    /// <param name="group">disposed with this</param>
    /// <exception cref="CheckpointException">a directory cannot be made; other ranks could not be asked</exception>
    public ProgramCheckpoints(CheckpointSettings settings, IRankGroup group)
    {
        _settings = settings;
        _group = group;
        string? problem = null;
        try
        {
            _scratch = new CheckpointDirectory(settings.Scratch);
            if (settings.Persistent is { } persistent) _persistent = new CheckpointDirectory(persistent);
            if (settings.Store is { } store) _store = new CheckpointStore(store, settings.StorePolicy);
            _queue = settings.Async && settings.Flushes ? new HelperQueue(_scratch, settings) : new SyncFlushQueue(_scratch);
        }
        catch (Exception e) when (IsExpected(e)) { problem = e.Message; }
        // Parts of different launches are never put together: a rank that was killed may be a version behind the others' files.
        _launch = group.Smallest(problem is null ? Random.Shared.Next(1, int.MaxValue) : 0);
        if (_launch > 0) return;
        group.Dispose();
        throw new CheckpointException(problem ?? "another rank cannot use its directories");
    }

    /// <summary>What belongs to checkpoints of memory.</summary>
    public RegionSet Regions { get; } = new();

    /// <summary>Whether the scratch directory is the only place: else what is to outlive the system is flushed, and a file that a power cut spoiled there has a seal that says so.</summary>
    private bool IsDurableHere => !_settings.Async && !_settings.Flushes;

    // ---- taking -----------------------------------------------------------------------------------------------------------------------

    /// <summary>Begins a checkpoint.</summary>
    /// <exception cref="CheckpointException">one is open; no name; a negative version</exception>
    public void Begin(string name, int version)
    {
        if (_open is { } other) throw new CheckpointException($"{name} version {version}: {other} has not ended");
        CheckpointId id = IdOf(name, version);
        Settle();
        _scratch.DropUnfinished(id, all: true);
        (_open, _written, _original, _captured) = (id, null, null, null);
    }

    /// <summary>Takes protected regions: into the scratch directory, or, of regions that say so, into copies in memory. They may change when this has returned, but for <see cref="RegionCopy.ReadOnly"/>. A second call adds to what the first has taken.</summary>
    /// <exception cref="CheckpointException">no checkpoint is open; nothing is chosen; a number that is not protected</exception>
    /// <exception cref="IOException">no space, …: nothing of the checkpoint is left</exception>
    public void WriteRegions(RegionChoice choice = RegionChoice.All, ReadOnlySpan<int> ids = default)
    {
        CheckpointId id = _open ?? throw new CheckpointException("no checkpoint has begun");
        if (_original is not null) throw new CheckpointException($"{id}: is one of a file");
        IReadOnlyList<ProtectedRegion> chosen = Regions.Of(id.Name, choice, ids);
        if (chosen.Count == 0) throw new CheckpointException($"{id}: no region is protected, or none chosen");
        if (IsWrittenBehind(chosen))
        {
            Capture(chosen);
            return;
        }
        SortedDictionary<int, ProtectedRegion> regions = [];
        using SafeFileHandle? before = _written is { } w ? FilePieces.TryOpen(w.Path) : null;
        if (before is not null)
        {
            FileMemory memory = new(before, _written!.Value.Path);
            foreach ((int old, (long offset, long bytes)) in RegionLayout.TryRead(memory, RandomAccess.GetLength(before))!.Regions) regions[old] = new(old, (nint)offset, bytes, memory);
        }
        foreach (ProtectedRegion region in chosen) regions[region.Id] = region;
        SealedFile file = WriteFile(id, regions);
        if (_written is { } earlier) File.Delete(earlier.Path);
        _written = file;
    }

    /// <summary>The path where the program itself writes its checkpoint, or where it finds it at a restart.</summary>
    /// <param name="original">the path that it would have used; there the file goes outside of the scratch directory</param>
    /// <exception cref="CheckpointException">neither a checkpoint nor a restart has begun</exception>
    public string Route(string original)
    {
        if (_open is { } id)
        {
            if (_written is not null || _captured is not null) throw new CheckpointException($"{id}: is one of memory");
            _original = Path.GetFullPath(original);
            return _scratch.FreshPath(id);
        }
        return _scratch.PathOf(_restart ?? throw new CheckpointException($"{original}: neither a checkpoint nor a restart has begun"));
    }

    /// <summary>Ends the checkpoint: from now on it is one. It is handed over to be flushed; with a sync configuration this waits for that.</summary>
    /// <param name="success">false: it is dropped</param>
    /// <exception cref="CheckpointException">none is open; nothing was written</exception>
    public void End(bool success)
    {
        CheckpointId id = _open ?? throw new CheckpointException("no checkpoint has begun");
        _open = null;
        if (!success)
        {
            _captured = null;
            _scratch.DropUnfinished(id, all: true);
            return;
        }
        if (_captured is { } captured)
        {
            _captured = null;
            WriteBehind(id, captured);
            return;
        }
        Publish(id, _written ?? (_original is not null ? SealRouted(id) : throw new CheckpointException($"{id}: nothing was written")), _original);
    }

    /// <summary>Gives a checkpoint's file its name, and hands it over to be flushed.</summary>
    private void Publish(CheckpointId id, SealedFile file, string? original)
    {
        _scratch.Publish(id, file.Path, file.Seal, IsDurableHere);
        _refused.Remove(id);
        if (_settings.Flushes && Environment.TickCount64 - _lastFlushMs is var since && (_settings.IntervalSeconds == 0 || since >= _settings.IntervalSeconds * 1000L))
        {
            _lastFlushMs = Environment.TickCount64;
            _queue.Add(new FlushRequest(id, original, _group.Count, _settings.Persistent, _settings.Store, _settings.StorePolicy, _settings.ChecksumDirectory, _settings.MaxVersions));
        }
        PruneScratch(id);
    }

    private SealedFile WriteFile(CheckpointId id, SortedDictionary<int, ProtectedRegion> regions)
    {
        RegionLayout layout = new(regions.Values.Select(r => (r.Id, r.Bytes)));
        using SealedFileWriter writer = new(_scratch.FreshPath(id, ++_attempt), _launch);
        writer.Append(layout.Header());
        foreach (ProtectedRegion region in regions.Values) writer.Append(region.Memory, region.Address, region.Bytes);
        return new(writer.Path, writer.Finish(IsDurableHere));
    }

    /// <summary>Takes a whole checkpoint of memory: waits for what is under way, begins, writes all regions, ends.</summary>
    public void Take(string name, int version)
    {
        Wait();
        Begin(name, version);
        try { WriteRegions(); }
        catch
        {
            End(success: false);
            throw;
        }
        End(success: true);
    }

    /// <summary>Waits until all that ended has been flushed.</summary>
    /// <exception cref="CheckpointException">one could not be; one is open</exception>
    public void Wait()
    {
        if (_open is { } open) throw new CheckpointException($"{open} has not ended");
        Settle();
        string? flush = _queue.Wait();
        if ((Interlocked.Exchange(ref _writerProblem, null) ?? flush) is { } problem) throw new CheckpointException(problem);
    }

    /// <summary>Whether all that ended has been flushed, or could not be.</summary>
    public bool IsFlushed => _writer is not { IsAlive: true } && _queue.IsIdle;

    /// <summary>Removes all checkpoints of a name from the scratch directory of this node, of all ranks.</summary>
    public void RemoveFromScratch(string name)
    {
        Settle();
        foreach (CheckpointId id in (CheckpointId[])[.. _scratch.All(name)]) _scratch.Delete(id);
    }

    // ---- coming back ------------------------------------------------------------------------------------------------------------------

    /// <summary>The newest version that every rank has whole, and that one launch wrote. All ranks together.</summary>
    /// <param name="limit">the highest version wanted; 0: any</param>
    /// <returns>-1: there is none</returns>
    public int FindVersion(string name, int limit = 0)
    {
        Settle();
        int candidate = limit > 0 ? limit : int.MaxValue;
        List<int> versions = [];
        // A rank that cannot look has none, and takes part: the others wait for it.
        try
        {
            if (CheckpointId.IsName(name)) versions = Versions(name);
        }
        catch (Exception e) when (IsExpected(e)) { }
        while (true)
        {
            (int own, int launch) = Newest(name, versions, candidate);
            int smallest = _group.Smallest(own);
            if (smallest < 0) return -1;
            // All have it when nobody had to go lower than the others; the launches are the same when the smallest number is the largest too.
            int launchHere = own == smallest ? launch : -1;
            int low = _group.Smallest(launchHere), high = -_group.Smallest(-launchHere);
            if (low == high && low >= 0) return smallest;
            candidate = low < 0 ? smallest : smallest - 1;
            if (candidate < 0) return -1;
        }
    }

    /// <summary>Brings a version into the scratch directory, whole and checked. All ranks together.</summary>
    /// <exception cref="CheckpointException">a rank does not have it whole</exception>
    public void BeginRestart(string name, int version)
    {
        Settle();
        CheckpointId id = default;
        string? problem = null;
        try
        {
            if (_open is { } open) throw new CheckpointException($"{open} has not ended");
            id = IdOf(name, version);
            Bring(id);
        }
        catch (Exception e) when (IsExpected(e)) { problem = e.Message; }
        if (_group.Smallest(problem is null ? 1 : 0) == 0)
        {
            if (id.Name is not null) _refused.Add(id);
            throw new CheckpointException(problem ?? $"{name} version {version}: another rank does not have it whole");
        }
        _restart = id;
    }

    /// <summary>Bytes of a region in the version whose restart has begun.</summary>
    /// <returns>-1: it has none of this number, or is one of a file</returns>
    public long SavedBytes(int region)
    {
        using SafeFileHandle file = OpenRestart(out string path);
        return RegionLayout.TryRead(new FileMemory(file, path), RandomAccess.GetLength(file)) is { } layout && layout.Regions.TryGetValue(region, out var saved) ? saved.Bytes : -1;
    }

    /// <summary>Copies saved regions back. Before the first byte is written it is clear that all fit.</summary>
    /// <exception cref="CheckpointException">no restart has begun; a region is not protected, too small, or not saved; it is a checkpoint of a file</exception>
    public void Recover(RegionChoice choice = RegionChoice.All, ReadOnlySpan<int> ids = default)
    {
        using SafeFileHandle file = OpenRestart(out string path);
        CheckpointId id = _restart!.Value;
        FileMemory memory = new(file, path);
        RegionLayout layout = RegionLayout.TryRead(memory, RandomAccess.GetLength(file)) ?? throw new CheckpointException($"{id}: is not one of memory");
        IReadOnlyDictionary<int, ProtectedRegion> regions = Regions.Of(id.Name);
        SortedSet<int> chosen = RegionSet.Choose(layout.Regions.Keys, choice, ids);
        foreach (int number in chosen)
        {
            if (!layout.Regions.TryGetValue(number, out var saved)) throw new CheckpointException($"{id}: has no region {number}");
            if (!regions.TryGetValue(number, out ProtectedRegion region)) throw new CheckpointException($"{id}: region {number} is not protected");
            if (region.Bytes < saved.Bytes) throw new CheckpointException($"{id}: region {number} has {saved.Bytes} bytes, and only {region.Bytes} are protected");
        }
        byte[] buffer = new byte[1 << 20];
        foreach (int number in chosen)
        {
            (long offset, long bytes) = layout.Regions[number];
            for (long done = 0; done < bytes;)
            {
                Span<byte> piece = buffer.AsSpan(0, (int)Math.Min(buffer.Length, bytes - done));
                memory.Read((nint)(offset + done), piece);
                regions[number].Memory.Write((nint)(regions[number].Address + done), piece);
                done += piece.Length;
            }
        }
    }

    /// <summary>Ends the restart.</summary>
    /// <param name="success">false: the version is not offered again by this object</param>
    /// <exception cref="CheckpointException">none has begun</exception>
    public void EndRestart(bool success)
    {
        CheckpointId id = _restart ?? throw new CheckpointException("no restart has begun");
        if (!success) _refused.Add(id);
        _restart = null;
    }

    /// <summary>Brings a whole checkpoint of memory back.</summary>
    /// <exception cref="CheckpointException">as of the calls that this is made of</exception>
    public void Restore(string name, int version)
    {
        BeginRestart(name, version);
        try { Recover(); }
        catch
        {
            EndRestart(success: true); // the version is whole: what the program protects does not fit it
            throw;
        }
        EndRestart(success: true);
    }

    /// <summary>Drops an open checkpoint. What was handed over is flushed all the same.</summary>
    public void Dispose()
    {
        if (_open is not null) End(success: false);
        Settle();
        foreach (IRegionSnapshot snapshot in _snapshots.Values) snapshot.Dispose();
        _queue.Dispose();
        _group.Dispose();
    }

    private static bool IsExpected(Exception e)
        => e is CheckpointException or IOException or UnauthorizedAccessException or Linux.LinuxException or Images.ImageException or TreCr.Store.Tiers.PolicyException;

    private CheckpointId IdOf(string name, int version)
    {
        if (!CheckpointId.IsName(name)) throw new CheckpointException($"'{name}': names have 1 to 127 letters, digits, dots and underscores");
        return version >= 0 ? new(name, _group.Rank, version) : throw new CheckpointException($"{name}: version {version} is negative");
    }

    private SealedFile SealRouted(CheckpointId id)
    {
        string path = _scratch.FreshPath(id);
        using SafeFileHandle file = FilePieces.TryOpen(path) ?? throw new CheckpointException($"{id}: nothing was written to {path}");
        FileSeal seal = CheckpointDirectory.SealOf(file, RandomAccess.GetLength(file), _launch);
        if (IsDurableHere) RandomAccess.FlushToDisk(file);
        return new(path, seal);
    }

    private void PruneScratch(CheckpointId id)
    {
        if (_settings.ScratchVersions <= 0) return;
        Func<int, bool> complete = _persistent is null ? Pruning.Complete(id.Name, _group.Count, _scratch) : Pruning.Complete(id.Name, _group.Count, _scratch, _persistent);
        foreach (int old in Pruning.Superfluous(_scratch.List(id.Name, id.Rank).Select(i => i.Version), _settings.ScratchVersions, complete, seesAll: _group.Count == 1 || _persistent is not null))
            if (!HelperQueue.IsQueued(_scratch, id with { Version = old })) _scratch.Delete(id with { Version = old });
    }

    /// <summary>Versions that lie somewhere, newest first, each once.</summary>
    private List<int> Versions(string name)
    {
        IEnumerable<int> found = _scratch.List(name, _group.Rank).Concat(_persistent?.List(name, _group.Rank) ?? []).Select(i => i.Version);
        if (_store is not null) found = found.Concat(_store.Versions(name, _group.Rank));
        return [.. found.Distinct().OrderDescending()];
    }

    private (int Version, int Launch) Newest(string name, List<int> versions, int limit)
    {
        foreach (int version in versions)
        {
            if (version > limit) continue;
            CheckpointId id = new(name, _group.Rank, version);
            try
            {
                if (!_refused.Contains(id) && (_scratch.Check(id) ?? _persistent?.Check(id) ?? _store?.Check(id)) is { } seal) return (version, seal.Launch);
            }
            catch (Exception e) when (IsExpected(e)) { } // not whole where it could be read
        }
        return (-1, -1);
    }

    /// <summary>Scratch directory, else persistent directory, else store.</summary>
    private void Bring(CheckpointId id)
    {
        if (_scratch.Check(id) is not null) return;
        if (_persistent?.Check(id) is { } seal)
        {
            using SafeFileHandle? file = FilePieces.TryOpen(_persistent.PathOf(id));
            if (file is not null)
            {
                _scratch.Take(id, file, seal, durable: false);
                return;
            }
        }
        if (_store is null) throw new CheckpointException($"{id}: not whole in {_scratch.Path}{(_persistent is null ? "" : $" nor in {_persistent.Path}")}");
        _store.Fetch(id, _scratch, durable: false);
    }

    private SafeFileHandle OpenRestart(out string path)
    {
        CheckpointId id = _restart ?? throw new CheckpointException("no restart has begun");
        path = _scratch.PathOf(id);
        return FilePieces.TryOpen(path) ?? throw new CheckpointException($"{id}: has gone from {_scratch.Path}");
    }
}
