namespace TreCr.Linux;

/// <summary>Small files that are there whole or not at all, also where several hosts share the file system.</summary>
public static class WholeFile
{
    /// <summary>Ends the name of what is not finished; whoever lists a directory leaves it out.</summary>
    public const string UnfinishedSuffix = ".tmp";

    /// <summary>Nobody but the user.</summary>
    public const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Writes a file, or replaces it, by rename(2).</summary>
    /// <param name="durable">the bytes are on the disk before the file has its name</param>
    /// <exception cref="IOException">what was there before is as it was</exception>
    public static void Replace(string path, ReadOnlySpan<byte> bytes, bool durable, UnixFileMode mode)
    {
        string fresh = $"{path}.{Environment.MachineName}-{Environment.ProcessId}-{Environment.CurrentManagedThreadId}{UnfinishedSuffix}";
        try
        {
            // Shared with all, because a FileStream would take a lock otherwise.
            using (FileStream file = new(fresh, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, Share = FileShare.ReadWrite | FileShare.Delete, UnixCreateMode = mode }))
            {
                file.Write(bytes);
                file.Flush(flushToDisk: durable);
            }
            File.Move(fresh, path, overwrite: true);
        }
        catch
        {
            File.Delete(fresh);
            throw;
        }
    }
}
