using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Delegator.Snapshot;

/// <summary>
/// Device memory that comes while the program runs, where it is this process's own: whoever touches a missing page, a kernel or a copy, waits until another process (<c>trecr pages</c>) has brought its frame.
/// </summary>
/// <remarks>
/// Another process, because a thread of this one that waits for a page in managed code keeps the garbage collector from stopping it, and a server in this process could wait for the collector: for ever.
/// Closing the last descriptor makes missing pages zero: this object and the supervisor hold it until the server has said that all are there.
/// </remarks>
internal sealed unsafe class LazyDevice : IDisposable
{
    private readonly int _uffd, _done = Sys.EventFd();
    private bool _complete;

    private LazyDevice(int uffd) => _uffd = uffd;

    /// <summary>The userfaultfd and an eventfd that the server signals when all pages are there. They stay this object's.</summary>
    public int[] Descriptors => [_uffd, _done];

    /// <summary>All memory of these ranges is missing from now on: nobody may touch it before a server runs.</summary>
    /// <param name="ranges">mapped, whole blocks; their content is dropped</param>
    /// <param name="why">why not, where the answer is null; the content is dropped all the same</param>
    public static LazyDevice? TryBegin(IReadOnlyList<(ulong Start, ulong End)> ranges, out string? why)
    {
        why = null;
        int uffd = (int)Sys.Raw(SyscallNumber.Userfaultfd, Sys.O_CLOEXEC | Sys.O_NONBLOCK);
        long result = uffd < 0 ? uffd : UserFault.Enable(uffd, withEvents: false);
        for (int i = 0; i < ranges.Count && result >= 0; i++) result = UserFault.Register(uffd, ranges[i].Start, ranges[i].End - ranges[i].Start);
        if (result >= 0) return new LazyDevice(uffd);
        why = result == -Errno.EPERM ? "page faults of system calls are served for root only (vm.unprivileged_userfaultfd)" : $"userfaultfd: {Errno.Describe((int)-result)}";
        Sys.Close(uffd);
        return null;
    }

    /// <summary>Waits until all pages are there.</summary>
    /// <exception cref="ImageException">they have not come in time</exception>
    public void Complete(int timeoutMs)
    {
        if (_complete) return;
        Span<PollEntry> ready = [new PollEntry { Fd = _done, Events = Sys.POLLIN }];
        for (long end = Environment.TickCount64 + timeoutMs; Sys.Poll(ready, (int)Math.Max(0, end - Environment.TickCount64)) <= 0;)
            if (Environment.TickCount64 >= end) throw new ImageException($"the device memory of the restarted program has not arrived within {timeoutMs} ms");
        Dispose();
    }

    public void Dispose()
    {
        if (_complete) return;
        _complete = true;
        Sys.Close(_uffd);
        Sys.Close(_done);
    }
}
