using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>
/// POSIX message queues (mq_overview(7)) of the job's ipc namespace. Messages can only be taken out and put in again, in their order, which happens while everything is stopped.
/// </summary>
internal sealed unsafe class MessageQueueKind : OpenFileKind
{
    private const long MqueueMagic = 0x19800202;
    private const string Suffix = " (deleted)";

    public override DescriptorKind Kind => DescriptorKind.MessageQueue;

    /// <summary>Its path has one name, in the queues' own file system.</summary>
    public override bool Owns(OpenDescriptor d, ExternalObjects externals)
    {
        if (!d.Link.StartsWith('/') || d.Link.LastIndexOf('/') != 0 || (d.Facts.Mode & Sys.S_IFMT) != Sys.S_IFREG) return false;
        byte* statfs = stackalloc byte[120];
        fixed (byte* path = Sys.CString($"/proc/{d.Pid}/fd/{d.Number}")) return Sys.Raw(SyscallNumber.Statfs, (long)path, (long)statfs) >= 0 && *(long*)statfs == MqueueMagic;
    }

    public override void Check(IReadOnlyList<OpenDescriptor> uses, TreeCheck check)
    {
        foreach (OpenDescriptor d in uses)
        {
            int fd = (int)Sys.TryOpen($"/proc/{d.Pid}/fd/{d.Number}", Sys.O_RDONLY | Sys.O_NONBLOCK | Sys.O_CLOEXEC);
            if (fd < 0) continue;
            byte[] text = new byte[256];
            string state = System.Text.Encoding.ASCII.GetString(text, 0, Sys.ReadAt(fd, text, 0)); // QSIZE:0 NOTIFY:0 SIGNO:0 NOTIFY_PID:0
            Sys.Close(fd);
            int at = state.IndexOf("NOTIFY_PID:", StringComparison.Ordinal);
            if (at >= 0 && state[(at + 11)..].Trim() is not "0") check.Add($"{check.Where(d)} is the message queue {d.Link}, of which a process wants to be notified (mq_notify)");
        }
    }

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table)
    {
        bool unlinked = d.Link.EndsWith(Suffix, StringComparison.Ordinal);
        MessageQueueImage queue = to.Part().MessageQueue = new MessageQueueImage { Name = unlinked ? d.Link[1..^Suffix.Length] : d.Link[1..], Unlinked = unlinked, Inode = d.Facts.Inode, Mode = (uint)(d.Facts.Mode & 0xfff) };
        int fd = Sys.Open($"/proc/{d.Pid}/fd/{d.Number}", Sys.O_RDWR | Sys.O_NONBLOCK | Sys.O_CLOEXEC);
        try
        {
            long* attributes = stackalloc long[8]; // struct mq_attr: flags, maxmsg, msgsize, curmsgs
            Sys.Check(Sys.Raw(SyscallNumber.MqGetsetattr, fd, 0, (long)attributes), "mq_getattr", d.Link);
            (queue.MaxMessages, queue.MessageBytes) = (attributes[1], attributes[2]);
            if (table.Tree.OpenFiles.Any(o => !ReferenceEquals(o, to) && o.Object?.MessageQueue is { } q && q.Inode == queue.Inode)) return;
            byte[] buffer = new byte[Math.Max(1, attributes[2])];
            for (long left = attributes[3]; left > 0; left--)
                fixed (byte* p = buffer)
                {
                    uint priority;
                    long n = Sys.Check(Sys.Raw(SyscallNumber.MqTimedreceive, fd, (long)p, buffer.Length, (long)&priority, 0), "mq_receive", d.Link);
                    queue.Messages.Add(new QueuedMessageImage { Priority = priority, Data = ByteString.CopyFrom(buffer, 0, (int)n) });
                }
            Send(fd, queue);
        }
        finally { Sys.Close(fd); }
    }

    private static void Send(int fd, MessageQueueImage queue)
    {
        foreach (QueuedMessageImage m in queue.Messages)
            fixed (byte* p = m.Data.Span)
            {
                byte none;
                Sys.Check(Sys.Raw(SyscallNumber.MqTimedsend, fd, (long)(p is null ? &none : p), m.Data.Length, m.Priority, 0), "mq_send", queue.Name);
            }
    }

    public override void Open(OpenFileImage image, OpenFileRestore files)
    {
        MessageQueueImage queue = image.Object.MessageQueue;
        string key = $"message queue {queue.Inode}";
        if (files.Held(key) is not { } held)
        {
            long* attributes = stackalloc long[8];
            new Span<long>(attributes, 8).Clear();
            (attributes[1], attributes[2]) = (queue.MaxMessages, queue.MessageBytes);
            fixed (byte* name = Sys.CString(queue.Name))
            {
                Sys.Raw(SyscallNumber.MqUnlink, (long)name); // of an earlier run: the namespace is the job's own
                held = files.Hold(key, (int)Sys.Check(Sys.Raw(SyscallNumber.MqOpen, (long)name, Sys.O_RDWR | Sys.O_CREAT | Sys.O_EXCL | Sys.O_NONBLOCK | Sys.O_CLOEXEC, queue.Mode, (long)attributes), "mq_open", queue.Name));
                if (queue.Unlinked) Sys.Raw(SyscallNumber.MqUnlink, (long)name);
            }
            Sys.Fchmod(held, (int)queue.Mode);
            Send(held, files.Tree.OpenFiles.Select(o => o.Object?.MessageQueue).FirstOrDefault(q => q is { Messages.Count: > 0 } && q.Inode == queue.Inode) ?? queue);
        }
        files.Set(image, Sys.Open($"/proc/self/fd/{held}", OpenFileRestore.OpenFlags(image.Flags)));
    }
}
