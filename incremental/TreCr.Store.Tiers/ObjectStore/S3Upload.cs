namespace TreCr.Store.Tiers;

/// <summary>A file being written to an object store. Any thread.</summary>
/// <param name="keep">a temporary file: stays in memory until it is renamed</param>
internal sealed class S3Upload(S3Client client, string key, string path, bool keep) : IStoreFile
{
    /// <summary>S3 wants 5 MiB or more of each piece but the last, and at most 10,000 of them.</summary>
    private const int PartBytes = 8 << 20;

    private readonly Lock _lock = new();
    private readonly MemoryStream _tail = new();
    private readonly List<string> _tags = [];
    private string? _upload;
    private long _sent;
    private bool _done;

    /// <summary>What was written to a temporary file.</summary>
    internal ReadOnlyMemory<byte> Kept
    {
        get { lock (_lock) return _tail.ToArray(); }
    }

    public long LengthBytes
    {
        get { lock (_lock) return _sent + _tail.Length; }
    }

    public int ReadAt(long offsetBytes, Span<byte> into) => throw new StoreException(StoreErrorKind.IO, $"{path}: is being written");

    public void WriteAt(long offsetBytes, ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            if (_done || offsetBytes < _sent) throw new StoreException(StoreErrorKind.IO, $"{path}: what is written in an object store cannot be changed");
            _tail.Position = offsetBytes - _sent;
            _tail.Write(bytes);
            while (!keep && _tail.Length >= 2 * PartBytes) SendPart(PartBytes); // the last one is never empty
        }
    }

    public void StartWriteback(long offsetBytes, long lengthBytes) { }

    /// <summary>Makes the object exist.</summary>
    public void Sync()
    {
        lock (_lock)
        {
            if (keep || _done) return;
            if (_upload is null) client.Put(key, _tail.ToArray());
            else
            {
                SendPart((int)_tail.Length);
                client.Complete(key, _upload, _tags);
            }
            _done = true;
            _tail.SetLength(0);
            _tail.Capacity = 0;
        }
    }

    /// <summary>What was not synced never was.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_done || _upload is null) return;
            _done = true;
            try { client.Abort(key, _upload); }
            catch (StoreException) { } // a rule of the bucket removes it
        }
    }

    private void SendPart(int length)
    {
        _upload ??= client.Begin(key);
        _tags.Add(client.PutPart(key, _upload, _tags.Count + 1, _tail.GetBuffer().AsMemory(0, length)));
        byte[] rest = _tail.GetBuffer()[length..(int)_tail.Length];
        _tail.SetLength(0);
        _tail.Write(rest);
        _sent += length;
    }
}
