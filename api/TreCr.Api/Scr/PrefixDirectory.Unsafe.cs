using System.Globalization;
using Microsoft.Win32.SafeHandles;
using TreCr.Linux;

namespace TreCr.Api.Scr;

/// <summary>
/// The prefix directory: the program's files at their own paths, and <c>.scr</c>. A dataset comes there in two steps. Each rank copies its files beside the others' into <c>.scr/scr.dataset.ID</c>,
/// durably, and writes its filemap. Whoever finds the filemaps of all ranks there commits: the index names the dataset, then the files get their own names. So it needs no rank to be alive any more
/// when the copies are there, and files of the same name from an older dataset are not touched before the new one exists.
/// </summary>
public sealed class PrefixDirectory
{
    private const string DatasetPrefix = "scr.dataset.", Damaged = ".damaged";

    private readonly string _own;

    /// <param name="path">absolute</param>
    /// <exception cref="CheckpointException">it cannot be made</exception>
    public PrefixDirectory(string path)
    {
        Path = path;
        _own = $"{path}/.scr";
        try { Directory.CreateDirectory(_own); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new CheckpointException($"{_own}: cannot be made: {e.Message}", e); }
    }

    public string Path { get; }

    /// <summary>Path of a file of SCR's own.</summary>
    public string OwnPath(string name) => $"{_own}/{name}";

    public string DatasetPath(int id) => OwnPath(DatasetPrefix + id.ToString(CultureInfo.InvariantCulture));

    /// <summary>Where a rank's file lies until it has its own name.</summary>
    public string StagedPath(int id, int rank, int number) => $"{DatasetPath(id)}/{rank}.{number}";

    /// <summary>Makes this process the one that takes datasets here, until what it gets is disposed or the process ends. Waits a while for one that is just ending.</summary>
    /// <exception cref="CheckpointException">another process is</exception>
    public unsafe IDisposable Occupy()
    {
        const int F_SETLK = 6, WriteLock = 1, Attempts = 50, PauseMs = 100;
        SafeFileHandle file = File.OpenHandle(OwnPath("running.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        // struct flock of the whole file: the process's own, which a child that it forks does not keep, unlike flock(2).
        long* request = stackalloc long[4];
        for (int attempt = 0; ; attempt++)
        {
            (request[0], request[1], request[2], request[3]) = (WriteLock, 0, 0, 0);
            long result = Sys.Raw(SyscallNumber.Fcntl, (int)file.DangerousGetHandle(), F_SETLK, (long)request);
            // File systems without locks have no guard.
            if (result == 0 || (result != -Errno.EAGAIN && result != -Errno.EACCES)) return file;
            if (attempt == Attempts) break;
            Thread.Sleep(PauseMs);
        }
        file.Dispose();
        throw new CheckpointException($"{Path}: another program that runs keeps its datasets here");
    }

    /// <summary>The index as it is now.</summary>
    public PrefixIndex Index => new(KvTree.Load(OwnPath("index.scr")));

    /// <summary>Changes the index; one process at a time.</summary>
    public void Update(Action<PrefixIndex> change)
    {
        using (Lock())
        {
            PrefixIndex index = Index;
            change(index);
            Save(index);
        }
    }

    /// <summary>The path of a file below this directory.</summary>
    /// <returns>null: it is not below it, or one of SCR's own</returns>
    public string? Relative(string path)
    {
        string full = System.IO.Path.GetFullPath(path);
        if (!full.StartsWith(Path + '/', StringComparison.Ordinal) || full.Length == Path.Length + 1) return null;
        string relative = full[(Path.Length + 1)..];
        return relative == ".scr" || relative.StartsWith(".scr/", StringComparison.Ordinal) ? null : relative;
    }

    public RankFiles? Read(int id, int rank) => RankFiles.FromTree(KvTree.Load($"{DatasetPath(id)}/{RankFiles.FileName(rank)}"));

    /// <summary>Where the bytes of a file are: under its own name, or still beside the others.</summary>
    /// <returns>null: nowhere as they were written</returns>
    public string? Locate(RankFiles files, int number)
    {
        SavedFile file = files.Files[number];
        foreach (string path in (string[])[StagedPath(files.Dataset.Id, files.Rank, number), $"{Path}/{file.Path}"])
            if (FileDigest.Matches(path, file.Bytes, file.Hash)) return path;
        return null;
    }

    /// <summary>Brings a rank's files out of a cache. Any thread.</summary>
    /// <exception cref="Exception">they could not be brought; nothing of an older dataset has changed</exception>
    public void Stage(RankFiles files, Func<SavedFile, string> pathOf)
    {
        Directory.CreateDirectory(DatasetPath(files.Dataset.Id));
        for (int i = 0; i < files.Files.Count; i++) FileDigest.Copy(pathOf(files.Files[i]), StagedPath(files.Dataset.Id, files.Rank, i), files.Files[i].Bytes, files.Files[i].Hash, durable: true);
        WriteMap(files);
    }

    /// <summary>Says what a rank has of a dataset: from now on its part is here.</summary>
    public void WriteMap(RankFiles files)
    {
        string path = DatasetPath(files.Dataset.Id);
        Directory.CreateDirectory(path);
        files.ToTree().Save($"{path}/{RankFiles.FileName(files.Rank)}", durable: true);
        FilePieces.SyncDirectory(path);
    }

    /// <summary>Makes a dataset one, where all ranks' parts are here. Any process, more than one at once.</summary>
    /// <returns>false: not all are</returns>
    public bool TryCommit(int id)
    {
        if (Read(id) is not { } ranks) return false;
        DatasetInfo dataset = ranks[0].Dataset;
        using (Lock())
        {
            PrefixIndex index = Index;
            if (index.Find(id) is not { Complete: true, Failed: false })
            {
                int? replaced = index.Add(dataset);
                Save(index);
                if (replaced is { } older) Forget(older);
            }
        }
        foreach (RankFiles files in ranks) Place(files);
        return true;
    }

    /// <summary>Gives a rank's files their own names. The dataset is in the index.</summary>
    public void Place(RankFiles files)
    {
        for (int i = 0; i < files.Files.Count; i++)
        {
            string from = StagedPath(files.Dataset.Id, files.Rank, i), to = $"{Path}/{files.Files[i].Path}";
            if (!File.Exists(from)) continue;
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(to)!);
            try { File.Move(from, to, overwrite: true); }
            catch (FileNotFoundException) { } // another process has
        }
    }

    /// <summary>All ranks' filemaps.</summary>
    /// <returns>null: they are not all here, or not of one attempt</returns>
    public IReadOnlyList<RankFiles>? Read(int id)
    {
        List<RankFiles> ranks = [];
        for (int rank = 0; rank == 0 || rank < ranks[0].Dataset.Ranks; rank++)
        {
            if (Read(id, rank) is not { } files || files.Dataset.Id != id || (rank > 0 && files.Dataset != ranks[0].Dataset)) return null;
            ranks.Add(files);
        }
        return ranks;
    }

    /// <summary>Datasets of which something is here, in the index or not.</summary>
    public IEnumerable<int> Datasets()
        => Directory.EnumerateDirectories(_own, DatasetPrefix + "*").Select(d => int.TryParse(System.IO.Path.GetFileName(d).AsSpan(DatasetPrefix.Length), out int id) ? id : -1).Where(i => i > 0).Order();

    /// <summary>Removes what is known of a dataset, and what is not under its own name.</summary>
    public void Forget(int id)
    {
        if (Directory.Exists(DatasetPath(id))) Directory.Delete(DatasetPath(id), recursive: true);
    }

    /// <summary>Removes a dataset with its files, and directories that are empty then.</summary>
    public void Delete(PrefixIndex.Entry entry)
    {
        HashSet<string> used = [.. Index.Entries.Where(e => e.Id > entry.Id).SelectMany(e => Read(e.Id) ?? []).SelectMany(r => r.Files).Select(f => f.Path)]; // a newer dataset has the name now
        IReadOnlyList<RankFiles> ranks = Read(entry.Id) ?? [];
        Update(index => index.Remove(entry));
        foreach (string path in ranks.SelectMany(r => r.Files).Select(f => f.Path).Distinct().Where(p => !used.Contains(p)))
        {
            File.Delete($"{Path}/{path}");
            for (string? directory = System.IO.Path.GetDirectoryName(path); !string.IsNullOrEmpty(directory); directory = System.IO.Path.GetDirectoryName(directory))
                try { Directory.Delete($"{Path}/{directory}"); }
                catch (IOException) { break; }
        }
        Forget(entry.Id);
    }

    /// <summary>Brings back a dataset of which ranks' parts are missing from the parity of the others, and commits it. Nobody else uses it meanwhile.</summary>
    /// <returns>null: done; else what is missing</returns>
    public string? Build(int id)
    {
        if (!Directory.Exists(DatasetPath(id))) return $"dataset {id}: nothing of it is in {_own}";
        List<RankFiles> found = [.. Directory.EnumerateFiles(DatasetPath(id), RankFiles.FileName(0)[..^1] + "*").Select(p => RankFiles.FromTree(KvTree.Load(p))).OfType<RankFiles>()];
        if (found.Count == 0) return $"dataset {id}: no rank's part is in {_own}";
        DatasetInfo dataset = found.MaxBy(f => f.Dataset.Created)!.Dataset;
        found.RemoveAll(f => f.Dataset != dataset);
        Dictionary<int, RankFiles> whole = found.Where(f => Enumerable.Range(0, f.Files.Count).All(i => Locate(f, i) is not null)).ToDictionary(f => f.Rank);
        foreach (SetRecord set in found.Select(f => f.Set).OfType<SetRecord>().GroupBy(s => (s.Encoded, s.Members[0])).Select(g => g.First()))
            if (set.Members.Any(m => !whole.ContainsKey(m)) && Rebuild(dataset, set, found, whole) is { } problem) return $"dataset {id}: {problem}";
        int[] missing = [.. Enumerable.Range(0, dataset.Ranks).Where(r => !whole.ContainsKey(r))];
        if (missing.Length > 0) return $"dataset {id}: nothing to compute rank {string.Join(", ", missing)} from";
        return TryCommit(id) ? null : $"dataset {id}: filemaps do not fit together";
    }

    private string? Rebuild(DatasetInfo dataset, SetRecord set, List<RankFiles> found, Dictionary<int, RankFiles> whole)
    {
        StripeLayout layout = set.Layout;
        bool HasParity(int rank) => found.Find(f => f.Rank == rank)?.Set is { Kept: { } kept } own && own.IsSameAs(set) && FileDigest.Matches($"{DatasetPath(dataset.Id)}/{own.ParityName(rank)}", kept.Bytes, kept.Hash);
        bool[] parity = [.. set.Members.Select(HasParity)];
        IReadOnlyList<StripeJob>? jobs = layout.Repair(p => p.IsParity ? !parity[p.Member] : !whole.ContainsKey(set.Members[p.Member]));
        if (jobs is null) return $"too many of the ranks {string.Join(", ", set.Members)} are lost for {set.Type.ToString().ToUpperInvariant()}";
        jobs = [.. jobs.Where(j => !j.Target.IsParity)];
        MemberBytes?[] members = new MemberBytes?[set.Members.Length];
        RankFiles[] files = new RankFiles[members.Length];
        try
        {
            for (int i = 0; i < members.Length; i++)
            {
                int rank = set.Members[i];
                bool lost = !whole.TryGetValue(rank, out RankFiles? own);
                files[i] = own ?? new RankFiles(dataset, rank, set.MemberFiles[i], set with { Kept = null });
                int number = 0;
                members[i] = new MemberBytes(files[i].Files, f => lost ? StagedPath(dataset.Id, rank, number++) + Damaged : Locate(files[i], number++)!, parity[i] ? $"{DatasetPath(dataset.Id)}/{set.ParityName(rank)}" : null, set, lost, false);
            }
            StripeWork.RunAlone(jobs, set.ChunkBytes, members);
        }
        finally
        {
            foreach (MemberBytes? member in members) member?.Dispose();
        }
        foreach (RankFiles rank in files.Where(f => !whole.ContainsKey(f.Rank)))
        {
            for (int i = 0; i < rank.Files.Count; i++)
            {
                string path = StagedPath(dataset.Id, rank.Rank, i);
                if (!FileDigest.Matches(path + Damaged, rank.Files[i].Bytes, rank.Files[i].Hash)) return $"{rank.Files[i].Path} did not come out right";
                File.Move(path + Damaged, path, overwrite: true);
            }
            WriteMap(rank);
            whole[rank.Rank] = rank;
        }
        return null;
    }

    private void Save(PrefixIndex index)
    {
        index.Tree.Save(OwnPath("index.scr"), durable: true);
        FilePieces.SyncDirectory(_own);
    }

    private FileLock Lock() => new(OwnPath("index.lock"));

    /// <summary>flock(2): ends with the process.</summary>
    internal readonly struct FileLock : IDisposable
    {
        private readonly int _fd;

        public FileLock(string path)
        {
            _fd = Sys.Open(path, Sys.O_RDWR | Sys.O_CREAT | Sys.O_CLOEXEC, 0x1B6);
            Sys.Check(Sys.Flock(_fd, Sys.LOCK_EX), "flock", path);
        }

        public void Dispose() => Sys.Close(_fd);
    }
}
