using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Process.Restore;

/// <summary>Brings files that the program had open for writing back to length and content at the checkpoint.</summary>
internal static class RestoreFiles
{
    public static void Run(ISnapshotReader reader, TreeImage image)
    {
        byte[] saved = new byte[ISnapshotWriter.FrameSizeBytes], now = new byte[ISnapshotWriter.FrameSizeBytes];
        foreach (FileImage file in image.Files)
        {
            if (!file.Writable) continue;
            int fd = Sys.Open(file.Path, Sys.O_RDWR | Sys.O_CREAT | Sys.O_CLOEXEC, (int)(file.Mode & 0xfff)); // not a FileStream, which takes a lock
            try
            {
                if (Sys.Status(fd).LengthBytes != (long)file.LengthBytes) Sys.Ftruncate(fd, (long)file.LengthBytes);
                if (file.Part.Length == 0) continue;
                IPartReader part = reader.OpenPart(file.Part);
                for (long at = 0; at < (long)file.LengthBytes; at += saved.Length)
                {
                    int length = (int)Math.Min(saved.Length, (long)file.LengthBytes - at);
                    part.ReadFrame(at, saved);
                    if (Sys.ReadAt(fd, now.AsSpan(0, length), at) == length && now.AsSpan(0, length).SequenceEqual(saved.AsSpan(0, length))) continue;
                    Sys.WriteAt(fd, saved.AsSpan(0, length), at);
                }
            }
            finally { Sys.Close(fd); }
        }
    }

    /// <summary>Makes files that are gone and were saved, so that the program's descriptors can be opened.</summary>
    public static void MakeMissing(TreeImage image)
    {
        foreach (FileImage file in image.Files)
        {
            if (file.Part.Length == 0 || File.Exists(file.Path)) continue;
            int fd = Sys.Open(file.Path, Sys.O_WRONLY | Sys.O_CREAT | Sys.O_EXCL | Sys.O_CLOEXEC, 0x180); // 0600
            Sys.Raw(SyscallNumber.Fchown, fd, file.User, file.Group); // where root restarts it; others have what they make
            Sys.Raw(SyscallNumber.Fchmod, fd, file.Mode & 0xfff); // whatever the umask
            Sys.Close(fd);
        }
    }
}
