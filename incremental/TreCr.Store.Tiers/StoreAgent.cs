using TreCr.Linux;

namespace TreCr.Store.Tiers;

/// <summary>
/// Serves one directory of this node as the place of a tier to others of the same user: <c>trecr agent</c>. It keeps no state of its own; what a connection had open or locked goes with the
/// connection. Another user is turned away (SO_PEERCRED). For another node, ssh brings the socket there.
/// </summary>
public sealed class StoreAgent : IDisposable
{
    private const int MaxConnections = 64, MaxFiles = 100_000, MaxNameBytes = 200;

    private readonly string _directory;
    private readonly int _listener;
    private int _connections;

    /// <param name="socketPath">made here, 0600 by its directory; one of a dead agent is replaced</param>
    /// <exception cref="StoreException">the directory cannot be used. Busy: an agent serves there.</exception>
    public StoreAgent(string directory, string socketPath)
    {
        _directory = directory;
        LinuxStoreFiles.Open(directory, create: true, trustOtherOwner: false).Dispose();
        int other = Sys.ConnectUnix(socketPath, Sys.SOCK_STREAM);
        if (other >= 0)
        {
            Sys.Close(other);
            throw new StoreException(StoreErrorKind.Busy, $"{socketPath}: an agent serves there already");
        }
        if (other == -Errno.ECONNREFUSED) File.Delete(socketPath);
        try { _listener = Sys.ListenUnix(socketPath, Sys.SOCK_STREAM); }
        catch (LinuxException e) { throw new StoreException(StoreErrorKind.IO, $"{socketPath}: {e.Message}", e); }
        File.SetUnixFileMode(socketPath, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    /// <summary>Serves until <see cref="Dispose"/>.</summary>
    public void Run()
    {
        while (true)
        {
            int socket = Sys.Accept(_listener);
            if (socket < 0) return;
            uint user = Sys.PeerCredentials(socket).Uid;
            if ((user != Sys.EffectiveUserId() && user != 0) || Interlocked.Increment(ref _connections) > MaxConnections)
            {
                Sys.Close(socket);
                continue;
            }
            new Thread(() => Serve(socket)) { IsBackground = true, Name = "trecr-agent" }.Start();
        }
    }

    public void Dispose()
    {
        Sys.ShutdownBoth(_listener);
        Sys.Close(_listener);
    }

    private void Serve(int socket)
    {
        try
        {
            using AgentWire wire = new(socket);
            using Connection connection = new(_directory);
            while (wire.Receive(-1))
            {
                try { connection.Answer(wire); }
                catch (StoreException e) { wire.Begin((byte)(1 + (int)e.Kind)).Put(e.Message); }
                if (!wire.Send()) return;
            }
        }
        catch (Exception e) when (e is InvalidDataException or StoreException or LinuxException) { } // no peer of ours, or the directory has gone: it hears that the connection ended
        finally { Interlocked.Decrement(ref _connections); }
    }

    private sealed class Connection(string directory) : IDisposable
    {
        private readonly LinuxStoreFiles _files = LinuxStoreFiles.Open(directory, create: true, trustOtherOwner: false);
        private readonly Dictionary<int, IStoreFile> _open = [];
        private readonly Dictionary<int, IDisposable> _leases = [];
        private int _last;

        /// <exception cref="InvalidDataException">no request</exception>
        internal void Answer(AgentWire wire)
        {
            AgentCall call = (AgentCall)wire.TakeByte();
            switch (call)
            {
                case AgentCall.Hello:
                    int version = wire.TakeInt();
                    if (version != AgentWire.Version) throw new StoreException(StoreErrorKind.NewerFormat, $"this agent speaks version {AgentWire.Version}, not {version}");
                    wire.Begin(0).Put(_files.Location);
                    return;
                case AgentCall.List:
                    IReadOnlyList<string> names = _files.List(Directory(wire));
                    wire.Begin(0).Put(names.Count);
                    foreach (string n in names) wire.Put(n);
                    return;
                case AgentCall.Create:
                    StoreDirectory into = Directory(wire);
                    string created = Name(wire);
                    wire.Begin(0).Put(Keep(_files.Create(into, created)));
                    return;
                case AgentCall.Open:
                    StoreDirectory at = Directory(wire);
                    bool write = wire.TakeByte() != 0;
                    IStoreFile? opened = _files.TryOpen(at, Name(wire), write);
                    wire.Begin(0).Put(opened is null ? -1 : Keep(opened));
                    return;
                case AgentCall.Rename:
                    StoreDirectory within = Directory(wire);
                    bool replace = wire.TakeByte() != 0;
                    string from = Name(wire), to = Name(wire);
                    _files.Rename(within, from, to, replace);
                    break;
                case AgentCall.Delete:
                    StoreDirectory of = Directory(wire);
                    _files.Delete(of, Name(wire));
                    break;
                case AgentCall.SyncDirectory: _files.SyncDirectory(Directory(wire)); break;
                case AgentCall.Lock:
                    IDisposable? lease = _files.TryLock(wire.TakeByte() != 0);
                    if (lease is not null) _leases.Add(++_last, lease);
                    wire.Begin(0).Put(lease is null ? -1 : _last);
                    return;
                case AgentCall.Unlock:
                    if (_leases.Remove(wire.TakeInt(), out IDisposable? released)) released.Dispose();
                    break;
                case AgentCall.FreeBytes:
                    wire.Begin(0).Put(_files.FreeBytes());
                    return;
                case AgentCall.Length:
                    wire.Begin(0).Put(File(wire).LengthBytes);
                    return;
                case AgentCall.Read:
                    Read(wire);
                    return;
                case AgentCall.Write:
                    IStoreFile file = File(wire);
                    long offset = wire.TakeLong();
                    if (offset < 0) throw new InvalidDataException("offset");
                    file.WriteAt(offset, wire.TakeRest());
                    break;
                case AgentCall.StartWriteback:
                    file = File(wire);
                    offset = wire.TakeLong();
                    file.StartWriteback(offset, wire.TakeLong());
                    break;
                case AgentCall.Sync: File(wire).Sync(); break;
                case AgentCall.Close:
                    if (_open.Remove(wire.TakeInt(), out IStoreFile? closed)) closed.Dispose();
                    break;
                default: throw new InvalidDataException("call");
            }
            wire.Begin(0);
        }

        private void Read(AgentWire wire)
        {
            IStoreFile file = File(wire);
            long offset = wire.TakeLong();
            int length = wire.TakeInt();
            if (offset < 0 || length is < 0 or > AgentWire.MaxTransferBytes) throw new InvalidDataException("read");
            Span<byte> room = wire.Begin(0).Room(length);
            wire.Shorten(length - file.ReadAt(offset, room));
        }

        public void Dispose()
        {
            foreach (IStoreFile file in _open.Values) file.Dispose();
            foreach (IDisposable lease in _leases.Values) lease.Dispose();
            _files.Dispose();
        }

        private int Keep(IStoreFile file)
        {
            if (_open.Count >= MaxFiles)
            {
                file.Dispose();
                throw new StoreException(StoreErrorKind.IO, "too many open files");
            }
            _open.Add(++_last, file);
            return _last;
        }

        private IStoreFile File(AgentWire wire) => _open.GetValueOrDefault(wire.TakeInt()) ?? throw new InvalidDataException("handle");

        private static StoreDirectory Directory(AgentWire wire) => wire.TakeByte() is var d && d <= (byte)StoreDirectory.Checkpoints ? (StoreDirectory)d : throw new InvalidDataException("directory");

        private static string Name(AgentWire wire)
        {
            string name = wire.TakeText();
            return name.Length is > 0 and <= MaxNameBytes && name is not ("." or "..") && !name.Contains('/') && !name.Contains('\0') ? name : throw new InvalidDataException("name");
        }
    }
}
