using TreCr.Linux;

namespace TreCr.Store;

/// <summary>Whole small files: read at once, written durably.</summary>
internal static class StoreBytes
{
    /// <summary>Reads a file whole.</summary>
    /// <exception cref="StoreException">NotFound; Damaged: too long to be one of ours; OtherOwner, IO.</exception>
    internal static byte[] ReadAll(IStoreFiles files, StoreDirectory directory, string name, string path)
    {
        using IStoreFile file = files.TryOpen(directory, name) ?? throw new StoreException(StoreErrorKind.NotFound, $"{path}: missing");
        long length = file.LengthBytes;
        if (length > Format.MaxObjectBytes) throw new StoreException(StoreErrorKind.Damaged, $"{path}: {length} bytes are too many");
        byte[] bytes = new byte[length];
        int n = file.ReadAt(0, bytes);
        return n == bytes.Length ? bytes : bytes[..n];
    }

    /// <summary>Writes a file that is there whole and durable, or not at all: temporary file, fsync, rename, fsync of the directory.</summary>
    /// <exception cref="StoreException">Busy: exists and <paramref name="replace"/> is false; NoSpace, IO. No temporary file is left.</exception>
    internal static void WriteDurably(IStoreFiles files, StoreDirectory directory, string name, ReadOnlySpan<byte> bytes, bool replace = true, FaultPoint beforeRename = FaultPoint.None)
    {
        string temporary = Format.TemporaryPrefix + Format.NewSessionId(DateTimeOffset.UtcNow);
        try
        {
            using (IStoreFile file = files.Create(directory, temporary))
            {
                file.WriteAt(0, bytes);
                file.Sync();
            }
            if (beforeRename != FaultPoint.None) StoreFault.At(beforeRename, $"{files.Location}/{name}");
            files.Rename(directory, temporary, name, replace);
        }
        catch
        {
            files.Delete(directory, temporary);
            throw;
        }
        files.SyncDirectory(directory);
    }
}
