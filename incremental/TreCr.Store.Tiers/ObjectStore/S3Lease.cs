namespace TreCr.Store.Tiers;

/// <summary>
/// The lock of a store in an object store, which has none: who wants it writes an object of its own under <c>locks/</c>, then looks who else has one. Of two that write at once at least one sees the other, and both may
/// stand back. The lock of one that died counts until it is 24 hours old, by the server's clock; one that is held for longer is written again every hour.
/// </summary>
internal sealed class S3Lease : IDisposable
{
    private const string Directory = "locks/";
    private static readonly TimeSpan s_lifetime = TimeSpan.FromHours(24), s_renewal = TimeSpan.FromHours(1);

    private readonly S3Client _client;
    private readonly string _key;
    private readonly Timer _renewal;

    private S3Lease(S3Client client, string key)
    {
        (_client, _key) = (client, key);
        _renewal = new Timer(_ => Renew(), null, s_renewal, s_renewal);
    }

    /// <returns>null: held by another</returns>
    internal static S3Lease? TryTake(S3Client client, bool exclusive)
    {
        string name = $"{(exclusive ? "exclusive" : "shared")}-{Guid.NewGuid():n}";
        client.Put(Directory + name, default);
        bool free = false;
        try
        {
            free = true;
            foreach ((string other, DateTimeOffset written) in client.List(Directory))
            {
                if (other == name || (!exclusive && !other.StartsWith("exclusive-", StringComparison.Ordinal))) continue;
                if (client.ServerTime - written < s_lifetime) free = false;
                else if (exclusive) client.Delete(Directory + other);
            }
            return free ? new S3Lease(client, Directory + name) : null;
        }
        catch
        {
            free = false;
            throw;
        }
        finally
        {
            if (!free) Remove(client, Directory + name);
        }
    }

    public void Dispose()
    {
        using (ManualResetEvent ended = new(false))
            if (_renewal.Dispose(ended)) ended.WaitOne();
        Remove(_client, _key);
    }

    private static void Remove(S3Client client, string key)
    {
        try { client.Delete(key); }
        catch (StoreException) { } // counts for 24 hours
    }

    private void Renew()
    {
        try { _client.Put(_key, default); }
        catch (StoreException) { } // within 22 hours it works again, or the tier is lost to us
    }
}
