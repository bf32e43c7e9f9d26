using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>Regular files without a name: deleted but open, and O_TMPFILE. Their content is saved whole, holes left out.</summary>
internal sealed unsafe class DeletedFileKind : OpenFileKind
{
    private const int Frame = ISnapshotWriter.FrameSizeBytes, SEEK_DATA = 3, SEEK_HOLE = 4, TmpFile = 0x400000; // O_TMPFILE without O_DIRECTORY
    private const string Suffix = " (deleted)";

    public override DescriptorKind Kind => DescriptorKind.DeletedFile;

    public override bool Owns(OpenDescriptor d, ExternalObjects externals)
        => d.Link.StartsWith('/') && d.Link.EndsWith(Suffix, StringComparison.Ordinal) && !d.Link.StartsWith("/memfd:", StringComparison.Ordinal) && !d.Link.StartsWith("/secretmem", StringComparison.Ordinal) && (d.Facts.Mode & Sys.S_IFMT) == Sys.S_IFREG;

    public override void Check(IReadOnlyList<OpenDescriptor> uses, TreeCheck check)
    {
        foreach (OpenDescriptor d in uses)
            if (Sys.TryStatus($"/proc/{d.Pid}/fd/{d.Number}") is { Links: > 0 }) check.Add($"{check.Where(d)} is {d.Link[..^Suffix.Length]}, which is deleted, but the file has another name, which is not known");
    }

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table)
    {
        int fd = d.Borrow(), own = -1;
        try
        {
            ObjectStatus status = Sys.Status(fd);
            DeletedFileImage file = to.Part().File = new DeletedFileImage
            {
                Device = status.Device, Inode = status.Inode, Path = d.Link[..^Suffix.Length], LengthBytes = (ulong)status.LengthBytes, Mode = status.Mode & 0xfff,
                Temporary = (d.Flags & TmpFile) != 0 || Path.GetFileName(d.Link[..^Suffix.Length]) == $"#{status.Inode}", User = status.User, Group = status.Group,
            };
            int index = table.Tree.OpenFiles.ToList().FindIndex(o => o.Object?.File is { } f && f.Inode == file.Inode && f.Device == file.Device);
            if (!ReferenceEquals(table.Tree.OpenFiles[index], to)) return; // another description of it has the content
            file.Part = $"deleted-{index}";
            // Opened again, because seeking in a copy would move the program's offset.
            own = Sys.Open($"/proc/self/fd/{fd}", Sys.O_RDONLY | Sys.O_CLOEXEC);
            Save(own, status.LengthBytes, table.Writer.OpenPart(file.Part, Math.Max(1, status.LengthBytes)));
        }
        finally { Sys.Close(fd); Sys.Close(own); }
    }

    private static void Save(int fd, long length, IPartWriter part)
    {
        byte[] buffer = new byte[Frame];
        fixed (byte* p = buffer)
            for (long at = 0; at < length && (at = Sys.Raw(SyscallNumber.Lseek, fd, at, SEEK_DATA)) >= 0;)
            {
                long end = Sys.Check(Sys.Raw(SyscallNumber.Lseek, fd, at, SEEK_HOLE), "lseek(SEEK_HOLE)");
                for (at &= -Frame; at < end; at += Frame)
                {
                    int wanted = (int)Math.Min(Frame, length - at);
                    for (int done = 0; done < wanted;)
                    {
                        long n = Sys.Check(Sys.Raw(SyscallNumber.Pread64, fd, (long)(p + done), wanted - done, at + done), "pread");
                        if (n == 0) throw new ProcessException("a deleted file became shorter while it was saved");
                        done += (int)n;
                    }
                    part.WriteFrame(at, buffer.AsSpan(0, wanted));
                }
            }
    }

    public override void Open(OpenFileImage image, OpenFileRestore files)
    {
        const int NotAgain = TmpFile | Sys.O_NOFOLLOW | Sys.O_DIRECTORY;
        int fd = Sys.Open($"/proc/self/fd/{FileOf(files, image.Object.File)}", OpenFileRestore.OpenFlags(image.Flags) & ~NotAgain);
        files.Set(image, fd);
        OpenFileRestore.Seek(fd, image);
    }

    /// <summary>The file itself, made at its first use.</summary>
    /// <param name="any">what some description of it says</param>
    /// <returns>a descriptor of the engine, for reading and writing</returns>
    public static int FileOf(OpenFileRestore files, DeletedFileImage any)
    {
        string key = $"deleted {any.Device} {any.Inode}";
        if (files.Held(key) is { } made) return made;
        DeletedFileImage file = files.Tree.OpenFiles.Select(o => o.Object?.File).FirstOrDefault(f => f is { Part.Length: > 0 } && (f.Device, f.Inode) == (any.Device, any.Inode))
            ?? throw new ImageException($"the content of the deleted file {any.Path} is not in the image");
        int fd = files.Hold(key, Create(file));
        Sys.Raw(SyscallNumber.Fchown, fd, file.User, file.Group);
        Sys.Fchmod(fd, (int)file.Mode);
        Sys.Ftruncate(fd, (long)file.LengthBytes);
        IPartReader part = files.Reader.OpenPart(file.Part);
        byte[] buffer = new byte[Frame];
        fixed (byte* p = buffer)
            foreach (long at in part.FrameOffsets)
            {
                part.ReadFrame(at, buffer);
                int length = (int)Math.Min(Frame, (long)file.LengthBytes - at);
                for (int done = 0; done < length;) done += (int)Sys.Check(Sys.Raw(SyscallNumber.Pwrite64, fd, (long)(p + done), length - done, at + done), "pwrite", file.Path);
            }
        return fd;
    }

    /// <summary>In the directory where it was, under its old name for a moment; in the directory for temporary files where that directory is gone.</summary>
    private static int Create(DeletedFileImage file)
    {
        string directory = Path.GetDirectoryName(file.Path) is { Length: > 0 } d && Directory.Exists(d) ? d : Path.GetTempPath();
        if (file.Temporary)
        {
            long result = Sys.TryOpen(directory, TmpFile | Sys.O_DIRECTORY | Sys.O_RDWR | Sys.O_CLOEXEC, 0x180);
            if (result >= 0) return (int)result;
        }
        string name = Path.Combine(directory, Path.GetFileName(file.Path));
        if (Path.Exists(name)) name = Path.Combine(directory, $".trecr-{Environment.ProcessId}-{file.Inode}");
        int fd = Sys.Open(name, Sys.O_RDWR | Sys.O_CREAT | Sys.O_EXCL | Sys.O_CLOEXEC, 0x180);
        File.Delete(name);
        return fd;
    }
}
