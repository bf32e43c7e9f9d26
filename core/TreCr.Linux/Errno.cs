namespace TreCr.Linux;

/// <summary>errno values of x86-64 Linux (asm-generic/errno-base.h, errno.h) that TreCr looks at.</summary>
public static class Errno
{
    public const int EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, EIO = 5, ENXIO = 6, E2BIG = 7, ENOEXEC = 8, EBADF = 9,
        ECHILD = 10, EAGAIN = 11, ENOMEM = 12, EACCES = 13, EFAULT = 14, EBUSY = 16, EEXIST = 17, EXDEV = 18, ENODEV = 19,
        ENOTDIR = 20, EISDIR = 21, EINVAL = 22, ENFILE = 23, EMFILE = 24, ENOTTY = 25, ETXTBSY = 26, EFBIG = 27, ENOSPC = 28,
        ESPIPE = 29, EROFS = 30, EPIPE = 32, ERANGE = 34, ENAMETOOLONG = 36, ENOSYS = 38, ELOOP = 40, EOPNOTSUPP = 95, EDQUOT = 122,
        ECONNREFUSED = 111, ETIMEDOUT = 110, ECONNRESET = 104, ENOTCONN = 107;

    /// <summary>Short text such as <c>ENOSPC (No space left on device)</c>; the number where it has no name here.</summary>
    public static string Describe(int errno)
    {
        string text = System.Runtime.InteropServices.Marshal.GetPInvokeErrorMessage(errno);
        return $"{text} (errno {errno})";
    }
}
