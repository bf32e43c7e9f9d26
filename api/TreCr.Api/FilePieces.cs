using Microsoft.Win32.SafeHandles;
using TreCr.Linux;

namespace TreCr.Api;

/// <summary>Whole reads, whole small files, and what makes names durable.</summary>
internal static class FilePieces
{
    /// <summary>Reads until the buffer is full or the file ends.</summary>
    public static int Read(SafeFileHandle file, Span<byte> into, long offset)
    {
        int done = 0;
        while (done < into.Length && RandomAccess.Read(file, into[done..], offset + done) is var n and > 0) done += n;
        return done;
    }

    /// <summary>Opens for reading; others may write, rename and remove it.</summary>
    /// <returns>null: there is none, or it leads nowhere</returns>
    public static SafeFileHandle? TryOpen(string path)
    {
        try { return File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete); }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException) { return null; }
    }

    /// <summary>Writes a small file that is there whole or not at all, for whoever may read the directory.</summary>
    public static void Replace(string path, string text, bool durable)
        => Replace(path, System.Text.Encoding.UTF8.GetBytes(text), durable);

    /// <inheritdoc cref="Replace(string, string, bool)"/>
    public static void Replace(string path, ReadOnlySpan<byte> bytes, bool durable) => WholeFile.Replace(path, bytes, durable, WholeFile.Private | UnixFileMode.GroupRead | UnixFileMode.OtherRead);

    /// <summary>Makes the names in a directory durable.</summary>
    public static void SyncDirectory(string path)
    {
        int fd = Sys.Open(path, Sys.O_RDONLY | Sys.O_DIRECTORY | Sys.O_CLOEXEC);
        try { Sys.Check(Sys.Fsync(fd), "fsync", path); }
        finally { Sys.Close(fd); }
    }
}
