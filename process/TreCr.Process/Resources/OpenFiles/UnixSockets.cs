using TreCr.Linux;

namespace TreCr.Process.Resources;

/// <summary>All Unix sockets of this network namespace with their peers, which only sock_diag(7) tells. Source: linux/unix_diag.h.</summary>
internal sealed class UnixSockets
{
    private const int Name = 0, Vfs = 1, Peer = 2, Icons = 3, RqLen = 4, Shutdown = 6, ShowAll = 0x1f;

    private readonly Dictionary<ulong, UnixSocket> _all = [];

    public IEnumerable<UnixSocket> All => _all.Values;

    /// <summary>Null: not of this network namespace, or closed. One that the list has not is asked for by itself: where other programs of the machine open and close sockets meanwhile the kernel passes over some.</summary>
    public UnixSocket? this[ulong inode]
    {
        get
        {
            if (_all.TryGetValue(inode, out UnixSocket? known) || inode is 0 or > uint.MaxValue) return known;
            try { Ask((uint)inode); }
            catch (LinuxException) { } // ENOENT
            return _all.GetValueOrDefault(inode);
        }
    }

    /// <exception cref="LinuxException">the kernel has no sock_diag for Unix sockets</exception>
    public static UnixSockets Read()
    {
        UnixSockets sockets = new();
        sockets.Ask(0);
        return sockets;
    }

    /// <param name="inode">0: all</param>
    private void Ask(uint inode)
    {
        Span<byte> request = stackalloc byte[24]; // struct unix_diag_req
        request.Clear();
        request[0] = Sys.AF_UNIX;
        BitConverter.TryWriteBytes(request[4..], uint.MaxValue);
        BitConverter.TryWriteBytes(request[8..], inode);
        BitConverter.TryWriteBytes(request[12..], ShowAll);
        request[16..].Fill(0xff); // any cookie
        SocketDiagnosis.Ask(request, all: inode == 0, Add);
    }

    private void Add(ReadOnlySpan<byte> message)
    {
        UnixSocket socket = new() { Type = message[1], State = message[2], Inode = BitConverter.ToUInt32(message[4..]) };
        for (int at = 16; at + 4 <= message.Length;)
        {
            int length = BitConverter.ToUInt16(message[at..]);
            if (length < 4) break;
            ReadOnlySpan<byte> value = message.Slice(at + 4, length - 4);
            switch (BitConverter.ToUInt16(message[(at + 2)..]))
            {
                case Name: socket.Path = System.Text.Encoding.UTF8.GetString(value).Replace('\0', '@').TrimEnd('@'); break;
                case Vfs: socket.FileInode = BitConverter.ToUInt32(value); break;
                case Peer: (socket.HasPeer, socket.Peer) = (true, BitConverter.ToUInt32(value)); break;
                case Icons: for (int i = 0; i + 4 <= value.Length; i += 4) socket.Pending.Add(BitConverter.ToUInt32(value[i..])); break;
                case RqLen: (socket.Queued, socket.Backlog) = (BitConverter.ToUInt32(value), BitConverter.ToUInt32(value[4..])); break;
                case Shutdown: socket.Shutdown = value[0]; break;
            }
            at += length + 3 & ~3;
        }
        _all[socket.Inode] = socket;
    }
}

/// <summary>One Unix socket.</summary>
internal sealed class UnixSocket
{
    public const int Established = 1, Listen = 10;

    public int Type, State, Shutdown;
    public ulong Inode, Peer, FileInode;
    public bool HasPeer;
    public uint Queued, Backlog;

    /// <summary>For messages; an abstract name begins with @.</summary>
    public string Path = "";

    /// <summary>Listening: inodes of connecting sockets that nobody has accepted, oldest first.</summary>
    public List<ulong> Pending = [];
}
