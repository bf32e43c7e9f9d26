namespace TreCr.Linux;

/// <summary>Signals and their descriptors: rt_sigprocmask(2), signalfd4(2), eventfd2(2), pidfd_getfd(2), kcmp(2).</summary>
public static unsafe partial class Sys
{
    public const int SIGTRAP = 5, SIGTSTP = 20, SIGTTIN = 21, SIGTTOU = 22;

    /// <summary>Replaces the calling thread's signal mask.</summary>
    /// <returns>the mask before</returns>
    public static ulong SetSignalMask(ulong mask)
    {
        ulong before;
        Check(Raw(SyscallNumber.RtSigprocmask, 2, (long)&mask, (long)&before, 8), "rt_sigprocmask");
        return before;
    }

    /// <summary>signalfd4(2), close-on-exec, non-blocking.</summary>
    public static int SignalDescriptor(ulong mask) => (int)Check(Raw(SyscallNumber.Signalfd4, -1, (long)&mask, 8, O_CLOEXEC | O_NONBLOCK), "signalfd4");

    /// <summary>pidfd_getfd(2), close-on-exec.</summary>
    /// <returns>a descriptor, or -errno (EBADF: no such descriptor, EPERM: no ptrace access)</returns>
    public static int PidfdGetfd(int pidfd, int fd) => (int)Raw(SyscallNumber.PidfdGetfd, pidfd, fd, 0);

    /// <summary>kcmp(2): whether two processes share something.</summary>
    /// <param name="type">0 KCMP_FILE, 1 VM, 2 FILES, 3 FS, 4 SIGHAND</param>
    /// <returns>0 equal, 1 or 2 different, or -errno</returns>
    public static long Kcmp(int pid1, int pid2, int type, long index1 = 0, long index2 = 0) => Raw(SyscallNumber.Kcmp, pid1, pid2, type, index1, index2);

    /// <summary>clock_gettime(2), nanoseconds.</summary>
    /// <param name="clock">1 CLOCK_MONOTONIC, 7 CLOCK_BOOTTIME</param>
    public static long ClockNs(int clock)
    {
        TimeSpec time;
        Check(Raw(SyscallNumber.ClockGettime, clock, (long)&time), "clock_gettime");
        return time.Seconds * 1_000_000_000 + time.Nanoseconds;
    }

    /// <summary>nanosleep(2), may end early.</summary>
    public static void SleepNs(long ns)
    {
        TimeSpec time = new() { Seconds = ns / 1_000_000_000, Nanoseconds = ns % 1_000_000_000 };
        Raw(SyscallNumber.Nanosleep, (long)&time);
    }

    /// <summary>Target of a symbolic link, such as /proc/PID/fd/N.</summary>
    /// <returns>null where the link is gone or must not be read</returns>
    public static string? ReadLink(string path)
    {
        byte* buffer = stackalloc byte[4200];
        fixed (byte* p = CString(path))
        {
            long n = Raw(SyscallNumber.Readlink, (long)p, (long)buffer, 4200);
            return n < 0 ? null : System.Text.Encoding.UTF8.GetString(buffer, (int)n);
        }
    }
}
