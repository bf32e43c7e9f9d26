namespace TreCr.Linux;

/// <summary>userfaultfd for pages that are missing. Source: Documentation/admin-guide/mm/userfaultfd.rst, linux/userfaultfd.h.</summary>
public static unsafe class UserFault
{
    private const long Api = 0xc018aa3f, RegisterRange = 0xc020aa00, UnregisterRange = 0x8010aa01, WakeRange = 0x8010aa02, CopyPages = 0xc028aa03, ZeroPages = 0xc020aa04;

    public const byte PageFault = 0x12, Fork = 0x13, Remap = 0x14, Remove = 0x15, Unmap = 0x16;

    /// <summary>EVENT_FORK, EVENT_REMAP, EVENT_REMOVE, EVENT_UNMAP: without them memory that the program moves, drops or inherits would be served wrongly.</summary>
    private const ulong Events = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6;

    /// <summary>For userfaultfd(2): page faults of system calls are not served, which anybody may ask for.</summary>
    public const int UserModeOnly = 1;

    /// <param name="withEvents">is told of what the process does to its address space</param>
    /// <returns>0, or -errno (EPERM: events, and no CAP_SYS_PTRACE outside of every user namespace)</returns>
    public static long Enable(int fd, bool withEvents)
    {
        ulong* api = stackalloc ulong[3];
        (api[0], api[1], api[2]) = (0xAA, withEvents ? Events : 0, 0);
        return Sys.Raw(SyscallNumber.Ioctl, fd, Api, (long)api);
    }

    public static long Register(int fd, ulong start, ulong lengthBytes)
    {
        ulong* range = stackalloc ulong[4];
        (range[0], range[1], range[2], range[3]) = (start, lengthBytes, 1, 0); // mode MISSING
        return Sys.Raw(SyscallNumber.Ioctl, fd, RegisterRange, (long)range);
    }

    public static long Unregister(int fd, ulong start, ulong lengthBytes) => Range(fd, UnregisterRange, start, lengthBytes);

    public static long Wake(int fd, ulong start, ulong lengthBytes) => Range(fd, WakeRange, start, lengthBytes);

    private static long Range(int fd, long request, ulong start, ulong lengthBytes)
    {
        ulong* range = stackalloc ulong[2];
        (range[0], range[1]) = (start, lengthBytes);
        return Sys.Raw(SyscallNumber.Ioctl, fd, request, (long)range);
    }

    /// <summary>UFFDIO_ZEROPAGE of one page.</summary>
    public static long Zero(int fd, ulong page)
    {
        ulong* zero = stackalloc ulong[4];
        (zero[0], zero[1], zero[2], zero[3]) = (page, 4096, 0, 0);
        return Sys.Raw(SyscallNumber.Ioctl, fd, ZeroPages, (long)zero);
    }

    /// <summary>UFFDIO_COPY.</summary>
    /// <param name="copied">bytes copied before it stopped</param><param name="wake">threads that wait for them; false: nobody does</param>
    /// <returns>0, or -errno: EEXIST a page is there already, EAGAIN an event waits to be read, ENOENT not registered (any more), ESRCH the process is gone</returns>
    public static long Copy(int fd, ulong to, byte* from, ulong lengthBytes, out ulong copied, bool wake = true)
    {
        ulong* copy = stackalloc ulong[5];
        (copy[0], copy[1], copy[2], copy[3], copy[4]) = (to, (ulong)from, lengthBytes, wake ? 0UL : 1, 0);
        long result = Sys.Raw(SyscallNumber.Ioctl, fd, CopyPages, (long)copy);
        copied = (long)copy[4] > 0 ? copy[4] : 0;
        return result;
    }
}
