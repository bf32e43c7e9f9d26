using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>Says of every area and descriptor what it is, and why it cannot be saved. One place, so that check and dump never disagree.</summary>
internal sealed class Classification(ExternalObjects externals, List<string> findings)
{
    /// <param name="tracked">write tracking of ours is armed: VmFlags <c>uw</c> is not somebody else's userfaultfd</param>
    public (VmaKind Kind, int Session) Of(Vma area, bool tracked)
    {
        if (area.IsKernel) return (VmaKind.Kernel, 0);
        string where = $"memory {area.Start:x}-{area.End:x} {area.Path}".TrimEnd();
        if (area.Has("ht")) return Refuse($"{where} is made of huge pages (hugetlbfs)");
        if (area.Has("um") || area.Has("ui") || (area.Has("uw") && !tracked)) return Refuse($"{where} is watched by a userfaultfd of the program");
        if (area.Has("ss")) return Refuse($"{where} is a shadow stack");
        if (area.Path.StartsWith("/SYSV", StringComparison.Ordinal)) return Refuse($"{where} is SysV shared memory (shmget)");
        if (area.Path.StartsWith("/[aio]", StringComparison.Ordinal)) return Refuse($"{where} is a Linux AIO context");
        if (area.Path.StartsWith("anon_inode:", StringComparison.Ordinal)) return Refuse($"{where}: io_uring or perf memory");
        if (area.IsMemfd && area.Shared)
        {
            bool segment = area.Path.StartsWith(ExternalObjects.SegmentName + " ", StringComparison.Ordinal) || area.Path == ExternalObjects.SegmentName;
            bool pinned = area.Path.StartsWith(ExternalObjects.PinnedName + " ", StringComparison.Ordinal) || area.Path == ExternalObjects.PinnedName;
            if (!segment && !pinned) return (VmaKind.SharedMemory, 0);
            foreach (ExternalSession session in externals.Sessions)
            {
                ulong inode = segment ? session.SegmentInode : session.PinnedInode;
                if (inode == area.Inode || (inode == 0 && externals.Sessions.Count == 1)) return (segment ? VmaKind.Segment : VmaKind.Pinned, session.Number);
            }
            return Refuse($"{where} is shared with a delegator that nobody named");
        }
        if (area.IsMemfd) return Refuse($"{where} is a private mapping of a memfd");
        if (area.IsSharedAnonymous && area.Shared) return (VmaKind.SharedMemory, 0);
        if (area.Has("io") || area.Has("pf") || (area.Path.StartsWith("/dev/", StringComparison.Ordinal) && !area.Path.StartsWith("/dev/shm/", StringComparison.Ordinal)
            && area.Path is not ("/dev/zero" or "/dev/null")))
            return Refuse($"{where} maps a device" + (area.Path.Contains("nvidia") ? ": libcuda is loaded in the program itself" : ""));
        if (!area.Path.StartsWith('/')) return (VmaKind.Anonymous, 0);
        if (area.Path.EndsWith(" (deleted)", StringComparison.Ordinal)) return Refuse($"{where}: the file is deleted");
        return (VmaKind.File, 0);
    }

    /// <param name="pid">for sockets: where to look up what it is</param>
    public (DescriptorKind Kind, int Number) Of(OpenDescriptor d, int pid)
    {
        string where = $"descriptor {d.Number}";
        foreach (ExternalStream stream in externals.Streams)
            if (stream.Link == d.Link) return (DescriptorKind.ExternalStream, stream.Number);
        foreach (ExternalSession session in externals.Sessions)
            if (session.ConnectionLink == d.Link) return (DescriptorKind.ExternalConnection, session.Number);
        if (d.HasLock) return RefuseDescriptor($"{where} holds a file lock or lease on {d.Link}");
        if (d.Link.StartsWith("socket:", StringComparison.Ordinal)) return RefuseDescriptor($"{where} is {SocketNames.Describe(pid, d.Link)}: close it before the checkpoint");
        if (d.Link.StartsWith("pipe:", StringComparison.Ordinal)) return (DescriptorKind.Pipe, 0);
        if (d.Link.StartsWith("/memfd:", StringComparison.Ordinal)) return (DescriptorKind.SharedMemory, 0);
        switch (d.Link)
        {
            case "anon_inode:[eventfd]": return (DescriptorKind.Eventfd, 0);
            case "anon_inode:[eventpoll]": return (DescriptorKind.Epoll, 0);
            case "anon_inode:[io_uring]": return RefuseDescriptor($"{where} is an io_uring");
            case "anon_inode:[timerfd]": return RefuseDescriptor($"{where} is a timerfd");
            case "anon_inode:[signalfd]": return RefuseDescriptor($"{where} is a signalfd");
            case "anon_inode:inotify": return RefuseDescriptor($"{where} is an inotify instance");
        }
        if (d.Link.StartsWith("anon_inode:", StringComparison.Ordinal)) return RefuseDescriptor($"{where} is {d.Link[11..].Trim('[', ']')}");
        if (d.Link.StartsWith("/dev/pts/", StringComparison.Ordinal) || d.Link.StartsWith("/dev/tty", StringComparison.Ordinal) || d.Link == "/dev/console")
            return RefuseDescriptor($"{where} is a terminal ({d.Link}) that trecr run did not give to the program");
        if (d.Link.EndsWith(" (deleted)", StringComparison.Ordinal)) return RefuseDescriptor($"{where}: {d.Link[..^10]} is deleted");
        if (d.Link.StartsWith("/dev/", StringComparison.Ordinal) && !d.Link.StartsWith("/dev/shm/", StringComparison.Ordinal)
            && d.Link is not ("/dev/null" or "/dev/zero" or "/dev/full" or "/dev/urandom" or "/dev/random"))
            return RefuseDescriptor($"{where} is the device {d.Link}");
        if (d.Link.StartsWith("/proc/", StringComparison.Ordinal)) return RefuseDescriptor($"{where} is open in /proc ({d.Link})");
        return d.Link.StartsWith('/') ? (DescriptorKind.File, 0) : RefuseDescriptor($"{where} is {d.Link}");
    }

    private (VmaKind, int) Refuse(string finding)
    {
        findings.Add(finding);
        return (VmaKind.Refused, 0);
    }

    private (DescriptorKind, int) RefuseDescriptor(string finding)
    {
        findings.Add(finding);
        return (DescriptorKind.Refused, 0);
    }
}
