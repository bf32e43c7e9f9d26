using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>Says of every area of memory what it is, and why it cannot be saved. One place, so that check and dump never disagree.</summary>
/// <param name="prefix">names the process in findings; empty where there is one only</param>
internal sealed class Classification(ExternalObjects externals, List<string> findings, string prefix = "")
{
    /// <param name="tracked">write tracking of ours is armed: VmFlags <c>uw</c> is not somebody else's userfaultfd</param>
    public (VmaKind Kind, int Session) Of(Vma area, bool tracked)
    {
        if (area.IsKernel) return (VmaKind.Kernel, 0);
        string where = $"memory {area.Start:x}-{area.End:x} {area.Path}".TrimEnd();
        if (area.Has("ht")) return Refuse($"{where} is made of huge pages (hugetlbfs)");
        // Pinned memory is tracked for its delegator, which has the descriptor: it stays when an engine dies.
        if (area.Has("um") || area.Has("ui") || (area.Has("uw") && !tracked && !IsPinned(area))) return Refuse($"{where} is watched by a userfaultfd of the program");
        if (area.Has("ss")) return Refuse($"{where} is a shadow stack");
        if (area.Path.StartsWith("/SYSV", StringComparison.Ordinal)) return (VmaKind.SystemV, (int)area.Inode);
        if (area.Path.StartsWith("/[aio]", StringComparison.Ordinal)) return Refuse($"{where} is a Linux AIO context");
        if (area.Path.StartsWith("anon_inode:kvm", StringComparison.Ordinal)) return Refuse($"{where} maps a device: a virtual processor of KVM");
        if (area.Path.StartsWith("anon_inode:", StringComparison.Ordinal)) return Refuse($"{where} is shared with the kernel (io_uring, perf)");
        // These outlive the descriptor that they were made with.
        if (area.Path.StartsWith("socket:", StringComparison.Ordinal)) return Refuse($"{where} is the ring of a socket (AF_PACKET, AF_XDP)");
        if (area.Path.StartsWith("/secretmem", StringComparison.Ordinal)) return Refuse($"{where} is secret memory (memfd_secret), which nobody else can read");
        if (area.Path.StartsWith("/dmabuf:", StringComparison.Ordinal)) return Refuse($"{where} maps a device's buffer (dma-buf)");
        if (area.Path.Length > 0 && area.Path[0] is not ('/' or '[')) return Refuse($"{where}: of a kind that is not known, or a file that cannot be reached from here");
        if (area.IsMemfd && area.Shared)
        {
            bool segment = area.Path.StartsWith(ExternalObjects.SegmentName + " ", StringComparison.Ordinal) || area.Path == ExternalObjects.SegmentName;
            bool pinned = IsPinned(area);
            if (!segment && !pinned) return (VmaKind.SharedMemory, 0);
            foreach (ExternalSession session in externals.Sessions)
            {
                ulong inode = segment ? session.SegmentInode : session.PinnedInode;
                if (inode == area.Inode || (inode == 0 && externals.Sessions.Count == 1)) return (segment ? VmaKind.Segment : VmaKind.Pinned, session.Number);
            }
            return Refuse($"{where} is shared with a delegator that nobody named");
        }
        if (area.IsMemfd || area.Shared && WindowFile.Of(area.Path).Length > 0) return (VmaKind.SharedMemory, 0);
        if (area.IsSharedAnonymous && area.Shared) return (VmaKind.SharedMemory, 0);
        if (area.Has("io") || area.Has("pf") || (area.Path.StartsWith("/dev/", StringComparison.Ordinal) && !area.Path.StartsWith("/dev/shm/", StringComparison.Ordinal)
            && area.Path is not ("/dev/zero" or "/dev/null")))
            return Refuse($"{where} maps a device" + (area.Path.Contains("nvidia") ? ": libcuda is loaded in the program itself" : ""));
        if (!area.Path.StartsWith('/')) return (VmaKind.Anonymous, 0);
        if (area.Path.EndsWith(" (deleted)", StringComparison.Ordinal)) return (VmaKind.DeletedFile, 0);
        return (VmaKind.File, 0);
    }

    private static bool IsPinned(Vma area) => area.IsMemfd && area.Shared && (area.Path.StartsWith(ExternalObjects.PinnedName + " ", StringComparison.Ordinal) || area.Path == ExternalObjects.PinnedName);

    private (VmaKind, int) Refuse(string finding)
    {
        findings.Add(prefix + finding);
        return (VmaKind.Refused, 0);
    }
}
