namespace TreCr.Store;

/// <summary>Directories of a store (docs/format.md).</summary>
public enum StoreDirectory
{
    /// <summary>The store itself: the files <c>format</c> and <c>lock</c>.</summary>
    Root,

    /// <summary>Packs and their indexes.</summary>
    Packs,

    /// <summary>One file per session that no checkpoint has taken up yet.</summary>
    Sessions,

    /// <summary>Job manifests.</summary>
    Checkpoints,
}

/// <summary>
/// All file I/O of a store. Production code uses <see cref="LinuxStoreFiles"/>; tests put a recorder here that forgets or reorders what was not
/// synced. The promises on which the store rests: a file's bytes are durable after <see cref="IStoreFile.Sync"/>, names and renames after
/// <see cref="SyncDirectory"/>, and nothing else is.
/// </summary>
/// <remarks>Any thread. Every failure is a <see cref="StoreException"/>. Names hold no slash.</remarks>
public interface IStoreFiles : IDisposable
{
    /// <summary>Where the store is, for messages.</summary>
    string Location { get; }

    /// <summary>Names in a directory, in no order; empty where the directory is missing.</summary>
    IReadOnlyList<string> List(StoreDirectory directory);

    /// <summary>Makes a new file, 0600, open for reading and writing.</summary>
    /// <exception cref="StoreException">Busy: it exists.</exception>
    IStoreFile Create(StoreDirectory directory, string name);

    /// <summary>Opens a file, without following a link.</summary>
    /// <param name="write">for writing too</param>
    /// <returns>null: no such file</returns>
    /// <exception cref="StoreException">OtherOwner; IO: not a regular file, or not readable.</exception>
    IStoreFile? TryOpen(StoreDirectory directory, string name, bool write = false);

    /// <summary>Renames within a directory.</summary>
    /// <param name="replace">false: an existing <paramref name="to"/> is Busy</param>
    void Rename(StoreDirectory directory, string from, string to, bool replace = true);

    /// <summary>Removes a file; one that is missing is no error.</summary>
    void Delete(StoreDirectory directory, string name);

    /// <summary>Makes the directory's names durable.</summary>
    void SyncDirectory(StoreDirectory directory);

    /// <summary>Takes the store's lock, shared (writers, readers) or exclusive (gc), without waiting.</summary>
    /// <returns>null: held by another; dispose to release</returns>
    IDisposable? TryLock(bool exclusive);

    /// <summary>Bytes that may still be written.</summary>
    long FreeBytes();
}

/// <summary>One file of a store. Any thread.</summary>
public interface IStoreFile : IDisposable
{
    /// <summary>Length now, bytes.</summary>
    long LengthBytes { get; }

    /// <summary>Whether many small reads cost about as much as a large one: a file of this machine's page cache, nothing behind a network.</summary>
    bool IsLocal => false;

    /// <summary>Reads at an offset.</summary>
    /// <returns>bytes read; fewer than asked only at the end of the file</returns>
    int ReadAt(long offsetBytes, Span<byte> into);

    /// <summary>Writes all bytes at an offset.</summary>
    /// <exception cref="StoreException">NoSpace, IO.</exception>
    void WriteAt(long offsetBytes, ReadOnlySpan<byte> bytes);

    /// <summary>Asks the system to begin writing back; promises nothing.</summary>
    void StartWriteback(long offsetBytes, long lengthBytes);

    /// <summary>Makes the content durable.</summary>
    void Sync();
}
