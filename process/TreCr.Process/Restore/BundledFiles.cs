using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Resources;

namespace TreCr.Process.Restore;

/// <summary>
/// Programs and libraries that were saved with the image, for a machine where they are missing or others: they are laid into a directory, with their old paths below it, and the
/// program maps them from there.
/// </summary>
internal static class BundledFiles
{
    /// <param name="directory">made where it is needed; files in it are used again</param>
    /// <exception cref="ImageException">no directory was given and one is needed</exception>
    public static void Provide(SavedTree saved, string directory)
    {
        PathChanges moved = new();
        foreach (FileImage file in saved.Tree.Files)
        {
            if (!FileCapture.IsBundled(file) || IsSame(file, file.Path)) continue;
            if (directory.Length == 0) throw new ImageException($"{file.Path} is not the same here, and there is no directory for the saved one");
            string path = directory + file.Path;
            if (!IsSame(file, path)) Write(saved.Reader, file, path);
            moved.Maps.Add((file.Path, path));
        }
        moved.Apply(saved);
    }

    private static bool IsSame(FileImage file, string path)
    {
        FileInfo info = new(path);
        return info.Exists && (ulong)info.Length == file.LengthBytes && FileCapture.UnixNs(info) == file.ModifiedNs;
    }

    private static void Write(ISnapshotReader reader, FileImage file, string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        string temporary = $"{path}.{Environment.ProcessId}";
        File.Delete(temporary);
        int fd = Sys.Open(temporary, Sys.O_RDWR | Sys.O_CREAT | Sys.O_EXCL | Sys.O_CLOEXEC, (int)(file.Mode & 0x1ed)); // no set-user-id
        try
        {
            IPartReader part = reader.OpenPart(file.Part);
            byte[] frame = new byte[ISnapshotWriter.FrameSizeBytes];
            for (long at = 0; at < (long)file.LengthBytes; at += frame.Length)
            {
                part.ReadFrame(at, frame);
                Sys.WriteAt(fd, frame.AsSpan(0, (int)Math.Min(frame.Length, (long)file.LengthBytes - at)), at);
            }
        }
        finally { Sys.Close(fd); }
        File.SetLastWriteTimeUtc(temporary, DateTime.UnixEpoch.AddTicks(file.ModifiedNs / 100));
        File.Move(temporary, path, overwrite: true);
    }
}
