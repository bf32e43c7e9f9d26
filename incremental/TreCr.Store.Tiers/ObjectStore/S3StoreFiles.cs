namespace TreCr.Store.Tiers;

/// <summary>
/// The files of a store in an object store: PREFIX/DIRECTORY/NAME. A name appears with all of its bytes: small files by one request, packs in pieces of 8 MiB that are put together at
/// <see cref="IStoreFile.Sync"/>. Temporary files are kept here until they are renamed, so that a rename is a write. What a killed upload has left is invisible; a rule of the bucket removes it (docs/tiers.md).
/// </summary>
/// <remarks>Any thread. Written is in ascending order of offsets, which copies between tiers do.</remarks>
public sealed class S3StoreFiles : IStoreFiles
{
    /// <summary>For one attempt of one request, of 8 MiB at the most.</summary>
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, S3Upload> _temporary = [];
    private readonly S3Client _client;

    private S3StoreFiles(S3Client client, string location) => (_client, Location) = (client, location);

    /// <inheritdoc/>
    public string Location { get; }

    /// <summary>Opens a place; asks nothing yet.</summary>
    /// <param name="limit">for each attempt of a request; null: 60 s</param>
    /// <exception cref="StoreException">no credentials</exception>
    public static S3StoreFiles Open(S3Place place, TimeSpan? limit = null) => new(new S3Client(place, limit ?? s_limit), $"{place}".TrimEnd('/'));

    /// <inheritdoc/>
    public IReadOnlyList<string> List(StoreDirectory directory)
    {
        List<string> names = [.. _client.List(Key(directory, "")).Select(o => o.Name)];
        if (directory == StoreDirectory.Root) names.Remove("lock");
        return names;
    }

    /// <inheritdoc/>
    public IStoreFile Create(StoreDirectory directory, string name)
    {
        string key = Key(directory, name);
        if (!IsTemporary(name))
        {
            if (_client.Head(key) is not null) throw new StoreException(StoreErrorKind.Busy, $"{Location}/{key}: exists already");
            return new S3Upload(_client, key, $"{Location}/{key}", keep: false);
        }
        S3Upload file = new(_client, key, $"{Location}/{key}", keep: true);
        lock (_lock)
        {
            if (!_temporary.TryAdd(key, file)) throw new StoreException(StoreErrorKind.Busy, $"{Location}/{key}: exists already");
        }
        return file;
    }

    /// <inheritdoc/>
    public IStoreFile? TryOpen(StoreDirectory directory, string name, bool write = false)
    {
        if (write) throw new StoreException(StoreErrorKind.IO, $"{Location}/{Key(directory, name)}: what is written in an object store cannot be changed");
        string key = Key(directory, name);
        return _client.Head(key) is { } found ? new S3Object(_client, key, found.Tag, found.LengthBytes) : null;
    }

    /// <inheritdoc/>
    public void Rename(StoreDirectory directory, string from, string to, bool replace = true)
    {
        string key = Key(directory, to);
        S3Upload? file;
        lock (_lock) _temporary.Remove(Key(directory, from), out file);
        if (file is null) throw new StoreException(StoreErrorKind.NotFound, $"{Location}/{Key(directory, from)}: missing");
        if (!replace && _client.Head(key) is not null) throw new StoreException(StoreErrorKind.Busy, $"{Location}/{key}: exists already");
        _client.Put(key, file.Kept, onlyNew: !replace);
    }

    /// <inheritdoc/>
    public void Delete(StoreDirectory directory, string name)
    {
        string key = Key(directory, name);
        lock (_lock)
        {
            if (_temporary.Remove(key)) return;
        }
        _client.Delete(key);
    }

    /// <inheritdoc/>
    public void SyncDirectory(StoreDirectory directory) { } // what was answered is durable

    /// <inheritdoc/>
    public IDisposable? TryLock(bool exclusive) => S3Lease.TryTake(_client, exclusive);

    /// <inheritdoc/>
    public long FreeBytes() => 1L << 60; // an object store tells no end

    public void Dispose() => _client.Dispose();

    private static bool IsTemporary(string name) => name.StartsWith(".tmp-", StringComparison.Ordinal);

    private static string Key(StoreDirectory directory, string name) => directory == StoreDirectory.Root ? name : $"{directory.ToString().ToLowerInvariant()}/{name}";
}
