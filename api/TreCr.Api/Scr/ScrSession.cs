using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace TreCr.Api.Scr;

/// <summary>
/// SCR between SCR_Init and SCR_Finalize: a program's own files, kept in caches of the nodes with redundancy between them, brought to the prefix directory now and then, and given back after a failure.
/// </summary>
/// <remarks>
/// All members but <see cref="Route"/> and <see cref="Configure"/> are called by all ranks together, and come to the same answer on all: what fails on one rank fails on all. One thread at a time.
/// Every failure is an exception; nothing that was complete before is changed by it.
/// </remarks>
public sealed partial class ScrSession : IDisposable
{
    private enum State { Idle, Checkpoint, Output, Restart }

    /// <summary>A dataset in the cache of this rank's node.</summary>
    private sealed record Cached(StoreDescriptor Store, RankFiles Files);

    private readonly IRankMessages _ranks;
    private readonly ScrParameters _parameters;
    private readonly Action<string> _say;
    private IReadOnlyList<CopyDescriptor> _copies = [];
    private readonly Dictionary<int, IReadOnlyList<int[]>> _sets = []; // of a descriptor
    private PrefixDirectory _prefix = null!;
    private readonly NodeCache _cache = null!;
    private readonly HaltFile _halt = null!;
    private IDisposable? _occupied;
    private readonly int[] _leaders = []; // of each rank's node: the lowest rank there
    private readonly SortedDictionary<int, Cached> _cached = [];
    private readonly HashSet<int> _flushed = [];
    private readonly Stopwatch _sinceCheckpoint = Stopwatch.StartNew(), _sinceStart = Stopwatch.StartNew();
    private State _state = State.Idle;
    private int _nextId = 1, _nextCheckpoint = 1, _needed;
    private double _overheadSeconds;

    // of the dataset that is open
    private DatasetInfo? _open;
    private CopyDescriptor _copy = null!;
    private readonly List<string> _routed = [];
    private readonly Stopwatch _opened = new();

    // of the restart that is offered or has begun
    private RankFiles? _offered;

    /// <summary>SCR_Init: reads the configuration, makes the caches whole.</summary>
    /// <param name="node">name of this rank's node</param>
    /// <param name="say">takes lines for the user</param>
    /// <exception cref="CheckpointException">on every rank: the configuration of one of them cannot be used, or they differ; a directory cannot be made</exception>
    public ScrSession(IRankMessages ranks, ScrParameters parameters, string node, Action<string> say)
    {
        (_ranks, _parameters, _say) = (ranks, parameters, say);
        string signature = "", own = "";
        IReadOnlyList<StoreDescriptor> stores = [];
        Together("configuration", () =>
        {
            _copies = parameters.Copies();
            stores = parameters.Stores();
            stores = [.. stores, .. _copies.Select(c => c.Store).Distinct().Where(s => stores.All(t => t.Base != s)).Select(s => new StoreDescriptor(s, parameters.Number("SCR_CACHE_SIZE"), false))];
            own = string.Join('\n', _copies.Select(c => parameters.GroupOf(c.Group, node)).Prepend(node));
            signature = string.Join('\n', [parameters.Prefix, parameters.CacheOwner, .. _copies.Select(c => c.ToString()), .. stores.Select(s => s.ToString())]);
            _ = parameters.Number("SCR_FLUSH") + parameters.Number("SCR_CHECKPOINT_INTERVAL") + parameters.Number("SCR_CHECKPOINT_SECONDS") + parameters.Number("SCR_HALT_SECONDS") + parameters.Number("SCR_PREFIX_SIZE");
        });
        if (GatherText(signature).Distinct().Count() > 1) throw new CheckpointException("the ranks' configurations differ");
        string[][] places = [.. GatherText(own).Select(t => t.Split('\n'))];
        string[] nodes = [.. places.Select(p => p[0])];
        _leaders = [.. nodes.Select(n => Array.IndexOf(nodes, n))];
        for (int i = 0; i < _copies.Count; i++) _sets[_copies[i].Number] = RedundancySets.Form([.. places.Select(p => p[i + 1])], _copies[i].SetSize);
        if (ranks.Rank == 0)
            foreach (CopyDescriptor copy in _copies) say(Describe(copy, nodes.Distinct().Count()));
        _cache = new NodeCache(stores, parameters.CacheOwner, node);
        Together("directories", () =>
        {
            _prefix = new PrefixDirectory(parameters.Prefix);
            foreach (StoreDescriptor store in stores)
                if (_copies.Any(c => !c.Bypass && c.Store == store.Base)) Directory.CreateDirectory(_cache.PathOf(store));
        });
        AtRoot(() => _occupied = _prefix.Occupy());
        _halt = new HaltFile(_prefix);
        Purge();
        UseCurrent();
        if (parameters.Flag("SCR_DISTRIBUTE")) RecoverCaches();
        TidyPrefix();
        ReadCounters();
        FlushWhatIsDue();
        NoteCaches();
        _sinceStart.Restart();
    }

    /// <summary>Whether the program shall be ended now: a halt condition holds and SCR_HALT_EXIT says so.</summary>
    public bool MustExit => _parameters.Flag("SCR_HALT_EXIT") && HaltReason() is not null;

    // ---- output -----------------------------------------------------------------------------------------------------------------------

    /// <summary>SCR_Start_output.</summary>
    /// <param name="name">empty: scr.dataset.ID</param>
    /// <exception cref="CheckpointException">another phase has not ended; the ranks differ; flags that are none</exception>
    public void StartOutput(string name, int flags, bool oldStyle = false)
    {
        Need(State.Idle);
        long now = (DateTime.UtcNow.Ticks - DateTime.UnixEpoch.Ticks) / TimeSpan.TicksPerMicrosecond;
        string[][] all = [.. GatherText($"{now}\n{flags}\n{name}").Select(t => t.Split('\n', 3))];
        if (all.Any(a => a[1] != all[0][1] || a[2] != all[0][2])) throw new CheckpointException("the ranks gave different names or flags");
        if ((flags & ~(DatasetInfo.Checkpoint | DatasetInfo.Output)) != 0) throw new CheckpointException($"flags {flags}: SCR_FLAG_CHECKPOINT and SCR_FLAG_OUTPUT are known");
        if (name.Length == 0) name = $"scr.dataset.{_nextId}";
        bool checkpoint = (flags & DatasetInfo.Checkpoint) != 0;
        int every = _parameters.Number("SCR_FLUSH");
        DatasetInfo dataset = new(_nextId, name, flags, checkpoint ? _nextCheckpoint : 0, _ranks.Count, long.Parse(all[0][0], CultureInfo.InvariantCulture),
            (flags & DatasetInfo.Output) != 0 || (every > 0 && _nextId % every == 0));
        _copy = CopyOf(dataset);
        Together(name, () =>
        {
            if (_copy.Bypass) _prefix.Forget(dataset.Id);
            else
            {
                _cache.Delete(StoreOf(_copy), dataset.Id, _ranks.Rank, forNew: true);
                Directory.CreateDirectory($"{_cache.PathOf(StoreOf(_copy), dataset.Id)}/{_ranks.Rank}");
            }
        }, everyone: !_copy.Bypass);
        _nextId++;
        if (checkpoint) _nextCheckpoint++;
        _routed.Clear();
        _opened.Restart();
        (_open, _state) = (dataset, oldStyle ? State.Checkpoint : State.Output);
    }

    /// <summary>SCR_Complete_output.</summary>
    /// <param name="valid">whether this rank has written what it wanted</param>
    /// <returns>whether the dataset is one: all ranks have written it, and it has its redundancy</returns>
    /// <exception cref="CheckpointException">none is open; it could not be kept, and is gone</exception>
    public bool CompleteOutput(bool valid, bool oldStyle = false)
    {
        Need(oldStyle ? State.Checkpoint : State.Output);
        DatasetInfo dataset = _open!;
        (_open, _state) = (null, State.Idle);
        bool complete = false;
        try
        {
            if (_ranks.Smallest(valid ? 1 : 0) == 0) return false;
            Keep(dataset);
            complete = true;
        }
        finally
        {
            if (!complete && !_copy.Bypass) Quietly(() => _cache.Delete(StoreOf(_copy), dataset.Id, _ranks.Rank));
        }
        _overheadSeconds += _opened.Elapsed.TotalSeconds;
        _sinceCheckpoint.Restart();
        bool halts = dataset.IsCheckpoint && CountDown();
        if (!_flushed.Contains(dataset.Id) && (dataset.FlushDue || halts))
            try { Flush(_cached[dataset.Id], wait: halts || !_parameters.Flag("SCR_FLUSH_ASYNC")); }
            catch (CheckpointException e) when (!dataset.IsOutput)
            {
                _say($"{dataset}: complete in the caches, and not brought to {_prefix.Path}: {e.Message}"); // the next SCR_Init tries again
            }
        if (!_copy.Bypass) Prune(StoreOf(_copy));
        NoteCaches();
        return true;
    }

    /// <summary>SCR_Need_checkpoint.</summary>
    public bool NeedCheckpoint()
    {
        Need(State.Idle);
        _needed++;
        return FromRoot(() =>
        {
            int interval = _parameters.Number("SCR_CHECKPOINT_INTERVAL"), seconds = _parameters.Number("SCR_CHECKPOINT_SECONDS");
            double overhead = double.TryParse(_parameters.Get("SCR_CHECKPOINT_OVERHEAD"), CultureInfo.InvariantCulture, out double o) ? o : 0;
            return HaltReasonHere() is not null || (interval > 0 && _needed % interval == 0) || (seconds > 0 && _sinceCheckpoint.Elapsed.TotalSeconds >= seconds)
                || (overhead > 0 && _overheadSeconds / Math.Max(0.001, _sinceStart.Elapsed.TotalSeconds) * 100 < overhead) ? "1" : "";
        }).Length > 0;
    }

    /// <summary>SCR_Should_exit.</summary>
    public bool ShouldExit()
    {
        Need(State.Idle);
        return HaltReason() is not null;
    }

    // ---- files ------------------------------------------------------------------------------------------------------------------------

    /// <summary>SCR_Route_file; each rank for itself.</summary>
    /// <param name="name">the path at which the file is to be in the end</param>
    /// <returns>where the program opens it now</returns>
    /// <exception cref="CheckpointException">not below the prefix directory; in a restart: not a file of the dataset, or not there</exception>
    public string Route(string name)
    {
        if (_state == State.Idle) return name;
        string full = Path.GetFullPath(name);
        if (_state == State.Restart) return RouteRestart(name, full);
        string path = _prefix.Relative(full) ?? throw new CheckpointException($"{full}: not below SCR_PREFIX, {_prefix.Path}");
        string routed = _copy.Bypass ? full : _cache.FilePath(StoreOf(_copy), _open!.Id, _ranks.Rank, path);
        Directory.CreateDirectory(Path.GetDirectoryName(routed)!);
        if (!_routed.Contains(path)) _routed.Add(path);
        return routed;
    }

    /// <summary>SCR_Config after SCR_Init: only questions.</summary>
    public string? Configure(string text) => _parameters.Configure(text, frozen: true);

    // ---- restart ----------------------------------------------------------------------------------------------------------------------

    /// <summary>SCR_Have_restart: the newest checkpoint in the caches, else one from the prefix directory.</summary>
    /// <returns>its name; null: there is none</returns>
    public string? HaveRestart()
    {
        Need(State.Idle);
        _offered = _cached.Values.LastOrDefault(c => c.Files.Dataset.IsCheckpoint)?.Files ?? (_parameters.Flag("SCR_FETCH") ? Fetch() : null);
        NoteCaches();
        return _offered?.Dataset.Name;
    }

    /// <summary>SCR_Start_restart.</summary>
    /// <returns>name of the checkpoint</returns>
    /// <exception cref="CheckpointException">SCR_Have_restart has offered none</exception>
    public string StartRestart()
    {
        Need(State.Idle);
        if (_offered is null) throw new CheckpointException("SCR_Have_restart has not offered a checkpoint");
        _state = State.Restart;
        return _offered.Dataset.Name;
    }

    /// <summary>SCR_Complete_restart.</summary>
    /// <returns>whether all ranks could read it; where not, it is not offered again</returns>
    public bool CompleteRestart(bool valid)
    {
        Need(State.Restart);
        DatasetInfo dataset = _offered!.Dataset;
        (_state, _offered) = (State.Idle, null);
        if (_ranks.Smallest(valid ? 1 : 0) == 1)
        {
            _nextCheckpoint = dataset.CheckpointId + 1;
            _sinceCheckpoint.Restart();
            return true;
        }
        AtRoot(() => _prefix.Update(index =>
        {
            if (index.Find(dataset.Id) is { } entry) index.MarkFailed(entry);
        }));
        Remove(dataset.Id);
        NoteCaches();
        return false;
    }

    /// <summary>SCR_Current: the program goes on from a dataset that it has read itself.</summary>
    /// <exception cref="CheckpointException">no dataset has this name</exception>
    public void MakeCurrent(string name)
    {
        Need(State.Idle);
        int id = IdOf(name);
        foreach (int newer in _cached.Keys.Where(k => k > id).ToArray()) Remove(newer);
        AtRoot(() => _prefix.Update(index =>
        {
            if (index.Find(id) is not null) index.Current = name;
        }));
        NoteCaches();
    }

    /// <summary>SCR_Drop: forgets a dataset, its files in the prefix directory stay. SCR_Delete: removes these too.</summary>
    /// <exception cref="CheckpointException">no dataset has this name</exception>
    public void Drop(string name, bool withFiles)
    {
        Need(State.Idle);
        int id = IdOf(name);
        WaitForFlushes();
        AtRoot(() =>
        {
            if (_prefix.Index.Find(id) is not { } entry) return;
            if (withFiles) _prefix.Delete(entry);
            else
            {
                _prefix.Update(index => index.Remove(entry));
                _prefix.Forget(id);
            }
        });
        Remove(id);
        NoteCaches();
    }

    /// <summary>SCR_Finalize: waits for what is on its way, brings the last checkpoint to the prefix directory where checkpoints go there at all.</summary>
    /// <exception cref="CheckpointException">it could not be brought; it is in the caches</exception>
    public void Close()
    {
        if (_open is { } open && !_copy.Bypass) Quietly(() => _cache.Delete(StoreOf(_copy), open.Id, _ranks.Rank));
        (_open, _state) = (null, State.Idle);
        WaitForFlushes();
        if (_parameters.Number("SCR_FLUSH") > 0 && _cached.Values.LastOrDefault(c => c.Files.Dataset.IsCheckpoint) is { } last && !_flushed.Contains(last.Files.Dataset.Id)) Flush(last, wait: true);
        NoteCaches();
        AtRoot(() => _halt.Update(tree =>
        {
            if (tree.Value(HaltFile.Reason) is null) tree.Set(HaltFile.Reason, HaltFile.Finalized);
        }));
    }

    public void Dispose()
    {
        foreach (Thread thread in _flushes.Select(f => f.Thread)) thread.Join();
        _occupied?.Dispose();
        _ranks.Dispose();
    }

    // ---- the ranks together -----------------------------------------------------------------------------------------------------------

    private void Need(State state)
    {
        if (_state != state) throw new CheckpointException($"belongs {Where(state)}, and this is {Where(_state)}");
    }

    private static string Where(State state) => state switch
    {
        State.Checkpoint => "between SCR_Start_checkpoint and SCR_Complete_checkpoint",
        State.Output => "between SCR_Start_output and SCR_Complete_output",
        State.Restart => "between SCR_Start_restart and SCR_Complete_restart",
        _ => "outside of all phases",
    };

    private string[] GatherText(string own) => [.. _ranks.Gather(Encoding.UTF8.GetBytes(own)).Select(Encoding.UTF8.GetString)];

    /// <summary>What rank 0 says, for all.</summary>
    private string FromRoot(Func<string> value) => GatherText(_ranks.Rank == 0 ? value() : "")[0];

    /// <summary>What rank 0 does for all.</summary>
    private void AtRoot(Action action) => Together("rank 0", () =>
    {
        if (_ranks.Rank == 0) action();
    });

    /// <summary>What every rank does; where one fails, all do.</summary>
    /// <param name="everyone">false: rank 0 alone</param>
    private void Together(string what, Action action, bool everyone = true)
    {
        string? problem = null;
        try
        {
            if (everyone || _ranks.Rank == 0) action();
        }
        catch (Exception e) { problem = e.Message; }
        if (_ranks.Smallest(problem is null ? 1 : 0) == 0) throw new CheckpointException(problem ?? $"{what}: another rank failed");
    }

    private static void Quietly(Action action)
    {
        try { action(); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
    }

    /// <summary>A dataset's number, by its name in the caches or the index.</summary>
    private int IdOf(string name)
    {
        string found = FromRoot(() => (_cached.Values.LastOrDefault(c => c.Files.Dataset.Name == name)?.Files.Dataset.Id ?? _prefix.Index.Find(name)?.Id)?.ToString(CultureInfo.InvariantCulture) ?? "");
        return found.Length > 0 ? int.Parse(found, CultureInfo.InvariantCulture) : throw new CheckpointException($"no dataset is named '{name}'");
    }

    private CopyDescriptor CopyOf(DatasetInfo dataset)
    {
        if (dataset.IsOutput && _copies.FirstOrDefault(c => c.Output) is { } output) return output;
        return _copies.Where(c => !c.Output && dataset.CheckpointId % c.Interval == 0).MaxBy(c => c.Interval)!;
    }

    private StoreDescriptor StoreOf(CopyDescriptor copy) => _cache.Stores.First(s => s.Base == copy.Store);

    private string? HaltReason() => FromRoot(() => HaltReasonHere() ?? "") is { Length: > 0 } reason ? reason : null;

    private string? HaltReasonHere() => _halt.Condition(_parameters.EndTime, _parameters.Number("SCR_HALT_SECONDS"));

    /// <summary>One checkpoint fewer until the end.</summary>
    /// <returns>whether the program shall end</returns>
    private bool CountDown()
    {
        AtRoot(() =>
        {
            if (_halt.Read().Number(HaltFile.Checkpoints) is not > 0) return;
            _halt.Update(tree => tree.Set(HaltFile.Checkpoints, Math.Max(0, (tree.Number(HaltFile.Checkpoints) ?? 1) - 1)));
        });
        return HaltReason() is not null;
    }

    /// <summary>What was asked for, and what there is: nobody shall find out after a failure.</summary>
    private string Describe(CopyDescriptor copy, int nodes)
    {
        string asked = $"{copy.Type.ToString().ToUpperInvariant()} over {copy.Group}{(copy.Type is CopyType.Single or CopyType.Partner ? "" : $", sets of {copy.SetSize}")}{(copy.Type == CopyType.Rs ? $", {copy.SetFailures} failures" : "")}";
        string line = $"{(copy.Output ? "output" : copy.Interval == 1 ? "checkpoints" : $"every {copy.Interval}th checkpoint")}: asked for {asked}; given ";
        if (copy.Bypass) return line + "nothing in the caches: files are written to the prefix directory (SCR_CACHE_BYPASS=1)";
        var given = _sets[copy.Number].GroupBy(s => RedundancySets.Given(copy, s.Length)).Select(g =>
            g.Key.Type == CopyType.Single ? $"no redundancy for {g.Sum(s => s.Length)} of {_ranks.Count} ranks" : $"{g.Key.Type.ToString().ToUpperInvariant()} in {g.Count()} sets of {g.Min(s => s.Length)}{(g.Min(s => s.Length) == g.Max(s => s.Length) ? "" : $" to {g.Max(s => s.Length)}")}, {g.Key.Parity} may be lost of each");
        return $"{line}{string.Join("; ", given)} ({nodes} node{(nodes == 1 ? "" : "s")})";
    }
}
