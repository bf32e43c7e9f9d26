namespace TreCr.Linux;

/// <summary>
/// Write tracking by userfaultfd(2) in asynchronous mode (Linux 6.7): the kernel resolves each first write to a protected page by itself, and <see cref="PagemapScan"/> tells
/// which pages were written and protects them again. Source: Documentation/admin-guide/mm/userfaultfd.rst.
/// </summary>
public static unsafe class AsyncWriteProtection
{
    private const long Api = 0xc018aa3f, RegisterRange = 0xc020aa00, Protect = 0xc018aa06;

    /// <summary>Flag of userfaultfd(2) with which it needs no privilege: tracking does not need faults of the kernel's own accesses either, it only counts them.</summary>
    public const int UserModeOnly = 1;

    /// <summary>Chooses the features on a fresh descriptor.</summary>
    /// <exception cref="LinuxException">the kernel is older</exception>
    public static void Begin(int uffd)
    {
        ulong* api = stackalloc ulong[3]; // UFFD_API; features: PAGEFAULT_FLAG_WP, WP_HUGETLBFS_SHMEM, WP_UNPOPULATED, WP_ASYNC; ioctls
        (api[0], api[1], api[2]) = (0xAA, 1 | 1 << 12 | 1 << 13 | 1 << 15, 0);
        Sys.Check(Sys.Raw(SyscallNumber.Ioctl, uffd, Api, (long)api), "ioctl(UFFDIO_API)");
    }

    /// <summary>Registers mapped memory, all of which counts as written until it is protected by a scan.</summary>
    /// <returns>false: it cannot be tracked, or is gone</returns>
    /// <remarks>
    /// A page that mremap puts beside a tracked area merges with it; the kernel then takes the tracking from both, but leaves the protection bits of the neighbour's
    /// pages, and a write makes such a page writable with its bit kept (seen on 6.18): it would count as clean for ever. Taking the protection away clears the bits.
    /// Unlike UFFDIO_UNREGISTER, which passes over areas that lost their tracking since UFFDIO_REGISTER, it fails where that happens in between.
    /// </remarks>
    public static bool Register(int uffd, ulong start, ulong bytes)
    {
        ulong* range = stackalloc ulong[4];
        (range[0], range[1], range[2], range[3]) = (start, bytes, 2, 0); // mode WP
        if (Sys.Raw(SyscallNumber.Ioctl, uffd, RegisterRange, (long)range) < 0) return false;
        (range[0], range[1], range[2]) = (start, bytes, 0); // mode: not protected
        return Sys.Raw(SyscallNumber.Ioctl, uffd, Protect, (long)range) >= 0;
    }

    /// <summary>The memory that was tracked is gone: its process has executed another program, or ended.</summary>
    public static bool IsStale(int uffd)
    {
        ulong* range = stackalloc ulong[3]; // the page at 4096 is never mapped: ENOENT while the memory exists
        (range[0], range[1], range[2]) = (4096, 4096, 0);
        return Sys.Raw(SyscallNumber.Ioctl, uffd, Protect, (long)range) == -Errno.ESRCH;
    }
}
