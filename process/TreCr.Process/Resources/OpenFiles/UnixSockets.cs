using TreCr.Linux;

namespace TreCr.Process.Resources;

/// <summary>All Unix sockets of this network namespace with their peers, which only sock_diag(7) tells. Source: linux/unix_diag.h.</summary>
internal sealed unsafe class UnixSockets
{
    private const int AF_NETLINK = 16, SOCK_RAW = 3, NETLINK_SOCK_DIAG = 4, SOCK_DIAG_BY_FAMILY = 20, NLM_F_REQUEST = 1, NLM_F_DUMP = 0x300, NLMSG_ERROR = 2, NLMSG_DONE = 3, RequestBytes = 40;
    private const int Name = 0, Vfs = 1, Peer = 2, Icons = 3, RqLen = 4, Shutdown = 6, ShowAll = 0x1f;

    private readonly Dictionary<ulong, UnixSocket> _all = [];

    public IEnumerable<UnixSocket> All => _all.Values;

    /// <summary>Null: not of this network namespace, or closed. One that the list has not is asked for by itself: where other programs of the machine open and close sockets meanwhile the kernel passes over some.</summary>
    public UnixSocket? this[ulong inode]
    {
        get
        {
            if (_all.TryGetValue(inode, out UnixSocket? known) || inode is 0 or > uint.MaxValue) return known;
            try { Ask(0, (uint)inode); }
            catch (LinuxException) { } // ENOENT
            return _all.GetValueOrDefault(inode);
        }
    }

    /// <exception cref="LinuxException">the kernel has no sock_diag for Unix sockets</exception>
    public static UnixSockets Read()
    {
        UnixSockets sockets = new();
        sockets.Ask(NLM_F_DUMP, 0);
        return sockets;
    }

    /// <param name="inode">where it is not all</param>
    private void Ask(int flags, uint inode)
    {
        int netlink = (int)Sys.Check(Sys.Socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG), "socket(NETLINK_SOCK_DIAG)");
        try
        {
            byte[] request = new byte[RequestBytes]; // struct nlmsghdr, struct unix_diag_req
            BitConverter.TryWriteBytes(request, request.Length);
            BitConverter.TryWriteBytes(request.AsSpan(4), (ushort)SOCK_DIAG_BY_FAMILY);
            BitConverter.TryWriteBytes(request.AsSpan(6), (ushort)(NLM_F_REQUEST | flags));
            request[16] = Sys.AF_UNIX;
            BitConverter.TryWriteBytes(request.AsSpan(20), uint.MaxValue);
            BitConverter.TryWriteBytes(request.AsSpan(24), inode);
            BitConverter.TryWriteBytes(request.AsSpan(28), ShowAll);
            request.AsSpan(32).Fill(0xff); // any cookie
            Sys.Check(Sys.SendTo(netlink, request), "send(NETLINK_SOCK_DIAG)");
            byte[] buffer = new byte[1 << 16];
            while (true)
            {
                long n = Sys.Check(Sys.Receive(netlink, buffer, default, out _), "receive(NETLINK_SOCK_DIAG)");
                for (int at = 0; at + 16 <= n;)
                {
                    int length = BitConverter.ToInt32(buffer, at), type = BitConverter.ToUInt16(buffer, at + 4);
                    if (type == NLMSG_DONE) return;
                    if (type == NLMSG_ERROR) throw new LinuxException("sock_diag", -BitConverter.ToInt32(buffer, at + 16), "Unix sockets");
                    if (length < 16) return;
                    Add(buffer.AsSpan(at + 16, length - 16));
                    at += length + 3 & ~3;
                }
                if (flags == 0) return; // one answer
            }
        }
        finally { Sys.Close(netlink); }
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
