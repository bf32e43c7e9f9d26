using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>A named pipe with its unread bytes.</summary>
internal sealed class FifoKind : OpenFileKind
{
    private const int F_SETPIPE_SZ = 1031;

    public override DescriptorKind Kind => DescriptorKind.Fifo;

    public override bool Owns(OpenDescriptor d, ExternalObjects externals) => d.Link.StartsWith('/') && !d.IsPath && (d.Facts.Mode & Sys.S_IFMT) == Sys.S_IFIFO;

    public override void Check(IReadOnlyList<OpenDescriptor> uses, TreeCheck check)
    {
        foreach (OpenDescriptor d in uses)
            if (Sys.TryStatus(d.Link) is not { } there || there.Inode != d.Facts.Inode) check.Add($"{check.Where(d)} is the named pipe {d.Link}, which is deleted");
    }

    private static bool Reads(uint flags) => (flags & 3) != Sys.O_WRONLY;

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table)
    {
        bool first = !table.Tree.OpenFiles.Any(o => o != to && o.Link == to.Link && o.Kind == (uint)Kind && Reads(o.Flags));
        (byte[] data, uint capacity) = PipeContent.Read(d.Pid, d.Number, Reads(d.Flags) && first);
        (to.Data, to.Capacity) = (ByteString.CopyFrom(data), capacity);
        to.Part().HungUp = (d.Flags & 3) == Sys.O_RDONLY && PipeContent.OtherEndClosed(d.Pid, d.Number, isReadEnd: true);
    }

    public override IEnumerable<string> CheckRestore(OpenFileImage image, SavedTree tree) => Sys.TryStatus(image.Link) is { IsFifo: true } ? [] : [$"the named pipe {image.Link} is gone"];

    public override unsafe void Open(OpenFileImage image, OpenFileRestore files)
    {
        List<OpenFileImage> all = [.. files.Tree.OpenFiles.Where(o => o.Kind == image.Kind && o.Link == image.Link)];
        // Content needs somebody who holds it; a reader that never saw a writer (no POLLHUP) must not see one now.
        bool untouched = all.TrueForAll(o => (o.Flags & 3) == Sys.O_RDONLY && !o.Object.HungUp && o.Data.Length == 0);
        int holder = untouched ? -1 : Sys.Open(image.Link, Sys.O_RDWR | Sys.O_NONBLOCK | Sys.O_CLOEXEC);
        try
        {
            foreach (OpenFileImage one in all)
            {
                int fd = Sys.Open(one.Link, OpenFileRestore.OpenFlags(one.Flags) | Sys.O_NONBLOCK);
                files.Set(one, fd);
                OpenFileRestore.SetStatusFlags(fd, one.Flags);
            }
            foreach (OpenFileImage one in all.Where(o => o.Data.Length > 0))
            {
                Sys.Control(holder, F_SETPIPE_SZ, one.Capacity);
                fixed (byte* p = one.Data.Span)
                    for (long at = 0; at < one.Data.Length;) at += Sys.Check(Sys.Write(holder, p + at, one.Data.Length - at), "write", one.Link);
            }
        }
        finally { Sys.Close(holder); }
    }
}
