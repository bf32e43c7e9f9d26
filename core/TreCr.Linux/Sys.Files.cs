namespace TreCr.Linux;

/// <summary>Files and descriptors: open(2), read(2), fcntl(2), pipe2(2) and their kin.</summary>
public static unsafe partial class Sys
{
    public const int O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0x40, O_EXCL = 0x80, O_TRUNC = 0x200, O_APPEND = 0x400, O_NONBLOCK = 0x800,
        O_DIRECTORY = 0x10000, O_NOFOLLOW = 0x20000, O_CLOEXEC = 0x80000, O_PATH = 0x200000;
    public const int F_DUPFD_CLOEXEC = 1030, F_GETFD = 1, F_SETFD = 2, F_GETFL = 3, F_SETFL = 4;

    /// <summary>Whether the number is one of an open file.</summary>
    public static bool IsOpen(int fd) => Raw(SyscallNumber.Fcntl, fd, F_GETFD) >= 0;

    /// <summary>open(2).</summary>
    /// <returns>a descriptor, or -errno</returns>
    public static long TryOpen(string path, int flags, int mode = 0)
    {
        fixed (byte* p = CString(path)) return Raw(SyscallNumber.Open, (long)p, flags, mode);
    }

    /// <summary>open(2).</summary>
    /// <exception cref="LinuxException">any errno of open(2).</exception>
    public static int Open(string path, int flags, int mode = 0) => (int)Check(TryOpen(path, flags, mode), "open", path);

    /// <summary>close(2); a descriptor below 0 is ignored.</summary>
    public static void Close(int fd)
    {
        if (fd >= 0) Raw(SyscallNumber.Close, fd);
    }

    /// <summary>read(2), repeated on EINTR.</summary>
    /// <returns>bytes, 0 at the end, or -errno</returns>
    public static long Read(int fd, void* into, long lengthBytes)
    {
        long n;
        do n = Raw(SyscallNumber.Read, fd, (long)into, lengthBytes); while (n == -Errno.EINTR);
        return n;
    }

    /// <summary>write(2), repeated on EINTR.</summary>
    /// <returns>bytes, which may be fewer than asked, or -errno</returns>
    public static long Write(int fd, void* from, long lengthBytes)
    {
        long n;
        do n = Raw(SyscallNumber.Write, fd, (long)from, lengthBytes); while (n == -Errno.EINTR);
        return n;
    }

    /// <summary>pipe2(2).</summary>
    public static (int Read, int Write) Pipe(int flags = O_CLOEXEC)
    {
        int* ends = stackalloc int[2];
        Check(Raw(SyscallNumber.Pipe2, (long)ends, flags), "pipe2");
        return (ends[0], ends[1]);
    }

    /// <summary>A copy of the descriptor, close-on-exec, number <paramref name="lowest"/> or above.</summary>
    public static int Duplicate(int fd, int lowest = 0) => (int)Check(Raw(SyscallNumber.Fcntl, fd, F_DUPFD_CLOEXEC, lowest), "fcntl(F_DUPFD_CLOEXEC)", $"fd {fd}");

    /// <summary>Clears close-on-exec, so that a spawned program inherits the descriptor.</summary>
    public static void SetInheritable(int fd) => Check(Raw(SyscallNumber.Fcntl, fd, F_SETFD, 0), "fcntl(F_SETFD)", $"fd {fd}");

    /// <summary>ftruncate(2).</summary>
    public static void Ftruncate(int fd, long lengthBytes) => Check(Raw(SyscallNumber.Ftruncate, fd, lengthBytes), "ftruncate", $"fd {fd}");
}
