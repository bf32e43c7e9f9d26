using System.Text;
using TreCr.Control;
using TreCr.Coordinator;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary>
/// Makes a job's name unique among this user's running jobs: its file in the runtime directory is locked (flock) while the supervisor lives. The file lists the
/// processes of the job, one per line (role, pid, start time), for <c>trecr cleanup</c>.
/// </summary>
/// <remarks>
/// A job of several ranks has such a file for each rank (JOB.RANK.job), and all its supervisors share the lock of the job's own file, which names their launch: no other
/// launch gets the name before the last of them is gone. All supervisors of a launch also share the lock of STORE/running/JOB, which other hosts see: a job runs once for each store, wherever that is mounted.
/// </remarks>
internal sealed class JobLock : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<string> _lines = [];
    private int _fd, _shared = -1, _inStore = -1;
    private string _storePath = "";

    private JobLock(int fd, string path, string name) => (_fd, Path, Name) = (fd, path, name);

    /// <summary>Of the job.</summary>
    public string Name { get; }

    /// <summary>Of the job and the rank, among all that run: the file's name.</summary>
    public string Key => System.IO.Path.GetFileNameWithoutExtension(Path);

    public string Path { get; }

    /// <summary>How long somebody else may have the lock of a dead job: a cleanup, or one who looks whether the job runs.</summary>
    private const int OthersMs = 10_000;

    /// <summary>The same where the holder is on another host: whoever only looks has it for a moment.</summary>
    private const int OtherHostMs = 1_000;

    private const string SeveralHosts = "several hosts";

    private const int Held = -1, CannotLock = -2;

    /// <param name="where">receives where that job runs, for messages: empty, or " on HOST"</param>
    /// <returns>null: a running job has the name, or this rank of it</returns>
    public static JobLock? TryTake(RuntimeDirectory directory, string store, string job, LaunchSlot slot, out string where)
    {
        where = "";
        if (TryTakeHere(directory, job, slot) is not { } taken) return null;
        try
        {
            if (taken.TryHold(store, slot, out where)) return taken;
            taken.Dispose();
            return null;
        }
        catch
        {
            taken.Dispose();
            throw;
        }
    }

    /// <summary>Shares the lock in the store with the other ranks. Where the file system has no locks, or we may not write there, nothing is known of other hosts.</summary>
    private bool TryHold(string store, LaunchSlot slot, out string where)
    {
        where = "";
        try { System.IO.Directory.CreateDirectory($"{store}/running", WholeFile.Private | UnixFileMode.UserExecute); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return true; }
        _storePath = $"{store}/running/{Name}";
        string host = slot.HasOtherHosts ? SeveralHosts : Environment.MachineName;
        string launch = slot.IsOneOfSeveral ? slot.Launch : $"{Environment.ProcessId} {ProcessLook.StartTime(Environment.ProcessId)}";
        _inStore = TryShare(_storePath, $"{host}\n{launch}\n", host, out string holder);
        if (_inStore != Held) return true;
        where = $" on {holder}{(holder == SeveralHosts && CoordinatorNotes.TryRead(store, Name) is { } note ? $", with its coordinator on {note.Host}" : "")}";
        return false;
    }

    private static JobLock? TryTakeHere(RuntimeDirectory directory, string job, LaunchSlot slot)
    {
        if (!slot.IsOneOfSeveral) return TryTake(directory.JobFile(job), job);
        int shared = TryShare(directory.JobFile(job), $"launch {slot.Launch}\n", null, out _);
        if (shared < 0) return null;
        JobLock? taken = TryTake(directory.JobFile($"{job}{slot.Suffix}"), job);
        if (taken is null) Sys.Close(shared);
        else taken._shared = shared;
        return taken;
    }

    /// <summary>Shares the lock of a file with all who want the same text in it.</summary>
    /// <param name="host">of the file's first line, where others may be on other hosts</param><param name="holder">receives the first line of whoever has it</param>
    /// <returns>a descriptor that holds it; Held: somebody else does; CannotLock</returns>
    private static unsafe int TryShare(string path, string text, string? host, out string holder)
    {
        using ManualResetEventSlim never = new();
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        holder = "";
        for (long start = Environment.TickCount64; Environment.TickCount64 < start + (host is null || holder == host ? OthersMs : OtherHostMs); never.Wait(5 + Random.Shared.Next(20))) // not all ranks in step
        {
            int fd = (int)Sys.TryOpen(path, Sys.O_RDWR | Sys.O_CREAT | Sys.O_NOFOLLOW | Sys.O_CLOEXEC, 0x180);
            if (fd < 0 && host is not null) return CannotLock;
            Sys.Check(fd, "open", path);
            long locked = Sys.Flock(fd, Sys.LOCK_EX | Sys.LOCK_NB);
            if (locked >= 0 && IsStill(fd, path)) // nobody has it: what it says is of a dead job
            {
                Sys.Ftruncate(fd, 0);
                fixed (byte* p = bytes) Sys.Pwrite(fd, p, bytes.Length, 0);
            }
            if (locked < 0 && locked != -Errno.EAGAIN && host is not null)
            {
                Sys.Close(fd);
                return CannotLock;
            }
            // From exclusive to shared the kernel lets go for a moment (flock(2)): what counts is what the file says then.
            if (Sys.Flock(fd, Sys.LOCK_SH | Sys.LOCK_NB) >= 0 && IsStill(fd, path) && ReadAll(fd) == text) return fd;
            holder = ReadAll(fd).Split('\n')[0];
            bool runs = HasSupervisor(fd);
            Sys.Close(fd);
            if (runs) return Held;
        }
        return Held;
    }

    private static JobLock? TryTake(string path, string job)
    {
        using ManualResetEventSlim never = new();
        for (long end = Environment.TickCount64 + OthersMs; ;)
        {
            int fd = Sys.Open(path, Sys.O_RDWR | Sys.O_CREAT | Sys.O_NOFOLLOW | Sys.O_CLOEXEC, 0x180);
            if (Sys.Flock(fd, Sys.LOCK_EX | Sys.LOCK_NB) < 0)
            {
                bool runs = HasSupervisor(fd);
                Sys.Close(fd);
                if (runs || Environment.TickCount64 > end) return null;
                never.Wait(10);
                continue;
            }
            // The file may have been removed by the one who held it before: then this is no longer the file of that name.
            if (IsStill(fd, path))
            {
                JobLock taken = new(fd, path, job);
                Sys.Ftruncate(fd, 0);
                taken.Note("supervisor", Environment.ProcessId);
                return taken;
            }
            Sys.Close(fd);
        }
    }

    /// <summary>Whether an open job file has not been removed, or replaced by another of its name.</summary>
    public static bool IsStill(int fd, string path) => Sys.Fstat(fd) is var open && Sys.TryStat(path, out FileFacts now) == 0 && (open.Device, open.Inode) == (now.Device, now.Inode);

    /// <summary>The file's text, through the descriptor that holds the lock: File.Open would ask for a lock (flock) of its own.</summary>
    public static unsafe string ReadAll(int fd)
    {
        byte* buffer = stackalloc byte[16384];
        long n = Sys.Pread(fd, buffer, 16384, 0);
        return n <= 0 ? "" : Encoding.UTF8.GetString(buffer, (int)n);
    }

    /// <summary>Whether the supervisor that the file names lives and will go on doing so.</summary>
    private static bool HasSupervisor(int fd)
    {
        string[] words = ReadAll(fd).Split('\n')[0].Split(' ');
        return words is ["supervisor", { } pid, { } started] && int.TryParse(pid, out int number) && started == $"{ProcessLook.StartTime(number)}" && !ProcessLook.IsEnding(number);
    }

    /// <summary>Whether a running job has the name.</summary>
    public static bool IsTaken(RuntimeDirectory directory, string job)
    {
        long fd = Sys.TryOpen(directory.JobFile(job), Sys.O_RDWR | Sys.O_NOFOLLOW | Sys.O_CLOEXEC);
        if (fd < 0) return false;
        bool taken = Sys.Flock((int)fd, Sys.LOCK_EX | Sys.LOCK_NB) < 0;
        Sys.Close((int)fd);
        return taken;
    }

    /// <summary>Adds a process of the job.</summary>
    public unsafe void Note(string role, int hostPid)
    {
        lock (_lock)
        {
            if (_fd < 0) return;
            string line = $"{role} {hostPid} {ProcessLook.StartTime(hostPid)}\n";
            _lines.Add(line);
            byte[] bytes = Encoding.ASCII.GetBytes(line);
            long at = _lines.SkipLast(1).Sum(l => (long)l.Length);
            fixed (byte* p = bytes) Sys.Pwrite(_fd, p, bytes.Length, at);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_fd < 0) return;
            Sys.UnlinkAt(Sys.AT_FDCWD, Path);
            Sys.Close(_fd);
            _fd = -1;
            Leave(ref _shared, $"{System.IO.Path.GetDirectoryName(Path)}/{Name}.job");
            Leave(ref _inStore, _storePath);
        }
    }

    private static void Leave(ref int shared, string path)
    {
        if (shared < 0) return;
        if (Sys.Flock(shared, Sys.LOCK_EX | Sys.LOCK_NB) >= 0 && IsStill(shared, path)) Sys.UnlinkAt(Sys.AT_FDCWD, path); // the last of them
        Sys.Close(shared);
        shared = -1;
    }
}
