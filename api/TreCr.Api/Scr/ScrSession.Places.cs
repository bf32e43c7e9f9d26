using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace TreCr.Api.Scr;

/// <summary>Where datasets are: the caches with their redundancy, and the prefix directory.</summary>
public sealed partial class ScrSession
{
    private readonly record struct BackgroundFlush(Thread Thread, DatasetInfo Dataset, string?[] Problem);

    private readonly List<BackgroundFlush> _flushes = [];

    /// <summary>Makes a dataset of what was written.</summary>
    private void Keep(DatasetInfo dataset)
    {
        StoreDescriptor? store = _copy.Bypass ? null : StoreOf(_copy);
        HashSet<string> shared = [.. GatherText(string.Join('\n', _routed)).SelectMany(t => t.Split('\n', StringSplitOptions.RemoveEmptyEntries)).GroupBy(p => p).Where(g => g.Count() > 1).Select(g => g.Key)];
        if (shared.Count > 0 && store is not null) throw new CheckpointException($"{shared.First()}: several ranks write it, which only SCR_CACHE_BYPASS=1 allows");
        List<SavedFile> files = [];
        Together($"{dataset}", () =>
        {
            foreach (string path in _routed)
            {
                string at = store is null ? $"{_prefix.Path}/{path}" : _cache.FilePath(store, dataset.Id, _ranks.Rank, path);
                using SafeFileHandle file = FilePieces.TryOpen(at) ?? throw new CheckpointException($"{at}: was routed, and cannot be read");
                bool hashed = store is not null || (!shared.Contains(path) && _parameters.Flag("SCR_CRC_ON_FLUSH"));
                (long bytes, UInt128 hash) = hashed ? FileDigest.Of(file) : (RandomAccess.GetLength(file), default);
                files.Add(new SavedFile(path, bytes, hashed ? hash : null));
                if (store is null) RandomAccess.FlushToDisk(file);
            }
        });
        if (store is null)
        {
            Together($"{dataset}", () => _prefix.WriteMap(new RankFiles(dataset, _ranks.Rank, files, null)));
            Commit(dataset);
            return;
        }
        _cached[dataset.Id] = Protect(store, new RankFiles(dataset, _ranks.Rank, files, null), _copy);
    }

    /// <summary>Computes the redundancy of a dataset that is whole in the caches, and makes it one by its filemaps.</summary>
    private Cached Protect(StoreDescriptor store, RankFiles files, CopyDescriptor copy)
    {
        DatasetInfo dataset = files.Dataset;
        List<SavedFile>[] all = [.. _ranks.Gather(SavedFile.ToTree(files.Files).ToBytes()).Select(b => SavedFile.FromTree(KvTree.Parse(b)) ?? throw new CheckpointException($"{dataset}: a rank's files cannot be"))];
        long encoded = long.Parse(FromRoot(() => DateTime.UtcNow.Ticks.ToString(CultureInfo.InvariantCulture)), CultureInfo.InvariantCulture);
        IReadOnlyList<int[]> sets = _sets[copy.Number];
        int[] members = sets.First(s => s.Contains(_ranks.Rank));
        (CopyType type, int parity) = RedundancySets.Given(copy, members.Length);
        RankFiles kept = files with { Set = null };
        string? problem = null, fresh = null;
        SetRecord? set = null;
        if (type != CopyType.Single)
        {
            StripeLayout layout = new(type, members.Length, parity);
            set = new(type, sets.ToList().IndexOf(members), sets.Count, parity, layout.ChunkBytes(members.Max(m => all[m].Sum(f => f.Bytes))), encoded, members, [.. members.Select(m => all[m])], null);
            fresh = _cache.OwnPath(store, dataset.Id, $"{_ranks.Rank}.parity");
            (SavedFile? made, problem) = RunStripes(layout.Encode(), set, files, store, fresh, writeData: false, writeParity: true);
            kept = files with { Set = set with { Kept = made } };
        }
        Together($"{dataset}", () =>
        {
            if (problem is not null) throw new CheckpointException(problem);
            if (fresh is not null) File.Move(fresh, _cache.ParityPath(store, dataset.Id, set!, _ranks.Rank), overwrite: true);
            _cache.Write(store, kept);
        });
        return new Cached(store, kept);
    }

    /// <summary>Takes part in computing units of this rank's set.</summary>
    /// <returns>the parity that this rank has then, where it was written; what failed here</returns>
    private (SavedFile? Parity, string? Problem) RunStripes(IReadOnlyList<StripeJob> jobs, SetRecord set, RankFiles files, StoreDescriptor store, string parityPath, bool writeData, bool writeParity)
    {
        MemberBytes? own = null;
        string? problem = null;
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(parityPath)!);
            own = new MemberBytes(files.Files, f => _cache.FilePath(store, files.Dataset.Id, _ranks.Rank, f.Path), writeParity || File.Exists(parityPath) ? parityPath : null, set, writeData, writeParity);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CheckpointException) { problem = e.Message; }
        using (own)
        {
            string? failed = StripeWork.Run(jobs, set.ChunkBytes, set.Members, _ranks, own);
            problem ??= failed;
        }
        if (problem is not null || !writeParity) return (null, problem);
        using SafeFileHandle? parity = FilePieces.TryOpen(parityPath);
        if (parity is null) return (null, $"{parityPath}: has gone");
        (long bytes, UInt128 hash) = FileDigest.Of(parity);
        return (new SavedFile(Path.GetFileName(parityPath), bytes, hash), null);
    }

    // ---- prefix directory -------------------------------------------------------------------------------------------------------------

    /// <summary>Brings a dataset to the prefix directory.</summary>
    /// <param name="wait">false: goes on behind the program; it needs no further call to be complete</param>
    private void Flush(Cached cached, bool wait)
    {
        DatasetInfo dataset = cached.Files.Dataset;
        WaitForFlushes();
        if (_flushed.Contains(dataset.Id)) return;
        AtRoot(() => _prefix.Forget(dataset.Id));
        void Stage() => _prefix.Stage(cached.Files, f => _cache.FilePath(cached.Store, dataset.Id, _ranks.Rank, f.Path));
        if (wait)
        {
            Together($"{dataset}", Stage);
            Commit(dataset);
            return;
        }
        string?[] problem = new string?[1];
        Thread thread = new(() =>
        {
            Linux.Sys.BlockProgramSignals();
            try
            {
                Stage();
                _prefix.TryCommit(dataset.Id); // by whoever comes last
            }
            catch (Exception e) { problem[0] = e.Message; }
        }) { IsBackground = true, Name = "scr flush" };
        _flushes.Add(new(thread, dataset, problem));
        thread.Start();
    }

    /// <summary>Waits for flushes that go on behind the program. One that failed is tried again with the next SCR_Init; the dataset is in the caches.</summary>
    private void WaitForFlushes()
    {
        foreach (BackgroundFlush flush in _flushes.ToArray())
        {
            flush.Thread.Join();
            _flushes.Remove(flush);
            if (flush.Problem[0] is { } problem) _say($"{flush.Dataset}: not brought to {_prefix.Path}: {problem}");
            if (_ranks.Smallest(flush.Problem[0] is null ? 1 : 0) == 1) _flushed.Add(flush.Dataset.Id);
        }
    }

    private void Commit(DatasetInfo dataset)
    {
        AtRoot(() =>
        {
            if (!_prefix.TryCommit(dataset.Id)) throw new CheckpointException($"{dataset}: its filemaps are not all in {_prefix.DatasetPath(dataset.Id)}");
            ShortenPrefix();
        });
        _flushed.Add(dataset.Id);
    }

    /// <summary>SCR_PREFIX_SIZE: so many checkpoints that are no output stay.</summary>
    private void ShortenPrefix()
    {
        int keep = _parameters.Number("SCR_PREFIX_SIZE");
        if (keep <= 0) return;
        foreach (PrefixIndex.Entry old in _prefix.Index.Entries.Where(e => e.Flags == DatasetInfo.Checkpoint && e.Complete).SkipLast(keep)) _prefix.Delete(old);
    }

    /// <summary>Brings back a checkpoint from the prefix directory: the current one, or the next older one that all ranks can read.</summary>
    private RankFiles? Fetch()
    {
        HashSet<int> tried = [];
        while (true)
        {
            string found = FromRoot(() =>
            {
                PrefixIndex index = _prefix.Index;
                int limit = index.Current is { } current && index.Find(current) is { } entry ? entry.Id : int.MaxValue;
                return index.Entries.LastOrDefault(e => e.Id <= limit && e.IsCheckpoint && e.Complete && !e.Failed && !tried.Contains(e.Id))?.Id.ToString(CultureInfo.InvariantCulture) ?? "";
            });
            if (found.Length == 0) return null;
            int id = int.Parse(found, CultureInfo.InvariantCulture);
            tried.Add(id);
            RankFiles? files = _prefix.Read(id, _ranks.Rank);
            // Another number of ranks: it stays what it is, for a run that has as many.
            string writers = FromRoot(() => _prefix.Read(id, 0)?.Dataset.Ranks.ToString(CultureInfo.InvariantCulture) ?? "");
            if (writers.Length > 0 && writers != _ranks.Count.ToString(CultureInfo.InvariantCulture))
            {
                if (_ranks.Rank == 0) _say($"dataset {id}: {writers} ranks wrote it, and {_ranks.Count} are here");
                continue;
            }
            try
            {
                RankFiles fetched = Fetch(id, files);
                AtRoot(() => _prefix.Update(index =>
                {
                    if (index.Find(id) is { } entry) index.MarkFetched(entry);
                }));
                return fetched;
            }
            catch (CheckpointException e)
            {
                _say($"dataset {id}: cannot be fetched: {e.Message}");
                Remove(id);
                AtRoot(() => _prefix.Update(index =>
                {
                    if (index.Find(id) is { } entry) index.MarkFailed(entry);
                }));
            }
        }
    }

    private RankFiles Fetch(int id, RankFiles? files)
    {
        Together($"dataset {id}", () =>
        {
            if (files is null) throw new CheckpointException($"{_prefix.DatasetPath(id)}: nothing of rank {_ranks.Rank}");
        });
        CopyDescriptor copy = CopyOf(files!.Dataset);
        if (copy.Bypass || _parameters.Flag("SCR_FETCH_BYPASS") || _parameters.Flag("SCR_GLOBAL_RESTART"))
        {
            Together($"dataset {id}", () =>
            {
                for (int i = 0; i < files.Files.Count; i++)
                    if (_prefix.Locate(files, i) is null) throw new CheckpointException($"{files.Files[i].Path}: is not there as it was written");
            });
            return files;
        }
        StoreDescriptor store = StoreOf(copy);
        Together($"dataset {id}", () =>
        {
            _cache.Delete(store, id, _ranks.Rank, forNew: true);
            for (int i = 0; i < files.Files.Count; i++)
                FileDigest.Copy(_prefix.Locate(files, i) ?? throw new CheckpointException($"{files.Files[i].Path}: is not there as it was written"), _cache.FilePath(store, id, _ranks.Rank, files.Files[i].Path), files.Files[i].Bytes, files.Files[i].Hash, durable: false);
        });
        Cached cached = Protect(store, files, copy);
        _cached[id] = cached;
        _flushed.Add(id);
        return cached.Files;
    }

    private string RouteRestart(string name, string full)
    {
        RankFiles files = _offered!;
        string? path = _prefix.Relative(full);
        int number = files.Files.ToList().FindIndex(f => f.Path == path);
        // Names without a directory are found by themselves, as in the original, where there is one of this name.
        if (number < 0 && !name.Contains('/')) number = files.Files.ToList().FindIndex(f => Path.GetFileName(f.Path) == name);
        if (number >= 0)
        {
            string? at = _cached.TryGetValue(files.Dataset.Id, out Cached? cached) ? _cache.FilePath(cached.Store, files.Dataset.Id, _ranks.Rank, files.Files[number].Path) : _prefix.Locate(files, number);
            if (at is not null && File.Exists(at)) return at;
        }
        // Read in place, a rank may look at another's file.
        else if (path is not null && !_cached.ContainsKey(files.Dataset.Id) && File.Exists(full)) return full;
        throw new CheckpointException($"{name}: not a file of {files.Dataset} on rank {_ranks.Rank}");
    }

    // ---- caches -----------------------------------------------------------------------------------------------------------------------

    private void Remove(int id)
    {
        if (!_cached.TryGetValue(id, out Cached? cached)) return;
        WaitForFlushes();
        _cached.Remove(id);
        Quietly(() => _cache.Delete(cached.Store, id, _ranks.Rank));
    }

    /// <summary>As many datasets as the store is to hold. The oldest go when a newer one is complete, so that there is always one.</summary>
    private void Prune(StoreDescriptor store)
    {
        int[] here = [.. _cached.Where(c => c.Value.Store == store).Select(c => c.Key)];
        foreach (int old in here.SkipLast(Math.Max(1, store.Count))) Remove(old);
    }

    private void NoteCaches()
    {
        AtRoot(() => new FlushFile(_prefix).Write(_cached.Values.Select(c => c.Files.Dataset).Select(d => new FlushFile.Entry(d.Id, d.Name, d.Flags, d.FlushDue, _flushed.Contains(d.Id)))));
    }
}
