using System.Text;
using TreCr.Control;
using TreCr.Coordinator;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary>
/// Makes a job's name unique among this user's running jobs: its file in the runtime directory is locked (flock) while the supervisor lives. The file lists the
/// processes of the job, one per line (role, pid, start time), for <c>trecr cleanup</c>.
/// </summary>
internal sealed class JobLock : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<string> _lines = [];
    private int _fd;

    private JobLock(int fd, string path, string name) => (_fd, Path, Name) = (fd, path, name);

    public string Name { get; }

    public string Path { get; }

    /// <returns>null: a running job has the name</returns>
    public static JobLock? TryTake(RuntimeDirectory directory, string job)
    {
        string path = directory.JobFile(job);
        using ManualResetEventSlim never = new();
        for (int attempt = 0; ; attempt++)
        {
            int fd = Sys.Open(path, Sys.O_RDWR | Sys.O_CREAT | Sys.O_NOFOLLOW | Sys.O_CLOEXEC, 0x180);
            if (Sys.Flock(fd, Sys.LOCK_EX | Sys.LOCK_NB) < 0)
            {
                Sys.Close(fd);
                if (attempt >= 5) return null;
                never.Wait(10); // a cleanup holds the lock of a dead job for a moment
                continue;
            }
            // The file may have been removed by the one who held it before: then this is no longer the file of that name.
            if (Sys.ReadLink($"/proc/self/fd/{fd}") == path)
            {
                JobLock taken = new(fd, path, job);
                Sys.Ftruncate(fd, 0);
                taken.Note("supervisor", Environment.ProcessId);
                return taken;
            }
            Sys.Close(fd);
        }
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
            string line = $"{role} {hostPid} {StartTime(hostPid)}\n";
            _lines.Add(line);
            byte[] bytes = Encoding.ASCII.GetBytes(line);
            long at = _lines.SkipLast(1).Sum(l => (long)l.Length);
            fixed (byte* p = bytes) Sys.Pwrite(_fd, p, bytes.Length, at);
        }
    }

    /// <summary>Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat); 0: gone.</summary>
    public static long StartTime(int pid)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{pid}/stat");
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return long.Parse(fields[19], System.Globalization.CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException) { return 0; }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_fd < 0) return;
            Sys.UnlinkAt(Sys.AT_FDCWD, Path);
            Sys.Close(_fd);
            _fd = -1;
        }
    }
}
