using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Coordinator;

/// <summary>
/// This user's private directory for sockets, locks and logs: $XDG_RUNTIME_DIR/trecr where that is a directory of this user, else /tmp/trecr-UID. 0700, never
/// through a link, never another user's.
/// </summary>
public sealed class RuntimeDirectory
{
    private RuntimeDirectory(string path) => Path = path;

    /// <summary>Absolute path.</summary>
    public string Path { get; }

    /// <summary>Where the coordinator listens.</summary>
    public string CoordinatorSocket => $"{Path}/coordinator.sock";

    /// <summary>Held (flock) by the coordinator that serves.</summary>
    public string CoordinatorLock => $"{Path}/coordinator.lock";

    public string CoordinatorLog => $"{Path}/coordinator.log";

    /// <summary>Held (flock) by the supervisor of a job; lists its processes, for cleanup.</summary>
    public string JobFile(string job) => $"{Path}/{job}.job";

    /// <summary>Where the programs of a job reach their supervisor.</summary>
    public string SessionSocket(int supervisorPid) => $"{Path}/session-{supervisorPid}.sock";

    /// <summary>Opens or makes the directory.</summary>
    /// <exception cref="TrecrException">it belongs to another user, is open to others, or cannot be made</exception>
    public static RuntimeDirectory Open()
    {
        try { return new RuntimeDirectory(PrivateDirectory.Open()); }
        catch (IOException e) { throw new TrecrException(TrecrError.RuntimeDirectory, e.Message); }
    }

    /// <summary>
    /// Locks the directory: exclusive, to remove what dead jobs have left in it; shared, to make a socket in it, whose name may be that of a dead job's.
    /// </summary>
    /// <returns>null: not within the time</returns>
    public IDisposable? TryLock(bool exclusive, int timeoutMs)
    {
        long fd = Sys.TryOpen(Path, Sys.O_RDONLY | Sys.O_DIRECTORY | Sys.O_NOFOLLOW | Sys.O_CLOEXEC);
        if (fd < 0) return null;
        using ManualResetEventSlim never = new();
        for (long end = Environment.TickCount64 + timeoutMs; Sys.Flock((int)fd, (exclusive ? Sys.LOCK_EX : Sys.LOCK_SH) | Sys.LOCK_NB) < 0; never.Wait(10))
        {
            if (Environment.TickCount64 < end) continue;
            Sys.Close((int)fd);
            return null;
        }
        return new Held((int)fd);
    }

    private sealed class Held(int fd) : IDisposable
    {
        private int _fd = fd;

        public void Dispose() => Sys.Close(Interlocked.Exchange(ref _fd, -1)); // closing gives the lock back
    }
}
