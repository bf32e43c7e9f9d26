namespace TreCr.Store.Tiers;

/// <summary>An object being read. Frames stand in packs about as they are asked for: what follows is read with them. Any thread.</summary>
internal sealed class S3Object(S3Client client, string key, string tag, long lengthBytes) : IStoreFile
{
    private const int AheadBytes = 4 << 20;

    private readonly Lock _lock = new();
    private byte[] _ahead = [];
    private long _aheadAt = -1;

    public long LengthBytes => lengthBytes;

    public int ReadAt(long offsetBytes, Span<byte> into)
    {
        int length = (int)Math.Clamp(lengthBytes - offsetBytes, 0, into.Length);
        if (length == 0) return 0;
        lock (_lock)
        {
            if (_aheadAt < 0 || offsetBytes < _aheadAt || offsetBytes + length > _aheadAt + _ahead.Length)
            {
                // A header alone is read alone.
                byte[] bytes = new byte[offsetBytes == 0 || length >= AheadBytes ? length : (int)Math.Min(AheadBytes, lengthBytes - offsetBytes)];
                client.Get(key, tag, offsetBytes, bytes);
                (_ahead, _aheadAt) = (bytes, offsetBytes);
            }
            _ahead.AsSpan((int)(offsetBytes - _aheadAt), length).CopyTo(into);
        }
        return length;
    }

    public void WriteAt(long offsetBytes, ReadOnlySpan<byte> bytes) => throw new StoreException(StoreErrorKind.IO, $"{key}: is open for reading");

    public void StartWriteback(long offsetBytes, long lengthBytes) { }

    public void Sync() { }

    public void Dispose() => _ahead = [];
}
