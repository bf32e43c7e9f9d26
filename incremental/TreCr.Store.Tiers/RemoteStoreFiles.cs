using TreCr.Linux;

namespace TreCr.Store.Tiers;

/// <summary>The files of a store on another node, which a <see cref="StoreAgent"/> there serves through a Unix socket (of this node, or one that ssh brings here).</summary>
public sealed class RemoteStoreFiles : IStoreFiles
{
    /// <summary>A disk that is asked to sync may take long; an agent that says nothing for so long is lost.</summary>
    private const int AnswerMs = 120_000;

    private readonly Lock _lock = new();
    private readonly AgentWire _wire;
    private bool _lost;

    private RemoteStoreFiles(AgentWire wire, string location) => (_wire, Location) = (wire, location);

    /// <inheritdoc/>
    public string Location { get; }

    /// <summary>Connects to an agent.</summary>
    /// <param name="socketPath">at most 107 bytes</param>
    /// <exception cref="StoreException">IO: nobody serves there. OtherOwner: another user does.</exception>
    public static RemoteStoreFiles Connect(string socketPath)
    {
        string where = $"{StorePolicy.AgentPrefix}{socketPath}";
        int fd;
        try { fd = Sys.ConnectUnix(socketPath, Sys.SOCK_STREAM); }
        catch (LinuxException e) { throw new StoreException(StoreErrorKind.IO, $"{where}: {e.Message}", e); }
        if (fd < 0) throw new StoreException(StoreErrorKind.IO, $"{where}: no agent answers: {Errno.Describe(-fd)}");
        uint user = Sys.PeerCredentials(fd).Uid;
        if (user != Sys.EffectiveUserId() && user != 0)
        {
            Sys.Close(fd);
            throw new StoreException(StoreErrorKind.OtherOwner, $"{where}: the agent is user {user}'s");
        }
        RemoteStoreFiles files = new(new AgentWire(fd), where);
        try
        {
            files.Ask(AgentCall.Hello, w => w.Put(AgentWire.Version), w => w.TakeText());
            return files;
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> List(StoreDirectory directory) => Ask(AgentCall.List, w => w.Put((byte)directory), w =>
    {
        string[] names = new string[Math.Min(w.TakeInt(), AgentWire.MaxMessageBytes)];
        for (int i = 0; i < names.Length; i++) names[i] = w.TakeText();
        return names;
    });

    /// <inheritdoc/>
    public IStoreFile Create(StoreDirectory directory, string name)
        => new RemoteStoreFile(this, Ask(AgentCall.Create, w => w.Put((byte)directory).Put(name), w => w.TakeInt()));

    /// <inheritdoc/>
    public IStoreFile? TryOpen(StoreDirectory directory, string name, bool write = false)
    {
        int handle = Ask(AgentCall.Open, w => w.Put((byte)directory).Put((byte)(write ? 1 : 0)).Put(name), w => w.TakeInt());
        return handle < 0 ? null : new RemoteStoreFile(this, handle);
    }

    /// <inheritdoc/>
    public void Rename(StoreDirectory directory, string from, string to, bool replace = true)
        => Ask(AgentCall.Rename, w => w.Put((byte)directory).Put((byte)(replace ? 1 : 0)).Put(from).Put(to), _ => 0);

    /// <inheritdoc/>
    public void Delete(StoreDirectory directory, string name) => Ask(AgentCall.Delete, w => w.Put((byte)directory).Put(name), _ => 0);

    /// <inheritdoc/>
    public void SyncDirectory(StoreDirectory directory) => Ask(AgentCall.SyncDirectory, w => w.Put((byte)directory), _ => 0);

    /// <inheritdoc/>
    public IDisposable? TryLock(bool exclusive)
    {
        int handle = Ask(AgentCall.Lock, w => w.Put((byte)(exclusive ? 1 : 0)), w => w.TakeInt());
        return handle < 0 ? null : new RemoteLease(this, handle);
    }

    /// <inheritdoc/>
    public long FreeBytes() => Ask(AgentCall.FreeBytes, _ => { }, w => w.TakeLong());

    public void Dispose()
    {
        _lost = true;
        _wire.Shutdown();
        lock (_lock) _wire.Dispose();
    }

    /// <summary>Asks without an answer that matters: the agent lets everything go when the connection ends.</summary>
    internal void LetGo(AgentCall call, int handle)
    {
        if (_lost) return;
        try { Ask(call, w => w.Put(handle), _ => 0); }
        catch (StoreException) { }
    }

    internal T Ask<T>(AgentCall call, Action<AgentWire> request, Func<AgentWire, T> answer)
    {
        lock (_lock)
        {
            if (_lost) throw Lost();
            request(_wire.Begin((byte)call));
            if (!_wire.Send() || !_wire.Receive(AnswerMs)) { _lost = true; throw Lost(); }
            try
            {
                byte status = _wire.TakeByte();
                if (status != 0) throw new StoreException((StoreErrorKind)(status - 1), $"{Location}: {_wire.TakeText()}");
                return answer(_wire);
            }
            catch (InvalidDataException)
            {
                _lost = true;
                throw new StoreException(StoreErrorKind.IO, $"{Location}: the agent's answer is no answer");
            }
        }
    }

    /// <summary>A request whose answer is a span.</summary>
    internal int Read(int handle, long offsetBytes, Span<byte> into)
    {
        lock (_lock)
        {
            if (_lost) throw Lost();
            _wire.Begin((byte)AgentCall.Read).Put(handle).Put(offsetBytes).Put(into.Length);
            if (!_wire.Send() || !_wire.Receive(AnswerMs)) { _lost = true; throw Lost(); }
            byte status = _wire.TakeByte();
            if (status != 0) throw new StoreException((StoreErrorKind)(status - 1), $"{Location}: {_wire.TakeText()}");
            ReadOnlySpan<byte> bytes = _wire.TakeRest();
            if (bytes.Length > into.Length) throw new StoreException(StoreErrorKind.IO, $"{Location}: the agent's answer is no answer");
            bytes.CopyTo(into);
            return bytes.Length;
        }
    }

    internal void Write(int handle, long offsetBytes, ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            if (_lost) throw Lost();
            _wire.Begin((byte)AgentCall.Write).Put(handle).Put(offsetBytes).Put(bytes);
            if (!_wire.Send() || !_wire.Receive(AnswerMs)) { _lost = true; throw Lost(); }
            byte status = _wire.TakeByte();
            if (status != 0) throw new StoreException((StoreErrorKind)(status - 1), $"{Location}: {_wire.TakeText()}");
        }
    }

    private StoreException Lost() => new(StoreErrorKind.IO, $"{Location}: the agent is gone");

    private sealed class RemoteLease(RemoteStoreFiles files, int handle) : IDisposable
    {
        public void Dispose() => files.LetGo(AgentCall.Unlock, handle);
    }
}
