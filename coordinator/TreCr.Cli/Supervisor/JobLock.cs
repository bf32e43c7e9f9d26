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
/// launch gets the name before the last of them is gone.
/// </remarks>
internal sealed class JobLock : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<string> _lines = [];
    private int _fd, _shared = -1;

    private JobLock(int fd, string path, string name) => (_fd, Path, Name) = (fd, path, name);

    /// <summary>Of the job.</summary>
    public string Name { get; }

    /// <summary>Of the job and the rank, among all that run: the file's name.</summary>
    public string Key => System.IO.Path.GetFileNameWithoutExtension(Path);

    public string Path { get; }

    /// <summary>How long somebody else may have the lock of a dead job: a cleanup, or one who looks whether the job runs.</summary>
    private const int OthersMs = 10_000;

    /// <returns>null: a running job has the name, or this rank of it</returns>
    public static JobLock? TryTake(RuntimeDirectory directory, string job, LaunchSlot slot)
    {
        if (!slot.IsOneOfSeveral) return TryTake(directory.JobFile(job), job);
        int shared = TryShare(directory.JobFile(job), $"launch {slot.Launch}\n");
        if (shared < 0) return null;
        JobLock? taken = TryTake(directory.JobFile($"{job}{slot.Suffix}"), job);
        if (taken is null) Sys.Close(shared);
        else taken._shared = shared;
        return taken;
    }

    /// <summary>Shares the lock of a file with all who want the same text in it.</summary>
    /// <returns>a descriptor that holds it; -1: somebody else has it</returns>
    private static unsafe int TryShare(string path, string text)
    {
        using ManualResetEventSlim never = new();
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        for (long end = Environment.TickCount64 + OthersMs; Environment.TickCount64 < end; never.Wait(5 + Random.Shared.Next(20))) // not all ranks in step
        {
            int fd = Sys.Open(path, Sys.O_RDWR | Sys.O_CREAT | Sys.O_NOFOLLOW | Sys.O_CLOEXEC, 0x180);
            if (Sys.Flock(fd, Sys.LOCK_EX | Sys.LOCK_NB) >= 0 && IsStill(fd, path)) // nobody has it: what it says is of a dead job
            {
                Sys.Ftruncate(fd, 0);
                fixed (byte* p = bytes) Sys.Pwrite(fd, p, bytes.Length, 0);
            }
            // From exclusive to shared the kernel lets go for a moment (flock(2)): what counts is what the file says then.
            if (Sys.Flock(fd, Sys.LOCK_SH | Sys.LOCK_NB) >= 0 && IsStill(fd, path) && ReadAll(fd) == text) return fd;
            bool runs = HasSupervisor(fd);
            Sys.Close(fd);
            if (runs) return -1;
        }
        return -1;
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
            if (_shared < 0) return;
            string common = $"{System.IO.Path.GetDirectoryName(Path)}/{Name}.job";
            if (Sys.Flock(_shared, Sys.LOCK_EX | Sys.LOCK_NB) >= 0 && IsStill(_shared, common)) Sys.UnlinkAt(Sys.AT_FDCWD, common); // the last of them
            Sys.Close(_shared);
            _shared = -1;
        }
    }
}
