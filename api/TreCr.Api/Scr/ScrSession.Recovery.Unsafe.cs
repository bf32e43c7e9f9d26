using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace TreCr.Api.Scr;

/// <summary>SCR_Init: what lies in the caches is brought to the ranks that it belongs to, and what is lost is computed from the redundancy.</summary>
public sealed unsafe partial class ScrSession
{
    private const int TransferBytes = 1 << 20;

    /// <summary>A rank's part of a dataset in a node's cache, as the lowest rank of that node sees it.</summary>
    private readonly record struct Part(int Leader, int Store, int Id, int Rank, long Created, int Ranks);

    private void RecoverCaches()
    {
        List<string> own = [];
        if (_leaders[_ranks.Rank] == _ranks.Rank)
            foreach ((StoreDescriptor store, int id, int rank) in _cache.List())
                if (_cache.Read(store, id, rank) is { } files && files.Dataset.Id == id) own.Add(string.Create(CultureInfo.InvariantCulture, $"{_cache.Stores.ToList().IndexOf(store)} {id} {rank} {files.Dataset.Created} {files.Dataset.Ranks}"));
        string[] all = GatherText(string.Join('\n', own));
        List<Part> parts = [];
        for (int leader = 0; leader < all.Length; leader++)
            foreach (string line in all[leader].Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                long[] numbers = [.. line.Split(' ').Select(w => long.Parse(w, CultureInfo.InvariantCulture))];
                parts.Add(new(leader, (int)numbers[0], (int)numbers[1], (int)numbers[2], numbers[3], (int)numbers[4]));
            }
        foreach (IGrouping<int, Part> dataset in parts.GroupBy(p => p.Id).OrderBy(g => g.Key))
        {
            long created = dataset.Max(p => p.Created);
            Part[] current = [.. dataset.Where(p => p.Created == created)];
            if (current[0].Ranks != _ranks.Count)
            {
                if (_ranks.Rank == 0) _say($"dataset {dataset.Key}: {current[0].Ranks} ranks wrote it, and {_ranks.Count} are here; it stays in the caches");
                continue;
            }
            try
            {
                Migrate(dataset.Key, current);
                if (MakeWhole(_cache.Stores[current[0].Store], dataset.Key, created) is { } cached) _cached[dataset.Key] = cached;
            }
            catch (CheckpointException e) { _say($"dataset {dataset.Key}: not whole in the caches: {e.Message}"); }
            _nextId = Math.Max(_nextId, dataset.Key + 1);
        }
        // What cannot be used keeps its place until there is something newer.
        if (_cached.Count > 0)
            foreach (Part old in parts.Where(p => p.Ranks == _ranks.Count && p.Id < _cached.Keys.First() && p.Leader == _ranks.Rank)) Quietly(() => _cache.Delete(_cache.Stores[old.Store], old.Id, old.Rank));
    }

    /// <summary>A rank that runs on another node than before gets its part from there.</summary>
    private void Migrate(int id, Part[] parts)
    {
        for (int rank = 0; rank < _ranks.Count; rank++)
        {
            Part[] of = [.. parts.Where(p => p.Rank == rank)];
            if (of.Length == 0 || of.Any(p => p.Leader == _leaders[rank])) continue;
            StoreDescriptor store = _cache.Stores[of[0].Store];
            if (of[0].Leader == _ranks.Rank) SendPart(store, id, rank);
            else if (rank == _ranks.Rank) ReceivePart(store, id, of[0].Leader);
        }
    }

    private void SendPart(StoreDescriptor store, int id, int rank)
    {
        RankFiles? files = _cache.Read(store, id, rank);
        byte[] map = files?.ToTree().ToBytes() ?? [];
        using Transfer transfer = new(_ranks, rank);
        transfer.SendLength(map.Length);
        if (files is null) return;
        transfer.Send(map);
        foreach ((string path, long bytes) in PathsOf(store, files)) transfer.Send(path, bytes);
        Quietly(() => _cache.Delete(store, id, rank));
    }

    private void ReceivePart(StoreDescriptor store, int id, int from)
    {
        using Transfer transfer = new(_ranks, from);
        int length = transfer.ReceiveLength();
        if (length == 0 || RankFiles.FromTree(KvTree.Parse(transfer.Receive(length))) is not { } files) return;
        foreach ((string path, long bytes) in PathsOf(store, files)) transfer.Receive(path, bytes);
        Quietly(() => _cache.Write(store, files));
    }

    private IEnumerable<(string Path, long Bytes)> PathsOf(StoreDescriptor store, RankFiles files)
    {
        foreach (SavedFile file in files.Files) yield return (_cache.FilePath(store, files.Dataset.Id, files.Rank, file.Path), file.Bytes);
        if (files.Set is { Kept: { } kept } set) yield return (_cache.ParityPath(store, files.Dataset.Id, set, files.Rank), kept.Bytes);
    }

    /// <summary>Computes what ranks lack.</summary>
    /// <exception cref="CheckpointException">on every rank: too much is lost</exception>
    private Cached MakeWhole(StoreDescriptor store, int id, long created)
    {
        RankFiles? own = _cache.Read(store, id, _ranks.Rank) is { } read && read.Dataset.Created == created ? read : null;
        bool files = own is not null && _cache.HasFiles(store, own), parity = own is not null && _cache.HasParity(store, own);
        if (_ranks.Smallest(files && parity ? 1 : 0) == 0) own = Rebuild(store, id, own, files, parity);
        CopyDescriptor copy = CopyOf(own!.Dataset);
        Cached cached = new(store, own);
        // Ranks that sit elsewhere now protect each other in other sets.
        int[] members = _sets[copy.Number].First(s => s.Contains(_ranks.Rank));
        bool same = RedundancySets.Given(copy, members.Length).Type is var given && (given == CopyType.Single || (own.Set is { } set && set.Type == given && set.Members.SequenceEqual(members)));
        if (_ranks.Smallest(same ? 1 : 0) == 1) return cached;
        try { return Protect(store, own, copy); }
        catch (CheckpointException e)
        {
            _say($"{own.Dataset}: has the redundancy of the last run only: {e.Message}");
            return cached;
        }
    }

    private RankFiles Rebuild(StoreDescriptor store, int id, RankFiles? own, bool hasFiles, bool hasParity)
    {
        byte[][] answers = _ranks.Gather([(byte)((hasFiles ? 1 : 0) | (hasParity ? 2 : 0)), .. own?.ToTree().ToBytes() ?? []]);
        RankFiles?[] maps = [.. answers.Select(a => RankFiles.FromTree(KvTree.Parse(a.AsSpan(1))))];
        bool HasFiles(int rank) => (answers[rank][0] & 1) != 0;
        bool HasParity(int rank, SetRecord of) => (answers[rank][0] & 2) != 0 && maps[rank]?.Set is { } its && its.IsSameAs(of);
        SetRecord[] sets = [.. maps.Select(m => m?.Set).OfType<SetRecord>().GroupBy(s => (s.Encoded, s.Members[0])).Select(g => g.First()).OrderByDescending(s => s.Encoded).ThenBy(s => s.Members[0])];
        HashSet<int> lost = [.. Enumerable.Range(0, _ranks.Count).Where(r => !HasFiles(r))];
        HashSet<int> done = [];
        foreach (SetRecord set in sets)
        {
            if (set.Members.Any(done.Contains) || !set.Members.Any(m => lost.Contains(m) || !HasParity(m, set))) continue; // of two attempts at redundancy the newer one
            if (set.Layout.Repair(p => p.IsParity ? !HasParity(set.Members[p.Member], set) : lost.Contains(set.Members[p.Member])) is not { } jobs)
                throw new CheckpointException($"too many of the ranks {string.Join(", ", set.Members)} are lost for {set.Type.ToString().ToUpperInvariant()}");
            done.UnionWith(set.Members);
            string? problem = null;
            if (set.Members.Contains(_ranks.Rank))
            {
                bool writeData = lost.Contains(_ranks.Rank), writeParity = !HasParity(_ranks.Rank, set);
                RankFiles known = maps[set.Members.First(m => maps[m]?.Set?.IsSameAs(set) == true)]!.OfMember(_ranks.Rank);
                (SavedFile? made, problem) = RunStripes(jobs, set, known, store, _cache.ParityPath(store, id, set, _ranks.Rank), writeData, writeParity);
                own = known with { Set = set with { Kept = writeParity ? made : own!.Set!.Kept } };
                if (problem is null && !_cache.HasFiles(store, own)) problem = $"rank {_ranks.Rank} did not come out right";
            }
            Together($"dataset {id}", () =>
            {
                if (problem is not null) throw new CheckpointException(problem);
                if (set.Members.Contains(_ranks.Rank)) _cache.Write(store, own!);
            });
            if (_ranks.Rank == 0 && set.Members.Any(lost.Contains)) _say($"dataset {id}: rank {string.Join(", ", set.Members.Where(lost.Contains))} computed from {set.Type.ToString().ToUpperInvariant()} of ranks {string.Join(", ", set.Members)}");
            lost.ExceptWith(set.Members);
        }
        if (lost.Count > 0) throw new CheckpointException($"rank {string.Join(", ", lost.Order())} is lost, and has no redundancy");
        return own!;
    }

    private void Purge()
    {
        if (_parameters.Flag("SCR_CACHE_PURGE"))
            Together("purge", () =>
            {
                if (_leaders[_ranks.Rank] != _ranks.Rank) return;
                foreach ((StoreDescriptor store, int id, int rank) in _cache.List().ToArray()) _cache.Delete(store, id, rank);
            });
        if (_parameters.Flag("SCR_PREFIX_PURGE"))
            AtRoot(() =>
            {
                foreach (PrefixIndex.Entry entry in _prefix.Index.Entries) _prefix.Delete(entry);
            });
    }

    /// <summary>SCR_CURRENT: the checkpoint to begin with, once for each job and value.</summary>
    private void UseCurrent()
    {
        if (_parameters.Get("SCR_CURRENT") is not { } name) return;
        string note = $"{_parameters.CacheOwner.Replace('/', '.')}.current";
        string answer = FromRoot(() => KvTree.Load(_prefix.OwnPath(note))?.Value("CURRENT") == name ? "" : _prefix.Index.Find(name)?.Id.ToString(CultureInfo.InvariantCulture) ?? "?");
        if (answer == "?") throw new CheckpointException($"SCR_CURRENT: no dataset is named '{name}'");
        if (answer.Length == 0) return;
        int id = int.Parse(answer, CultureInfo.InvariantCulture);
        if (_leaders[_ranks.Rank] == _ranks.Rank)
            foreach ((StoreDescriptor store, int newer, int rank) in _cache.List().Where(p => p.Id > id).ToArray()) Quietly(() => _cache.Delete(store, newer, rank));
        AtRoot(() =>
        {
            _prefix.Update(index => index.Current = name);
            KvTree tree = new();
            tree.Set("CURRENT", name);
            tree.Save(_prefix.OwnPath(note), durable: true);
        });
    }

    /// <summary>Rank 0 completes in the prefix directory what a run before has left there, and removes what nobody can complete.</summary>
    private void TidyPrefix() => AtRoot(() =>
    {
        PrefixIndex index = _prefix.Index;
        if (index.Entries.LastOrDefault(e => e is { Complete: true, Failed: false }) is { } newest) _prefix.TryCommit(newest.Id);
        foreach (int id in _prefix.Datasets().ToArray())
        {
            if (index.Find(id) is not null) continue;
            if (_prefix.Build(id) is not { } missing) _say($"dataset {id}: completed in {_prefix.Path}");
            else if (_cached.ContainsKey(id)) _prefix.Forget(id);
            else
            {
                _say($"{missing}; what is there of it goes");
                _prefix.Forget(id);
            }
        }
    });

    private void ReadCounters()
    {
        string[] entries = FromRoot(() => string.Join('\n', _prefix.Index.Entries.Select(e => string.Create(CultureInfo.InvariantCulture, $"{e.Id} {(e.Complete && !e.Failed ? 1 : 0)}")))).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        foreach (int[] entry in entries.Select(e => e.Split(' ').Select(w => int.Parse(w, CultureInfo.InvariantCulture)).ToArray()))
        {
            _nextId = Math.Max(_nextId, entry[0] + 1);
            if (entry[1] == 1) _flushed.Add(entry[0]);
        }
        _nextId = -_ranks.Smallest(-_nextId);
    }

    private void FlushWhatIsDue()
    {
        bool all = _parameters.Flag("SCR_FLUSH_ON_RESTART") || _parameters.Flag("SCR_GLOBAL_RESTART");
        foreach (Cached cached in _cached.Values.ToArray())
            if ((all || cached.Files.Dataset.FlushDue) && !_flushed.Contains(cached.Files.Dataset.Id)) Flush(cached, wait: true);
    }

    /// <summary>A part on its way from one rank to another. A file that cannot be read goes as zeroes, which its hash will tell.</summary>
    private sealed class Transfer(IRankMessages ranks, int other) : IDisposable
    {
        private readonly byte* _buffer = (byte*)NativeMemory.Alloc(TransferBytes);

        public void SendLength(int length)
        {
            *(int*)_buffer = length;
            Put(sizeof(int));
        }

        public void Send(ReadOnlySpan<byte> bytes)
        {
            for (int at = 0; at < bytes.Length; at += TransferBytes)
            {
                ReadOnlySpan<byte> piece = bytes.Slice(at, Math.Min(TransferBytes, bytes.Length - at));
                piece.CopyTo(new Span<byte>(_buffer, TransferBytes));
                Put(piece.Length);
            }
        }

        public void Send(string path, long bytes)
        {
            using SafeFileHandle? file = FilePieces.TryOpen(path);
            for (long at = 0; at < bytes; at += TransferBytes)
            {
                Span<byte> piece = new(_buffer, (int)Math.Min(TransferBytes, bytes - at));
                int read = file is null ? 0 : FilePieces.Read(file, piece, at);
                piece[read..].Clear();
                Put(piece.Length);
            }
        }

        public int ReceiveLength()
        {
            ranks.Receive(other, (nint)_buffer, sizeof(int));
            return *(int*)_buffer;
        }

        public byte[] Receive(int length)
        {
            byte[] bytes = new byte[length];
            for (int at = 0; at < length; at += TransferBytes)
            {
                int part = Math.Min(TransferBytes, length - at);
                ranks.Receive(other, (nint)_buffer, part);
                new ReadOnlySpan<byte>(_buffer, part).CopyTo(bytes.AsSpan(at));
            }
            return bytes;
        }

        public void Receive(string path, long bytes)
        {
            SafeFileHandle? file = null;
            Quietly(() =>
            {
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                file = File.OpenHandle(path, FileMode.Create, FileAccess.Write);
            });
            using (file)
                for (long at = 0; at < bytes; at += TransferBytes)
                {
                    int part = (int)Math.Min(TransferBytes, bytes - at);
                    ranks.Receive(other, (nint)_buffer, part);
                    try
                    {
                        if (file is not null) RandomAccess.Write(file, new ReadOnlySpan<byte>(_buffer, part), at);
                    }
                    catch (IOException) { } // its hash will tell
                }
        }

        public void Dispose() => NativeMemory.Free(_buffer);

        private void Put(int length)
        {
            ranks.StartSend(other, (nint)_buffer, length);
            ranks.WaitSent();
        }
    }
}
