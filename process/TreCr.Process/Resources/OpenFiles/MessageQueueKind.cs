using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;
using TreCr.Process.Readouts;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>
/// POSIX message queues (mq_overview(7)) of the job's ipc namespace. Messages can only be taken out and put in again, in their order, which happens while everything is stopped.
/// </summary>
internal sealed unsafe class MessageQueueKind : OpenFileKind
{
    private const long MqueueMagic = 0x19800202;
    private const string Suffix = " (deleted)";

    /// <summary>Room that init has for the messages of a queue, bytes.</summary>
    private const long MostBytes = 4 << 20;

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
        int fd = OpenAgain(d);
        try
        {
            long* attributes = stackalloc long[8]; // struct mq_attr: flags, maxmsg, msgsize, curmsgs
            Sys.Check(Sys.Raw(SyscallNumber.MqGetsetattr, fd, 0, (long)attributes), "mq_getattr", d.Link);
            (queue.MaxMessages, queue.MessageBytes) = (attributes[1], attributes[2]);
            if (attributes[3] == 0 || table.Tree.OpenFiles.Any(o => !ReferenceEquals(o, to) && o.Object?.MessageQueue is { } q && q.Inode == queue.Inode)) return;
            if (attributes[2] * attributes[3] > MostBytes) throw new RefusedException([$"the message queue {d.Link} may hold more than {MostBytes >> 20} MiB"]);
        }
        finally { Sys.Close(fd); }
        table.Later(() => CaptureMessages(d, queue, table.Readouts));
    }

    private static int OpenAgain(OpenDescriptor d) => Sys.Open($"/proc/{d.Pid}/fd/{d.Number}", Sys.O_RDWR | Sys.O_NONBLOCK | Sys.O_CLOEXEC);

    private static void CaptureMessages(OpenDescriptor d, MessageQueueImage queue, ReadoutClient readouts)
    {
        int fd = OpenAgain(d);
        try
        {
            byte[] read = readouts.Ask(ReadoutProtocol.MessageQueue, [], fd);
            foreach (var (priority, start, length) in QueueReadout.Messages(read)) queue.Messages.Add(new QueuedMessageImage { Priority = priority, Data = ByteString.CopyFrom(read, start, length) });
        }
        finally { Sys.Close(fd); }
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
            foreach (QueuedMessageImage m in (files.Tree.OpenFiles.Select(o => o.Object?.MessageQueue).FirstOrDefault(q => q is { Messages.Count: > 0 } && q.Inode == queue.Inode) ?? queue).Messages)
                QueueReadout.Send(held, m.Priority, m.Data.Span);
        }
        files.Set(image, Sys.Open($"/proc/self/fd/{held}", OpenFileRestore.OpenFlags(image.Flags)));
    }
}
