using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Process.Resources;

/// <summary>Regular files that the tree has open or mapped: size and time, and the content of small ones that it may write.</summary>
/// <param name="bundle">content of mapped programs and libraries too</param>
internal sealed class FileCapture(TreeImage image, ISnapshotWriter writer, long saveBelowBytes, bool bundle)
{
    private readonly Dictionary<string, int> _index = [];

    /// <summary>Notes a use of a file.</summary>
    /// <returns>index + 1 in the image; 0: not a regular file (device, directory)</returns>
    public uint Note(string path, bool write, bool append, bool mapped)
    {
        FileInfo info = new(path);
        if (!info.Exists || (info.Attributes & (FileAttributes.Directory | FileAttributes.Device)) != 0) return 0;
        if (!_index.TryGetValue(path, out int index))
        {
            index = image.Files.Count;
            _index[path] = index;
            image.Files.Add(new FileImage
            {
                Path = path, LengthBytes = (ulong)info.Length, ModifiedNs = UnixNs(info), Mode = (uint)info.UnixFileMode, AppendOnly = true,
            });
        }
        FileImage file = image.Files[index];
        file.Mapped |= mapped;
        if (write)
        {
            file.Writable = true;
            file.AppendOnly &= append;
        }
        return (uint)index + 1;
    }

    /// <summary>Unix time of the last change, ns (100 ns steps).</summary>
    public static long UnixNs(FileInfo info) => (info.LastWriteTimeUtc - DateTime.UnixEpoch).Ticks * 100;

    /// <summary>Whether the image has the content of a program or library, for a machine that lacks it.</summary>
    public static bool IsBundled(FileImage file) => file is { Mapped: true, Writable: false, Part.Length: > 0 };

    /// <summary>Saves the content of writable files below the limit, and what is bundled. The program is frozen.</summary>
    public void SaveContents()
    {
        byte[] buffer = new byte[ISnapshotWriter.FrameSizeBytes];
        for (int i = 0; i < image.Files.Count; i++)
        {
            FileImage file = image.Files[i];
            if (file.Writable ? file.LengthBytes >= (ulong)saveBelowBytes : !bundle || !file.Mapped) continue;
            file.Part = $"file-{i}";
            IPartWriter part = writer.OpenPart(file.Part, (long)Math.Max(1, file.LengthBytes));
            int fd = Sys.Open(file.Path, Sys.O_RDONLY | Sys.O_CLOEXEC); // not a FileStream, which takes a lock
            try
            {
                ObjectStatus status = Sys.Status(fd);
                (file.User, file.Group) = (status.User, status.Group);
                for (long at = 0; at < (long)file.LengthBytes; at += buffer.Length)
                {
                    int wanted = (int)Math.Min(buffer.Length, (long)file.LengthBytes - at);
                    if (Sys.ReadAt(fd, buffer.AsSpan(0, wanted), at) != wanted) throw new Engine.ProcessException($"{file.Path} became shorter while it was saved");
                    part.WriteFrame(at, buffer.AsSpan(0, wanted));
                }
            }
            finally { Sys.Close(fd); }
        }
    }
}
