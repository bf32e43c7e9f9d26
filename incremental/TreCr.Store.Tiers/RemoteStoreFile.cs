namespace TreCr.Store.Tiers;

/// <summary>An open file of a <see cref="RemoteStoreFiles"/>. Any thread.</summary>
internal sealed class RemoteStoreFile(RemoteStoreFiles files, int handle) : IStoreFile
{
    private int _closed;

    public long LengthBytes => files.Ask(AgentCall.Length, w => w.Put(handle), w => w.TakeLong());

    public int ReadAt(long offsetBytes, Span<byte> into)
    {
        int done = 0;
        while (done < into.Length)
        {
            int wanted = Math.Min(into.Length - done, AgentWire.MaxTransferBytes), n = files.Read(handle, offsetBytes + done, into.Slice(done, wanted));
            done += n;
            if (n < wanted) break;
        }
        return done;
    }

    public void WriteAt(long offsetBytes, ReadOnlySpan<byte> bytes)
    {
        for (int at = 0; at < bytes.Length; at += AgentWire.MaxTransferBytes)
            files.Write(handle, offsetBytes + at, bytes.Slice(at, Math.Min(bytes.Length - at, AgentWire.MaxTransferBytes)));
    }

    public void StartWriteback(long offsetBytes, long lengthBytes) => files.Ask(AgentCall.StartWriteback, w => w.Put(handle).Put(offsetBytes).Put(lengthBytes), _ => 0);

    public void Sync() => files.Ask(AgentCall.Sync, w => w.Put(handle), _ => 0);

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _closed, 1) == 0) files.LetGo(AgentCall.Close, handle);
    }
}
