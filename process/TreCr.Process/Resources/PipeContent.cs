using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>Looks into a pipe of another process without taking anything out. Source: tee(2), pipe(7).</summary>
internal static unsafe class PipeContent
{
    private const int FIONREAD = 0x541B, F_SETPIPE_SZ = 1031, F_GETPIPE_SZ = 1032;

    /// <summary>True when no descriptor of the other end exists anywhere (end of file, or EPIPE); also when this one was closed meanwhile, which a running program does at any time.</summary>
    public static bool OtherEndClosed(int pid, int number, bool isReadEnd)
    {
        int fd = new OpenDescriptor { Pid = pid, Number = number }.TryBorrow();
        if (fd is -Errno.EBADF or -Errno.ESRCH) return true;
        Sys.Check(fd, "pidfd_getfd", $"descriptor {number} of process {pid}");
        try
        {
            Span<PollEntry> entry = [new PollEntry { Fd = fd, Events = 0 }];
            Sys.Poll(entry, 0);
            return (entry[0].Returned & (isReadEnd ? Sys.POLLHUP : Sys.POLLERR)) != 0;
        }
        finally { Sys.Close(fd); }
    }

    /// <summary>Unread bytes, and the capacity in bytes. The writer must be frozen.</summary>
    /// <param name="number">a descriptor of the process; a write end gives no bytes</param>
    public static (byte[] Data, uint Capacity) Read(int pid, int number, bool isReadEnd)
    {
        int fd = new OpenDescriptor { Pid = pid, Number = number }.Borrow();
        (int read, int write) = (-1, -1);
        try
        {
            uint capacity = (uint)Sys.Check(Sys.Raw(SyscallNumber.Fcntl, fd, F_GETPIPE_SZ), "fcntl(F_GETPIPE_SZ)");
            int waiting = 0;
            Sys.Check(Sys.Raw(SyscallNumber.Ioctl, fd, FIONREAD, (long)&waiting), "ioctl(FIONREAD)");
            if (!isReadEnd || waiting == 0) return ([], capacity);
            (read, write) = Sys.Pipe();
            // tee copies buffers, one slot each, so the copy needs at least as many slots.
            Sys.Check(Sys.Raw(SyscallNumber.Fcntl, write, F_SETPIPE_SZ, capacity), "fcntl(F_SETPIPE_SZ)");
            long copied = Sys.Check(Sys.Raw(SyscallNumber.Tee, fd, write, waiting, 2), "tee");
            byte[] data = new byte[copied];
            fixed (byte* p = data)
                for (long at = 0; at < copied;) at += Sys.Check(Sys.Read(read, p + at, copied - at), "read");
            if (copied != waiting) throw new Engine.ProcessException($"descriptor {number}: {waiting} bytes in the pipe, {copied} could be copied");
            return (data, capacity);
        }
        finally { Sys.Close(fd); Sys.Close(read); Sys.Close(write); }
    }
}
