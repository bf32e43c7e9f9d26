using TreCr.Linux;

namespace TreCr.Store;

/// <summary>
/// A store in a directory: directories 0700, files 0600, everything opened relative to the store's own descriptor without following links, owner checked.
/// </summary>
public sealed unsafe class LinuxStoreFiles : IStoreFiles
{
    private const int DirectoryFlags = Sys.O_RDONLY | Sys.O_DIRECTORY | Sys.O_NOFOLLOW | Sys.O_CLOEXEC;
    private static readonly string[] Names = [".", "packs", "sessions", "checkpoints"];

    private readonly Lock _lock = new();
    private readonly bool _trust, _mapped;
    private readonly int[] _directories = [-1, -1, -1, -1];

    private LinuxStoreFiles(string path, int root, bool trust, bool mapped)
    {
        Location = path;
        _directories[0] = root;
        _trust = trust;
        _mapped = mapped;
    }

    /// <inheritdoc/>
    public string Location { get; }

    /// <summary>Opens the directory of a store.</summary>
    /// <param name="create">make the directory (and those above it) where it is missing</param>
    /// <param name="trustOtherOwner">accept files of another user</param>
    /// <param name="mapPacks">write new packs through mappings, past the caches: for NVRAM behind a file system with DAX</param>
    /// <exception cref="StoreException">NotFound, NotAStore (a file or a link), OtherOwner, IO.</exception>
    public static LinuxStoreFiles Open(string path, bool create, bool trustOtherOwner, bool mapPacks = false)
    {
        path = Path.GetFullPath(path);
        long fd = Sys.TryOpen(path, DirectoryFlags);
        if (fd == -Errno.ENOENT && create)
        {
            try
            {
                if (Path.GetDirectoryName(path) is { } parent) Directory.CreateDirectory(parent);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new StoreException(StoreErrorKind.IO, $"store {path}: cannot be made: {e.Message}", e);
            }
            long made = Sys.MakeDirectoryAt(Sys.AT_FDCWD, path, 0x1C0);
            if (made < 0 && made != -Errno.EEXIST) throw StoreException.FromErrno((int)-made, "mkdir", $"store {path}");
            fd = Sys.TryOpen(path, DirectoryFlags);
        }
        switch (fd)
        {
            case -Errno.ENOENT: throw new StoreException(StoreErrorKind.NotFound, $"store {path}: no such directory");
            case -Errno.ENOTDIR or -Errno.ELOOP: throw new StoreException(StoreErrorKind.NotAStore, $"store {path}: not a directory (a link is not followed)");
            case < 0: throw StoreException.FromErrno((int)-fd, "open", $"store {path}");
        }
        try
        {
            CheckOwner(Sys.Fstat((int)fd), $"store {path}", trustOtherOwner);
            return new LinuxStoreFiles(path, (int)fd, trustOtherOwner, mapPacks);
        }
        catch
        {
            Sys.Close((int)fd);
            throw;
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> List(StoreDirectory directory)
    {
        lock (_lock) // the descriptor has one offset
        {
            int fd = Descriptor(directory, create: false);
            if (fd < 0) return [];
            try { return Sys.ListDirectory(fd); }
            catch (LinuxException e) { throw StoreException.FromErrno(e.ErrorNumber, e.Call, PathOf(directory, "")); }
        }
    }

    /// <inheritdoc/>
    public IStoreFile Create(StoreDirectory directory, string name)
    {
        long fd = Sys.TryOpenAt(Descriptor(directory, create: true), name, Sys.O_RDWR | Sys.O_CREAT | Sys.O_EXCL | Sys.O_NOFOLLOW | Sys.O_CLOEXEC, 0x180);
        if (fd == -Errno.EEXIST) throw new StoreException(StoreErrorKind.Busy, $"{PathOf(directory, name)}: exists already");
        if (fd < 0) throw StoreException.FromErrno((int)-fd, "open", PathOf(directory, name));
        if (!_mapped || !name.EndsWith(Format.PackSuffix, StringComparison.Ordinal)) return new LinuxStoreFile((int)fd, PathOf(directory, name));
        try { return new MappedStoreFile((int)fd, PathOf(directory, name)); }
        catch
        {
            Delete(directory, name);
            throw;
        }
    }

    /// <inheritdoc/>
    public IStoreFile? TryOpen(StoreDirectory directory, string name, bool write = false)
    {
        int parent = Descriptor(directory, create: false);
        if (parent < 0) return null;
        string path = PathOf(directory, name);
        // O_NONBLOCK: opening a pipe that somebody put here must not wait.
        long fd = Sys.TryOpenAt(parent, name, (write ? Sys.O_RDWR : Sys.O_RDONLY) | Sys.O_NOFOLLOW | Sys.O_CLOEXEC | Sys.O_NONBLOCK);
        if (fd == -Errno.ENOENT) return null;
        if (fd < 0) throw StoreException.FromErrno((int)-fd, "open", path);
        try
        {
            FileFacts facts = Sys.Fstat((int)fd);
            CheckOwner(facts, path, _trust);
            if ((facts.Mode & Sys.S_IFMT) != Sys.S_IFREG) throw new StoreException(StoreErrorKind.Damaged, $"{path}: not a regular file");
            return new LinuxStoreFile((int)fd, path);
        }
        catch
        {
            Sys.Close((int)fd);
            throw;
        }
    }

    /// <inheritdoc/>
    public void Rename(StoreDirectory directory, string from, string to, bool replace = true)
    {
        int fd = Descriptor(directory, create: true);
        long r = Sys.RenameAt(fd, from, to, replace ? 0 : Sys.RENAME_NOREPLACE);
        if (r == -Errno.EINVAL && !replace)
        {
            // A file system without RENAME_NOREPLACE (NFS): looked up first; two coordinators of one job are refused elsewhere.
            using (IStoreFile? existing = TryOpen(directory, to)) r = existing is null ? Sys.RenameAt(fd, from, to) : -Errno.EEXIST;
        }
        if (r == -Errno.EEXIST) throw new StoreException(StoreErrorKind.Busy, $"{PathOf(directory, to)}: exists already");
        if (r < 0) throw StoreException.FromErrno((int)-r, "rename", PathOf(directory, to));
    }

    /// <inheritdoc/>
    public void Delete(StoreDirectory directory, string name)
    {
        int fd = Descriptor(directory, create: false);
        if (fd < 0) return;
        long r = Sys.UnlinkAt(fd, name);
        if (r < 0 && r != -Errno.ENOENT) throw StoreException.FromErrno((int)-r, "unlink", PathOf(directory, name));
    }

    /// <inheritdoc/>
    public void SyncDirectory(StoreDirectory directory)
    {
        long r = Sys.Fsync(Descriptor(directory, create: true));
        if (r < 0) throw StoreException.FromErrno((int)-r, "fsync", PathOf(directory, ""));
    }

    /// <inheritdoc/>
    public IDisposable? TryLock(bool exclusive)
    {
        const string name = "lock";
        long fd = Sys.TryOpenAt(_directories[0], name, Sys.O_RDONLY | Sys.O_NOFOLLOW | Sys.O_CLOEXEC);
        if (fd == -Errno.ENOENT) fd = Sys.TryOpenAt(_directories[0], name, Sys.O_RDONLY | Sys.O_CREAT | Sys.O_NOFOLLOW | Sys.O_CLOEXEC, 0x180);
        // A store on read-only media has no lock and no gc either.
        if (fd == -Errno.EROFS) return new Lease(-1);
        if (fd < 0) throw StoreException.FromErrno((int)-fd, "open", PathOf(StoreDirectory.Root, name));
        long r = Sys.Flock((int)fd, (exclusive ? Sys.LOCK_EX : Sys.LOCK_SH) | Sys.LOCK_NB);
        if (r >= 0) return new Lease((int)fd);
        Sys.Close((int)fd);
        return r == -Errno.EAGAIN ? null : throw StoreException.FromErrno((int)-r, "flock", PathOf(StoreDirectory.Root, name));
    }

    /// <inheritdoc/>
    public long FreeBytes() => Sys.FreeBytes(_directories[0]);

    public void Dispose()
    {
        lock (_lock)
        {
            foreach (ref int fd in _directories.AsSpan())
            {
                Sys.Close(fd);
                fd = -1;
            }
        }
    }

    private static void CheckOwner(FileFacts facts, string path, bool trust)
    {
        if (trust) return;
        uint user = Sys.EffectiveUserId();
        if (facts.UserId != user)
            throw new StoreException(StoreErrorKind.OtherOwner, $"{path}: belongs to user {facts.UserId}, not to {user}; --trust accepts it");
        if ((facts.Mode & 0x12) != 0)
            throw new StoreException(StoreErrorKind.OtherOwner, $"{path}: others may write it (mode {Convert.ToString(facts.Mode & 0xFFF, 8)}); chmod go-w makes it private");
    }

    private string PathOf(StoreDirectory directory, string name) => directory == StoreDirectory.Root ? $"{Location}/{name}" : $"{Location}/{Names[(int)directory]}/{name}";

    /// <returns>a descriptor; -1: missing and not to be made</returns>
    private int Descriptor(StoreDirectory directory, bool create)
    {
        lock (_lock)
        {
            ref int fd = ref _directories[(int)directory];
            if (fd >= 0) return fd;
            int root = _directories[0];
            ObjectDisposedException.ThrowIf(root < 0, this);
            string name = Names[(int)directory];
            long opened = Sys.TryOpenAt(root, name, DirectoryFlags);
            if (opened == -Errno.ENOENT)
            {
                if (!create) return -1;
                long made = Sys.MakeDirectoryAt(root, name, 0x1C0);
                if (made < 0 && made != -Errno.EEXIST) throw StoreException.FromErrno((int)-made, "mkdir", PathOf(directory, ""));
                long synced = Sys.Fsync(root);
                if (synced < 0) throw StoreException.FromErrno((int)-synced, "fsync", Location);
                opened = Sys.TryOpenAt(root, name, DirectoryFlags);
            }
            if (opened is -Errno.ENOTDIR or -Errno.ELOOP) throw new StoreException(StoreErrorKind.Damaged, $"{PathOf(directory, "")}: not a directory");
            if (opened < 0) throw StoreException.FromErrno((int)-opened, "open", PathOf(directory, ""));
            try { CheckOwner(Sys.Fstat((int)opened), PathOf(directory, ""), _trust); }
            catch { Sys.Close((int)opened); throw; }
            return fd = (int)opened;
        }
    }

    private sealed class Lease(int fd) : IDisposable
    {
        private int _fd = fd;

        public void Dispose() => Sys.Close(Interlocked.Exchange(ref _fd, -1)); // closing releases the flock
    }
}
