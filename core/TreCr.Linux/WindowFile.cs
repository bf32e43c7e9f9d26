using System.Globalization;

namespace TreCr.Linux;

/// <summary>
/// Memory that the programs of several ranks of one host map (MPI_Win_allocate_shared): a file of /dev/shm that each of them opens once, at its making and again at each restart. The first one fills it, the last one
/// takes its name away.
/// </summary>
/// <remarks>
/// Behind the memory, from the next page on, stands how many have opened it; whoever reads or writes that holds the file's lock. 0: it is not filled yet, or was left half filled by one that died. Members that come late find what those that run already have
/// written: as if they had been slow.
/// </remarks>
public static unsafe class WindowFile
{
    private const string Directory = "/dev/shm/", Prefix = "trecr-window-", Deleted = " (deleted)";
    private const int PageBytes = 4096, MostMembers = 1 << 20;

    /// <summary>A name for the members.</summary>
    /// <param name="meeting">a number that all members know and nobody else has: of the making, or of the restart</param>
    /// <param name="window">of the window, as <see cref="Of"/> gives it</param>
    public static string Path(ulong meeting, string window) => $"{Directory}{Prefix}{meeting:x16}-{window}";

    /// <summary>Names a window.</summary>
    /// <param name="key">random</param>
    public static string Window(ulong key, int members) => $"{key:x16}-{members.ToString(CultureInfo.InvariantCulture)}";

    /// <summary>The window that a mapping's path names.</summary>
    /// <returns>empty: it is no such file</returns>
    public static string Of(string path)
    {
        if (!path.StartsWith(Directory + Prefix, StringComparison.Ordinal)) return "";
        if (path.EndsWith(Deleted, StringComparison.Ordinal)) path = path[..^Deleted.Length];
        int dash = path.IndexOf('-', Directory.Length + Prefix.Length);
        return dash > 0 && Members(path[(dash + 1)..]) > 0 ? path[(dash + 1)..] : "";
    }

    /// <returns>0: not a window's name</returns>
    private static int Members(string window)
        => window.Length > 17 && window[16] == '-' && ulong.TryParse(window.AsSpan(0, 16), NumberStyles.AllowHexSpecifier, null, out _) && int.TryParse(window.AsSpan(17), NumberStyles.None, null, out int members) && members <= MostMembers ? members : 0;

    /// <summary>Opens the file as one of its members.</summary>
    /// <param name="bytes">of the memory</param><param name="fill">writes what it holds into the descriptor; null: zeroes</param>
    /// <returns>a descriptor</returns>
    /// <exception cref="LinuxException">no room, or the file is another user's</exception>
    /// <exception cref="ArgumentException">the window's name is none</exception>
    public static int Join(ulong meeting, string window, long bytes, Action<int>? fill)
    {
        int members = Members(window);
        if (members == 0 || bytes <= 0) throw new ArgumentException($"a shared window '{window}' of {bytes} bytes");
        string path = Path(meeting, window);
        int fd = Sys.Open(path, Sys.O_RDWR | Sys.O_CREAT | Sys.O_NOFOLLOW | Sys.O_CLOEXEC, 0x180);
        try
        {
            Sys.Check(Sys.Flock(fd, Sys.LOCK_EX), "flock", path);
            if (Sys.Fstat(fd).UserId != Sys.EffectiveUserId()) throw new LinuxException("open", Errno.EACCES, path);
            long end = (bytes + PageBytes - 1) & -PageBytes, opened = 0;
            if (Sys.Pread(fd, &opened, sizeof(long), end) != sizeof(long) || opened == 0)
            {
                opened = 0;
                Sys.Ftruncate(fd, 0);
                Sys.Ftruncate(fd, end + PageBytes);
                // Else a full file system would be a fault of the program's, at any of its accesses.
                Sys.Check(Sys.Raw(SyscallNumber.Fallocate, fd, 0, 0, end + PageBytes), "fallocate", path);
                fill?.Invoke(fd);
            }
            opened++;
            Sys.Check(Sys.Pwrite(fd, &opened, sizeof(long), end), "pwrite", path);
            if (opened >= members) Sys.UnlinkAt(Sys.AT_FDCWD, path);
            Sys.Flock(fd, Sys.LOCK_UN);
            return fd;
        }
        catch
        {
            Sys.Close(fd);
            throw;
        }
    }

    /// <summary>Whether all members have opened the file of this descriptor: then it has no name any more. Members on another host never do.</summary>
    public static bool IsComplete(int fd) => Sys.Status(fd).Links == 0;

    /// <summary>Whether windows of this meeting wait for members.</summary>
    public static bool AnyIncomplete(ulong meeting) => System.IO.Directory.EnumerateFiles(Directory, $"{Prefix}{meeting:x16}-*").Any();

    /// <summary>Takes away the names of windows whose members do not come any more.</summary>
    /// <param name="meeting">of these windows</param>
    public static void Remove(ulong meeting)
    {
        try
        {
            foreach (string path in System.IO.Directory.GetFiles(Directory, $"{Prefix}{meeting:x16}-*")) File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
    }
}
