using System.Runtime.InteropServices;

namespace TreCr.Linux;

/// <summary>Files relative to a directory descriptor, positioned I/O, durability and locks: openat(2), pread(2), fsync(2), flock(2) and their kin.</summary>
public static unsafe partial class Sys
{
    public const int AT_FDCWD = -100, AT_REMOVEDIR = 0x200, LOCK_SH = 1, LOCK_EX = 2, LOCK_NB = 4, LOCK_UN = 8, SYNC_FILE_RANGE_WRITE = 2;
    public const uint RENAME_NOREPLACE = 1, S_IFMT = 0xF000, S_IFREG = 0x8000, S_IFDIR = 0x4000;

    /// <summary>openat(2).</summary>
    /// <returns>a descriptor, or -errno</returns>
    public static long TryOpenAt(int directory, string name, int flags, int mode = 0)
    {
        fixed (byte* p = CString(name)) return Raw(SyscallNumber.Openat, directory, (long)p, flags, mode);
    }

    /// <summary>mkdirat(2).</summary>
    /// <returns>0, or -errno</returns>
    public static long MakeDirectoryAt(int directory, string name, int mode)
    {
        fixed (byte* p = CString(name)) return Raw(SyscallNumber.Mkdirat, directory, (long)p, mode);
    }

    /// <summary>unlinkat(2).</summary>
    /// <param name="flags">0, or <see cref="AT_REMOVEDIR"/></param>
    /// <returns>0, or -errno</returns>
    public static long UnlinkAt(int directory, string name, int flags = 0)
    {
        fixed (byte* p = CString(name)) return Raw(SyscallNumber.Unlinkat, directory, (long)p, flags);
    }

    /// <summary>renameat2(2) within one directory.</summary>
    /// <param name="flags">0, or <see cref="RENAME_NOREPLACE"/></param>
    /// <returns>0, or -errno (EINVAL: the file system does not know the flag)</returns>
    public static long RenameAt(int directory, string from, string to, uint flags = 0)
    {
        fixed (byte* f = CString(from))
        fixed (byte* t = CString(to)) return Raw(SyscallNumber.Renameat2, directory, (long)f, directory, (long)t, flags);
    }

    /// <summary>fstat(2): mode, owner and length.</summary>
    /// <exception cref="LinuxException">EBADF.</exception>
    public static FileFacts Fstat(int fd)
    {
        byte* stat = stackalloc byte[144]; // struct stat of x86-64
        Check(Raw(SyscallNumber.Fstat, fd, (long)stat), "fstat", $"fd {fd}");
        return FactsOf(stat);
    }

    /// <summary>stat(2), through links: also those of /proc/PID/fd.</summary>
    /// <param name="facts">kind, owner, length, inode, device</param>
    /// <returns>0, or -errno</returns>
    public static long TryStat(string path, out FileFacts facts)
    {
        byte* stat = stackalloc byte[144];
        long result;
        fixed (byte* p = CString(path)) result = Raw(SyscallNumber.Newfstatat, AT_FDCWD, (long)p, (long)stat, 0);
        facts = result < 0 ? default : FactsOf(stat);
        return result;
    }

    private static FileFacts FactsOf(byte* stat) => new(*(uint*)(stat + 24), *(uint*)(stat + 28), *(long*)(stat + 48)) { Inode = *(ulong*)(stat + 8), Device = *(ulong*)stat, DeviceNumber = *(ulong*)(stat + 40) };

    /// <summary>fchmod(2).</summary>
    /// <returns>0, or -errno</returns>
    public static long Fchmod(int fd, int mode) => Raw(SyscallNumber.Fchmod, fd, mode);

    /// <summary>pread(2), repeated on EINTR.</summary>
    /// <returns>bytes, which may be fewer than asked, 0 at the end, or -errno</returns>
    public static long Pread(int fd, void* into, long lengthBytes, long offset)
    {
        long n;
        do n = Raw(SyscallNumber.Pread64, fd, (long)into, lengthBytes, offset); while (n == -Errno.EINTR);
        return n;
    }

    /// <summary>pwrite(2), repeated on EINTR.</summary>
    /// <returns>bytes, which may be fewer than asked, or -errno</returns>
    public static long Pwrite(int fd, void* from, long lengthBytes, long offset)
    {
        long n;
        do n = Raw(SyscallNumber.Pwrite64, fd, (long)from, lengthBytes, offset); while (n == -Errno.EINTR);
        return n;
    }

    /// <summary>fsync(2). A failure means that data may be lost for good; calling again proves nothing.</summary>
    /// <returns>0, or -errno</returns>
    public static long Fsync(int fd) => Raw(SyscallNumber.Fsync, fd);

    /// <summary>sync_file_range(2) with SYNC_FILE_RANGE_WRITE: starts writing back, promises nothing.</summary>
    /// <returns>0, or -errno</returns>
    public static long StartWriteback(int fd, long offset, long lengthBytes) => Raw(SyscallNumber.SyncFileRange, fd, offset, lengthBytes, SYNC_FILE_RANGE_WRITE);

    /// <summary>flock(2), repeated on EINTR.</summary>
    /// <returns>0, or -errno (EAGAIN: held by another, with <see cref="LOCK_NB"/>)</returns>
    public static long Flock(int fd, int operation)
    {
        long r;
        do r = Raw(SyscallNumber.Flock, fd, operation); while (r == -Errno.EINTR);
        return r;
    }

    /// <summary>Bytes that an ordinary user may still write to the file system of the descriptor (fstatfs(2), f_bavail).</summary>
    public static long FreeBytes(int fd)
    {
        byte* buffer = stackalloc byte[120]; // struct statfs of x86-64: f_bsize at 8, f_bavail at 32
        Check(Raw((SyscallNumber)138, fd, (long)buffer), "fstatfs", $"fd {fd}");
        long blockSize = *(long*)(buffer + 8), available = *(long*)(buffer + 32);
        return available > long.MaxValue / Math.Max(1, blockSize) ? long.MaxValue : available * blockSize;
    }

    /// <summary>Names in an open directory, without "." and "..", in no order (getdents64(2)).</summary>
    /// <exception cref="LinuxException">ENOTDIR, EIO.</exception>
    public static List<string> ListDirectory(int directory)
    {
        List<string> names = [];
        Check(Raw(SyscallNumber.Lseek, directory, 0, 0), "lseek", $"fd {directory}");
        byte* buffer = stackalloc byte[16384];
        while (true)
        {
            long n = Check(Raw(SyscallNumber.Getdents64, directory, (long)buffer, 16384), "getdents64", $"fd {directory}");
            if (n == 0) return names;
            for (long at = 0; at < n; at += *(ushort*)(buffer + at + 16)) // d_reclen; the name stands at 19
            {
                string name = Marshal.PtrToStringUTF8((nint)(buffer + at + 19))!;
                if (name is not ("." or "..")) names.Add(name);
            }
        }
    }

    /// <summary>Lowers the calling thread's share of a busy processor (setpriority(2): on Linux nice belongs to a thread).</summary>
    /// <param name="nice">0 to 19</param>
    public static void SetThreadNice(int nice) => Raw(SyscallNumber.Setpriority, 0, 0, nice); // a hint: refused only for values below the present one

    /// <summary>geteuid(2).</summary>
    public static uint EffectiveUserId() => (uint)Raw(SyscallNumber.Geteuid);
}

/// <summary>What fstat(2) says of a file.</summary>
/// <param name="Mode">type and permission bits, st_mode</param>
/// <param name="UserId">owner, st_uid</param>
/// <param name="LengthBytes">st_size</param>
public readonly record struct FileFacts(uint Mode, uint UserId, long LengthBytes)
{
    public ulong Inode { get; init; }

    /// <summary>Of the file system that the file is on.</summary>
    public ulong Device { get; init; }

    /// <summary>Of a device file: st_rdev.</summary>
    public ulong DeviceNumber { get; init; }
}
