using System.Text;
using TreCr.Linux;
using TreCr.SoftDevice.Collectives;

namespace TreCr.SoftDevice.Sharing;

/// <summary>
/// A file of the runtime directory by which processes of a job find what they share: its name is the token, its only page a <see cref="TokenPage"/>. Each process that uses it holds a shared flock(2) on it, which ends with
/// the process, so that an exclusive one tells that nobody else does; the last takes the name away.
/// </summary>
sealed unsafe class TokenFile : IDisposable
{
    const string Prefix = "share-";

    readonly string path;
    int fd;

    TokenFile(string path, int fd)
    {
        (this.path, this.fd) = (path, fd);
        Page = (TokenPage*)Sys.Check(Sys.Mmap(0, TokenPage.Bytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED, fd), "mmap", path);
    }

    public TokenPage* Page { get; }

    public bool IsOwn => Page->Pid == Environment.ProcessId && Page->Start == ProcessStart.Own;

    /// <summary>Its owner lives.</summary>
    public bool IsOwned => Page->Pid != 0 && (IsOwn || ProcessStart.Of(Page->Pid) == Page->Start);

    public string Name
    {
        get
        {
            ReadOnlySpan<byte> text = new(Page->Name, TokenPage.NameBytes);
            int end = text.IndexOf((byte)0);
            return Encoding.UTF8.GetString(end < 0 ? text : text[..end]);
        }
    }

    static string PathOf(string directory, UInt128 token) => $"{directory}/{Prefix}{token:x32}";

    /// <summary>An existing one.</summary>
    /// <returns>null: there is none of that name</returns>
    public static TokenFile? Open(string directory, UInt128 token)
    {
        string path = PathOf(directory, token);
        while (true)
        {
            long opened = Sys.TryOpen(path, Sys.O_RDWR | Sys.O_CLOEXEC | Sys.O_NOFOLLOW);
            if (opened < 0) return null;
            if (Enter(path, (int)opened, mayBegin: false, out TokenFile? file)) return file;
        }
    }

    /// <summary>Whoever comes first, or finds what dead processes have left, begins with an empty page.</summary>
    /// <exception cref="LinuxException">the directory cannot be written</exception>
    public static TokenFile OpenOrCreate(string directory, UInt128 token)
    {
        string path = PathOf(directory, token);
        while (true)
        {
            int opened = Sys.Open(path, Sys.O_RDWR | Sys.O_CREAT | Sys.O_CLOEXEC | Sys.O_NOFOLLOW, 0x180);
            if (Enter(path, opened, mayBegin: true, out TokenFile? file) && file is not null) return file;
        }
    }

    /// <returns>false: the name was taken away meanwhile; once more</returns>
    static bool Enter(string path, int fd, bool mayBegin, out TokenFile? file)
    {
        file = null;
        bool begins = mayBegin && Sys.Flock(fd, Sys.LOCK_EX | Sys.LOCK_NB) >= 0;
        if (!begins && Sys.Flock(fd, Sys.LOCK_SH) < 0 || !IsStill(path, fd))
        {
            Sys.Close(fd);
            return false;
        }
        if (begins)
        {
            Sys.Ftruncate(fd, 0);
            Sys.Ftruncate(fd, TokenPage.Bytes);
            file = new(path, fd);
            file.Page->Magic = TokenPage.ThisMagic;
            Sys.Flock(fd, Sys.LOCK_SH);
            return true;
        }
        if (Sys.Fstat(fd).LengthBytes == TokenPage.Bytes)
        {
            file = new(path, fd);
            if (file.Page->Magic == TokenPage.ThisMagic) return true;
            file.Close();
            file = null;
        }
        else Sys.Close(fd);
        return !mayBegin;
    }

    static bool IsStill(string path, int fd)
    {
        long other = Sys.TryOpen(path, Sys.O_RDWR | Sys.O_CLOEXEC | Sys.O_NOFOLLOW);
        if (other < 0) return false;
        try { return Sys.Fstat((int)other).Inode == Sys.Fstat(fd).Inode; }
        finally { Sys.Close((int)other); }
    }

    /// <summary>This process is the owner from now on.</summary>
    /// <returns>false: another one that lives is</returns>
    public bool Own(uint kind, ulong job, string name)
    {
        if (IsOwned && !IsOwn) return false;
        (Page->Kind, Page->Job, Page->Start) = (kind, job, ProcessStart.Own);
        byte[] text = Encoding.UTF8.GetBytes(name);
        new Span<byte>(Page->Name, TokenPage.NameBytes).Clear();
        text.AsSpan(0, Math.Min(text.Length, TokenPage.NameBytes - 1)).CopyTo(new Span<byte>(Page->Name, TokenPage.NameBytes));
        Volatile.Write(ref Page->Pid, Environment.ProcessId);
        return true;
    }

    /// <summary>Nobody else uses it. Nobody can begin to, once <see cref="TokenPage.IsReady"/> is 0.</summary>
    public bool IsAlone
    {
        get
        {
            bool alone = Sys.Flock(fd, Sys.LOCK_EX | Sys.LOCK_NB) >= 0;
            Sys.Flock(fd, Sys.LOCK_SH); // the one before is lost either way
            return alone;
        }
    }

    /// <summary>Takes the name away: who uses it goes on.</summary>
    public void RemoveName()
    {
        if (IsStill(path, fd)) Sys.UnlinkAt(Sys.AT_FDCWD, path);
    }

    /// <summary>Removes files whose processes were all killed.</summary>
    public static void RemoveAbandoned(string directory)
    {
        foreach (string path in Directory.EnumerateFiles(directory, Prefix + "*"))
        {
            long fd = Sys.TryOpen(path, Sys.O_RDWR | Sys.O_CLOEXEC | Sys.O_NOFOLLOW);
            if (fd < 0) continue;
            if (Sys.Flock((int)fd, Sys.LOCK_EX | Sys.LOCK_NB) >= 0) Sys.UnlinkAt(Sys.AT_FDCWD, path);
            Sys.Close((int)fd);
        }
    }

    /// <summary>Ends the use. Where nobody else has it, and nobody is to come, the name goes too.</summary>
    public void Dispose()
    {
        if (fd < 0) return;
        if (IsOwn) (Page->IsReady, Page->Pid) = (0, 0);
        Sys.Flock(fd, Sys.LOCK_UN); // first, so that of two that end at a time one sees that it is the last
        if (!IsOwned && Sys.Flock(fd, Sys.LOCK_EX | Sys.LOCK_NB) >= 0) RemoveName();
        Close();
    }

    void Close()
    {
        Sys.Flock(fd, Sys.LOCK_UN); // the mapping would keep the open file, and its lock with it
        Sys.Munmap((ulong)Page, TokenPage.Bytes);
        Sys.Close(fd);
        fd = -1;
    }
}
