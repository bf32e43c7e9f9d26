using TreCr.Linux;
using TreCr.Process.Engine;

namespace TreCr.Process.Memory;

/// <summary>A userfaultfd of another process, with which its writes are tracked.</summary>
internal static class TrackingDescriptor
{
    /// <summary>Makes the descriptor inside the frozen process, takes it over and closes it there: the program sees none. Its close ends the tracking.</summary>
    /// <returns>the caller's; asynchronous mode is chosen, nothing is registered</returns>
    /// <exception cref="ProcessException">the kernel has no userfaultfd, or no asynchronous mode (before 6.7)</exception>
    public static int Create(FrozenProcess frozen, StackInjector injector)
    {
        Tracee leader = frozen.Leader;
        int uffd = -1, pidfd = -1;
        injector.Borrow(leader);
        try
        {
            long inside = injector.Call(leader, SyscallNumber.Userfaultfd, Sys.O_CLOEXEC | Sys.O_NONBLOCK | AsyncWriteProtection.UserModeOnly);
            if (inside < 0) throw new ProcessException($"userfaultfd: {Errno.Describe((int)-inside)}");
            pidfd = Sys.PidfdOpen(frozen.Pid);
            uffd = Sys.PidfdGetfd(pidfd, (int)inside);
            injector.Call(leader, SyscallNumber.Close, inside);
            Sys.Check(uffd, "pidfd_getfd", "userfaultfd");
            AsyncWriteProtection.Begin(uffd);
            return uffd;
        }
        catch
        {
            Sys.Close(uffd);
            throw;
        }
        finally
        {
            Sys.Close(pidfd);
            StackInjector.GiveBack(leader);
        }
    }
}
