using TreCr.Linux;

namespace TreCr.SoftDevice.Cache;

/// <summary>
/// A directory of one user's compiled kernels: 0700, files 0600, no links followed, nothing of another user's read. Files appear whole, by rename(2), so that any number of processes may use it at once.
/// KEY.entry says what a kernel's code is, KEY.dll is the code, KEY.pending waits to be compiled; "lock" is held by who compiles, work-PID is its room.
/// </summary>
sealed unsafe class CacheDirectory
{
    public const string Entry = ".entry", Image = ".dll", Pending = ".pending", Lock = "lock", Work = "work-";
    const int LargestFile = 256 << 20;

    readonly int descriptor;

    CacheDirectory(string path, int descriptor) => (Path, this.descriptor) = (path, descriptor);

    /// <summary>Absolute path.</summary>
    public string Path { get; }

    /// <summary>Opens or makes the directory.</summary>
    /// <param name="problem">why there is none</param><param name="isUnsafe">others could put something into it</param>
    public static CacheDirectory? Open(string path, out string? problem, out bool isUnsafe)
    {
        problem = null;
        isUnsafe = false;
        try { Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException) { problem = e.Message; return null; }
        long fd = Sys.TryOpen(path, Sys.O_RDONLY | Sys.O_DIRECTORY | Sys.O_NOFOLLOW | Sys.O_CLOEXEC);
        if (fd < 0) { problem = Errno.Describe((int)-fd); return null; }
        problem = PrivateDirectory.WhyNot((int)fd);
        if (problem is null) return new(path, (int)fd);
        isUnsafe = true;
        Sys.Close((int)fd);
        return null;
    }

    public string PathOf(string name) => $"{Path}/{name}";

    /// <summary>A file's bytes; null where there is none, or it is not a file of this user's.</summary>
    public byte[]? Read(string name)
    {
        int fd = (int)Sys.TryOpenAt(descriptor, name, Sys.O_RDONLY | Sys.O_NOFOLLOW | Sys.O_CLOEXEC);
        if (fd < 0) return null;
        try
        {
            FileFacts facts = Sys.Fstat(fd);
            if (facts.UserId != Sys.EffectiveUserId() || (facts.Mode & Sys.S_IFMT) != Sys.S_IFREG || facts.LengthBytes > LargestFile) return null;
            byte[] bytes = new byte[facts.LengthBytes];
            long at = 0;
            fixed (byte* p = bytes)
                while (at < bytes.Length)
                {
                    long n = Sys.Pread(fd, p + at, bytes.Length - at, at);
                    if (n <= 0) return null;
                    at += n;
                }
            return bytes;
        }
        finally { Sys.Close(fd); }
    }

    /// <exception cref="IOException">no room, or the directory is gone</exception>
    public void Write(string name, ReadOnlySpan<byte> bytes) => WholeFile.Replace(PathOf(name), bytes, durable: false, WholeFile.Private);

    public void Remove(string name) => Sys.UnlinkAt(descriptor, name);

    /// <summary>Takes the lock of who compiles.</summary>
    /// <returns>null: somebody else has it</returns>
    public IDisposable? TryLock()
    {
        int fd = (int)Sys.TryOpenAt(descriptor, Lock, Sys.O_RDWR | Sys.O_CREAT | Sys.O_NOFOLLOW | Sys.O_CLOEXEC, 0x180);
        if (fd < 0) return null;
        if (Sys.Flock(fd, Sys.LOCK_EX | Sys.LOCK_NB) >= 0) return new Held(fd);
        Sys.Close(fd);
        return null;
    }

    sealed class Held(int fd) : IDisposable
    {
        int fd = fd;

        public void Dispose()
        {
            int mine = Interlocked.Exchange(ref fd, -1);
            if (mine >= 0) Sys.Close(mine); // closing gives the lock back
        }
    }

    /// <summary>Removes what was not used for longest until no more than that is left, and unfinished files of processes that have ended.</summary>
    public void Prune(long limitBytes)
    {
        FileInfo[] files = new DirectoryInfo(Path).GetFiles();
        foreach (FileInfo f in files)
            if (f.Name.EndsWith(WholeFile.UnfinishedSuffix, StringComparison.Ordinal) && f.LastWriteTimeUtc < DateTime.UtcNow.AddHours(-1)) Remove(f.Name);
        long total = files.Sum(f => f.Length);
        foreach (IGrouping<string, FileInfo> one in files.Where(f => f.Extension is Entry or Image).GroupBy(f => System.IO.Path.GetFileNameWithoutExtension(f.Name)).OrderBy(g => g.Max(f => f.LastWriteTimeUtc)))
        {
            if (total <= limitBytes) return;
            // The entry first: without it nobody asks for the image.
            foreach (FileInfo f in one.OrderBy(f => f.Extension == Image))
            {
                Remove(f.Name);
                total -= f.Length;
            }
        }
    }
}
