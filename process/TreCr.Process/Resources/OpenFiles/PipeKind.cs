using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>Pipes whose ends are all in the tree, or whose other end is closed everywhere; with their unread bytes.</summary>
internal sealed class PipeKind : OpenFileKind
{
    private const int F_SETPIPE_SZ = 1031, DefaultBytes = 65536;

    public override DescriptorKind Kind => DescriptorKind.Pipe;

    public override bool Owns(OpenDescriptor d, ExternalObjects externals) => d.Link.StartsWith("pipe:", StringComparison.Ordinal);

    private static bool Reads(uint flags) => (flags & 3) != Sys.O_WRONLY;
    private static bool Writes(uint flags) => (flags & 3) != Sys.O_RDONLY;

    public override void Check(IReadOnlyList<OpenDescriptor> uses, TreeCheck check)
    {
        foreach (var pipe in uses.GroupBy(d => d.Link))
        {
            bool reads = pipe.Any(d => Reads(d.Flags)), writes = pipe.Any(d => Writes(d.Flags));
            if (reads && writes || PipeContent.OtherEndClosed(pipe.First().Pid, pipe.First().Number, reads)) continue;
            check.Add($"{check.Where(pipe.First())} is a pipe whose other end is outside the program");
        }
    }

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table)
    {
        bool first = !table.Tree.OpenFiles.Any(o => o != to && o.Link == to.Link && Reads(o.Flags));
        (byte[] data, uint capacity) = PipeContent.Read(d.Pid, d.Number, Reads(d.Flags) && first);
        (to.Data, to.Capacity) = (ByteString.CopyFrom(data), capacity);
    }

    public override unsafe void Open(OpenFileImage image, OpenFileRestore files)
    {
        List<OpenFileImage> ends = [.. files.Tree.OpenFiles.Where(o => o.Kind == image.Kind && o.Link == image.Link)];
        (int read, int write) = Sys.Pipe();
        bool readGiven = false, writeGiven = false;
        try
        {
            // Also the smallest capacity that an earlier size left data in is at least what is set here: it was taken from the live pipe.
            if (image.Capacity is not (0 or DefaultBytes)) Sys.Raw(SyscallNumber.Fcntl, write, F_SETPIPE_SZ, image.Capacity);
            foreach (OpenFileImage end in ends)
                fixed (byte* p = end.Data.Span)
                    for (long at = 0; at < end.Data.Length;) at += Sys.Check(Sys.Write(write, p + at, end.Data.Length - at), "write", image.Link);
            foreach (OpenFileImage end in ends)
            {
                bool reads = (end.Flags & 3) == Sys.O_RDONLY, writes = (end.Flags & 3) == Sys.O_WRONLY;
                int fd;
                if (reads && !readGiven) (fd, readGiven) = (read, true);
                else if (writes && !writeGiven) (fd, writeGiven) = (write, true);
                else fd = Sys.Open($"/proc/self/fd/{read}", (int)(end.Flags & 3) | Sys.O_CLOEXEC | Sys.O_NONBLOCK); // a second description of one end
                files.Set(end, fd);
                OpenFileRestore.SetStatusFlags(fd, end.Flags);
            }
        }
        finally
        {
            if (!readGiven) Sys.Close(read);
            if (!writeGiven) Sys.Close(write);
        }
    }
}
