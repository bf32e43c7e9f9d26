namespace TreCr.Linux;

/// <summary>Memory mappings: mmap(2), munmap(2), mprotect(2), madvise(2), memfd_create(2).</summary>
public static unsafe partial class Sys
{
    public const int PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4;
    public const int MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20, MAP_GROWSDOWN = 0x100, MAP_NORESERVE = 0x4000,
        MAP_POPULATE = 0x8000, MAP_FIXED_NOREPLACE = 0x100000;
    public const int MADV_DONTNEED = 4, MADV_REMOVE = 9, MADV_DONTFORK = 10, MADV_HUGEPAGE = 14, MADV_NOHUGEPAGE = 15, MADV_DONTDUMP = 16,
        MADV_WIPEONFORK = 18, MADV_POPULATE_WRITE = 23;
    public const uint MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2;

    /// <summary>mmap(2).</summary>
    /// <returns>the address, or -errno</returns>
    public static long Mmap(ulong address, ulong lengthBytes, int protection, int flags, int fd = -1, long offset = 0)
        => Raw(SyscallNumber.Mmap, (long)address, (long)lengthBytes, protection, flags, fd, offset);

    /// <summary>munmap(2).</summary>
    /// <exception cref="LinuxException">EINVAL: not page aligned.</exception>
    public static void Munmap(ulong address, ulong lengthBytes) => Check(Raw(SyscallNumber.Munmap, (long)address, (long)lengthBytes), "munmap");

    /// <summary>mprotect(2).</summary>
    public static void Mprotect(ulong address, ulong lengthBytes, int protection)
        => Check(Raw(SyscallNumber.Mprotect, (long)address, (long)lengthBytes, protection), "mprotect");

    /// <summary>madvise(2).</summary>
    /// <returns>0, or -errno</returns>
    public static long Madvise(ulong address, ulong lengthBytes, int advice) => Raw(SyscallNumber.Madvise, (long)address, (long)lengthBytes, advice);

    /// <summary>memfd_create(2).</summary>
    /// <param name="name">shows as <c>/memfd:name</c> in /proc; at most 249 bytes</param>
    /// <exception cref="LinuxException">EMFILE, ENFILE, ENOMEM.</exception>
    public static int MemfdCreate(string name, uint flags = MFD_CLOEXEC)
    {
        fixed (byte* p = CString(name))
            return (int)Check(Raw(SyscallNumber.MemfdCreate, (long)p, flags), "memfd_create", name);
    }

    /// <summary>process_vm_readv(2) of one range. Any thread; may block on a userfaultfd page; does not allocate.</summary>
    /// <returns>bytes copied, which may be short where a page is not mapped; or -errno (EFAULT: first page not mapped, EPERM, ESRCH)</returns>
    public static long ProcessVmRead(int pid, ulong address, void* into, long lengthBytes)
    {
        IoVector local = new() { Base = (ulong)into, LengthBytes = (ulong)lengthBytes }, remote = new() { Base = address, LengthBytes = (ulong)lengthBytes };
        return Raw(SyscallNumber.ProcessVmReadv, pid, (long)&local, 1, (long)&remote, 1);
    }

    /// <summary>process_vm_writev(2) of one range; the pages must be writable in the target.</summary>
    /// <returns>bytes copied, or -errno</returns>
    public static long ProcessVmWrite(int pid, ulong address, void* from, long lengthBytes)
    {
        IoVector local = new() { Base = (ulong)from, LengthBytes = (ulong)lengthBytes }, remote = new() { Base = address, LengthBytes = (ulong)lengthBytes };
        return Raw(SyscallNumber.ProcessVmWritev, pid, (long)&local, 1, (long)&remote, 1);
    }
}

/// <summary>struct iovec.</summary>
public struct IoVector
{
    public ulong Base;
    public ulong LengthBytes;
}
