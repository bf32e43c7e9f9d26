using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>epoll(7). Targets are known by their number in the process that added them.</summary>
internal sealed class EpollKind : OpenFileKind
{
    public override DescriptorKind Kind => DescriptorKind.Epoll;

    public override bool Owns(OpenDescriptor d, ExternalObjects externals) => d.Link == "anon_inode:[eventpoll]";

    public override void Check(IReadOnlyList<OpenDescriptor> uses, TreeCheck check)
    {
        foreach (OpenDescriptor d in uses)
        {
            HashSet<int> numbers = [.. check.Processes.First(p => p.Pid == d.Pid).Descriptors.Select(o => o.Number)];
            foreach (var (target, _, _) in d.EpollTargets)
                if (!numbers.Contains(target)) check.Add($"{check.Where(d)} is an epoll instance that watches descriptor {target}, which is closed");
        }
    }

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table)
    {
        foreach (var (target, events, data) in d.EpollTargets) to.EpollTargets.Add(new EpollTarget { Number = target, Events = events, Data = data });
    }

    public override void Open(OpenFileImage image, OpenFileRestore files)
        => files.Set(image, (int)Sys.Check(Sys.Raw(SyscallNumber.EpollCreate1, Sys.O_CLOEXEC), "epoll_create1"));

    public override void Place(OpenFileImage image, DescriptorImage descriptor, ProcessImage process, RemoteBatch batch)
    {
        if (image.Pid != process.Pid || image.Number != descriptor.Number) return; // once, where the numbers are those that were read
        foreach (EpollTarget t in image.EpollTargets)
        {
            byte[] e = new byte[12]; // struct epoll_event is packed
            BitConverter.TryWriteBytes(e, t.Events);
            BitConverter.TryWriteBytes(e.AsSpan(4), t.Data);
            batch.Add("epoll_ctl", SyscallNumber.EpollCtl, descriptor.Number, 1, t.Number, batch.Put(e));
        }
    }
}
