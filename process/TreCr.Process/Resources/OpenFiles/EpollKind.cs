using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>epoll(7), also one in another. A target is a description together with the number it had when it was added; the number can mean something else now.</summary>
internal sealed unsafe class EpollKind : OpenFileKind
{
    private const int KCMP_EPOLL_TFD = 7, EPOLL_CTL_ADD = 1;

    public override DescriptorKind Kind => DescriptorKind.Epoll;

    public override bool Owns(OpenDescriptor d, ExternalObjects externals) => d.Link == "anon_inode:[eventpoll]";

    public override void Check(IReadOnlyList<OpenDescriptor> uses, TreeCheck check)
    {
        foreach (OpenDescriptor d in uses)
        {
            if (check.Processes.All(p => p.Pid != d.Pid))
            {
                check.Add($"{check.Where(d)} is an epoll instance");
                continue;
            }
            List<OpenDescriptor> here = check.Processes.First(p => p.Pid == d.Pid).Descriptors;
            for (int i = 0; i < d.EpollTargets.Count; i++)
                // In a process that inherited it the numbers may be others: where one of its holders has all targets it can be saved.
                if (Find(d, i, here) is null && !uses.Any(u => u != d && check.Processes.Any(p => p.Pid == u.Pid) && IsSame(u, d) && Find(u, i, check.Processes.First(p => p.Pid == u.Pid).Descriptors) is not null))
                    check.Add($"{check.Where(d)} is an epoll instance that watches descriptor {d.EpollTargets[i].Number}, which is closed");
        }
    }

    private static bool IsSame(OpenDescriptor a, OpenDescriptor b) => Sys.Kcmp(a.Pid, b.Pid, 0, a.Number, b.Number) == 0;

    /// <summary>A descriptor of the target's description in the same process: that with its number where that is still it.</summary>
    private static OpenDescriptor? Find(OpenDescriptor epoll, int target, List<OpenDescriptor> here)
    {
        int number = epoll.EpollTargets[target].Number;
        uint* slot = stackalloc uint[3]; // struct kcmp_epoll_slot: epoll's number, target's number, which of those with that number
        (slot[0], slot[1], slot[2]) = ((uint)epoll.Number, (uint)number, (uint)epoll.EpollTargets.Take(target).Count(t => t.Number == number));
        foreach (OpenDescriptor d in here.OrderBy(d => d.Number == number ? 0 : 1))
            if (!d.IsPath && Sys.Kcmp(d.Pid, epoll.Pid, KCMP_EPOLL_TFD, d.Number, (long)slot) == 0) return d;
        return null;
    }

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table)
    {
        List<OpenDescriptor> here = OpenDescriptor.ReadAll(d.Pid);
        for (int i = 0; i < d.EpollTargets.Count; i++)
        {
            var (number, events, data) = d.EpollTargets[i];
            to.EpollTargets.Add(new EpollTarget { Number = number, Events = events, Data = data, Now = Find(d, i, here)?.Number ?? number });
        }
    }

    public override void Open(OpenFileImage image, OpenFileRestore files)
        => files.Set(image, (int)Sys.Check(Sys.Raw(SyscallNumber.EpollCreate1, Sys.O_CLOEXEC), "epoll_create1"));

    public override void Place(OpenFileImage image, DescriptorImage descriptor, ProcessImage process, RemoteBatch batch)
    {
        if (image.Pid != process.Pid || image.Number != descriptor.Number) return; // once, where the numbers are those that were read
        int spare = process.Descriptors[^1].Number + 4;
        foreach (EpollTarget t in image.EpollTargets)
        {
            byte[] e = new byte[12]; // struct epoll_event is packed
            BitConverter.TryWriteBytes(e, t.Events);
            BitConverter.TryWriteBytes(e.AsSpan(4), t.Data);
            long at = batch.Put(e);
            bool moved = t.HasNow && t.Now != t.Number;
            DescriptorImage? other = moved ? process.Descriptors.FirstOrDefault(o => o.Number == t.Number) : null;
            if (other is not null) batch.Add("dup3", SyscallNumber.Dup3, t.Number, spare, 0);
            if (moved) batch.Add("dup3", SyscallNumber.Dup3, t.Now, t.Number, 0);
            batch.Add("epoll_ctl", SyscallNumber.EpollCtl, descriptor.Number, EPOLL_CTL_ADD, t.Number, at);
            if (other is not null) { batch.Add("dup3", SyscallNumber.Dup3, spare, t.Number, other.Flags & Sys.O_CLOEXEC); batch.Add("close", SyscallNumber.Close, spare); }
            else if (moved) batch.Add("close", SyscallNumber.Close, t.Number);
        }
    }
}
