namespace TreCr.Linux;

/// <summary>eventfd(2) and prctl(2) for the delegator.</summary>
public static unsafe partial class Sys
{
    private const int PR_SET_NAME = 15;

    /// <summary>eventfd2(2), close-on-exec, counter 0.</summary>
    public static int EventFd()
    {
        const int EFD_CLOEXEC = 0x80000;
        return (int)Check(Raw(SyscallNumber.Eventfd2, 0, EFD_CLOEXEC), "eventfd2");
    }

    /// <summary>Adds 1 to an eventfd: it becomes readable.</summary>
    public static void SignalEventFd(int fd)
    {
        ulong one = 1;
        Write(fd, &one, 8);
    }

    /// <summary>prctl(PR_SET_NAME): name of the calling thread, for its first 15 bytes.</summary>
    public static void SetProcessName(string name)
    {
        fixed (byte* p = CString(name)) Raw(SyscallNumber.Prctl, PR_SET_NAME, (long)p);
    }
}
