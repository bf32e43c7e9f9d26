using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;
using TreCr.Process.Readouts;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>
/// tcp(7) and udp(7), both families. A TCP connection is saved when both ends are in the job (or the other is closed), with the unread bytes of both directions; it is
/// connected again over the loopback device with the same addresses, which needs no privilege. UDP sockets keep name, peer and unread datagrams of the job's own sockets.
/// </summary>
internal sealed class InternetSocketKind : OpenFileKind
{
    public const int AF_INET = 2, AF_INET6 = 10, SOCK_DGRAM = 2;
    private const int SOL_SOCKET = 1, SO_TYPE = 3, SO_PROTOCOL = 38, IPPROTO_TCP = 6, IPPROTO_UDP = 17, MSG_PEEK = 2, MSG_DONTWAIT = 0x40;

    public override DescriptorKind Kind => DescriptorKind.InternetSocket;

    public override bool Owns(OpenDescriptor d, ExternalObjects externals)
    {
        if (d.SocketDomain is not (AF_INET or AF_INET6)) return false;
        int fd = d.TryBorrow();
        int protocol = fd < 0 ? -1 : Sys.GetOption(fd, SOL_SOCKET, SO_PROTOCOL), type = fd < 0 ? -1 : Sys.GetOption(fd, SOL_SOCKET, SO_TYPE);
        Sys.Close(fd);
        return (type, protocol) is (Sys.SOCK_STREAM, IPPROTO_TCP) or (SOCK_DGRAM, IPPROTO_UDP);
    }

    public override void Check(IReadOnlyList<OpenDescriptor> uses, TreeCheck check)
    {
        TcpTable table = TcpTable.Read(uses);
        HashSet<ulong> inside = [.. uses.Select(d => d.LinkInode)];
        foreach (OpenDescriptor d in uses)
        {
            int fd = d.TryBorrow();
            if (fd < 0) continue;
            string what = $"{check.Where(d)} is {SocketNames.Describe(d)}";
            if (SocketOptions.Refusal(fd) is { } option) check.Add($"{what} that {option}");
            else if (Sys.GetOption(fd, SOL_SOCKET, SO_TYPE) == Sys.SOCK_STREAM)
            {
                TcpInfo info = TcpInfo.Of(fd);
                string local = SocketNames.Address(Sys.SocketName(fd)), remote = SocketNames.Address(Sys.SocketName(fd, peer: true));
                if (info.State == TcpInfo.SynSent) check.Add($"{what} that is being connected");
                else if (info.State == TcpInfo.Listen)
                {
                    if (table.All.Any(e => e.Inode == 0 && e.State == TcpInfo.Established && IsAt(e.Local, local) && !inside.Contains(table.Find(e.Remote, e.Local)?.Inode ?? 0)))
                        check.Add($"{what} to which a program outside the job is connecting");
                    else if (table.All.FirstOrDefault(e => e.IsOrphanToAccept && IsAt(e.Local, local)) is { } orphan) check.Add($"{what} with a connection that its client ({orphan.Remote}) has closed and nobody has accepted yet");
                }
                else if (info.IsConnection && Obstacle(table, inside, local, remote, info) is { } obstacle) check.Add($"{what} {obstacle}");
            }
            Sys.Close(fd);
        }
    }

    /// <summary>Why a connection cannot be saved.</summary>
    private static string? Obstacle(TcpTable table, HashSet<ulong> inside, string local, string remote, TcpInfo info)
    {
        TcpEntry? other = table.Find(remote, local);
        if (other is { Inode: not 0 }) return inside.Contains(other.Inode) ? null : "of a program outside the job";
        if (other is { Inode: 0, State: TcpInfo.Established }) // not accepted yet
            return !table.All.Any(l => l.State == TcpInfo.Listen && IsAt(remote, l.Local) && inside.Contains(l.Inode)) ? "of a program outside the job"
                : other.Unread > 0 ? "with data for a connection that nobody has accepted yet" : null;
        if (other is { Inode: 0, State: TcpInfo.FinWait1 } && info.State is not (TcpInfo.CloseWait or TcpInfo.LastAck or TcpInfo.Closing)) return "whose other end was closed with data under way";
        // The other end was closed: on this machine, else it may be there still.
        return info.State is TcpInfo.CloseWait or TcpInfo.LastAck or TcpInfo.FinWait1 or TcpInfo.FinWait2 or TcpInfo.Closing && IsLoopback(local, remote) ? null : ", which leaves the job";
    }

    private static bool IsLoopback(string local, string remote)
        => System.Net.IPEndPoint.TryParse(remote, out var r) && (System.Net.IPAddress.IsLoopback(r.Address) || System.Net.IPEndPoint.TryParse(local, out var l) && l.Address.Equals(r.Address));

    /// <summary>Whether a listening socket with the second name gets connections to the first.</summary>
    public static bool IsAt(string address, string listener)
        => System.Net.IPEndPoint.TryParse(address, out var a) && System.Net.IPEndPoint.TryParse(listener, out var l) && a.Port == l.Port
            && (a.Address.Equals(l.Address) || l.Address.Equals(System.Net.IPAddress.Any) || l.Address.Equals(System.Net.IPAddress.IPv6Any));

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table)
    {
        int fd = d.Borrow();
        try
        {
            byte[] name = Sys.SocketName(fd), peer = Sys.SocketName(fd, peer: true);
            SocketImage socket = to.Part().Socket = new SocketImage
            {
                Domain = (uint)d.SocketDomain, Type = (uint)Sys.GetOption(fd, SOL_SOCKET, SO_TYPE), Protocol = (uint)Sys.GetOption(fd, SOL_SOCKET, SO_PROTOCOL), Inode = d.LinkInode,
                Name = ByteString.CopyFrom(name is [_, _, 0, 0, ..] ? [] : name), PeerName = ByteString.CopyFrom(peer),
            };
            if (socket.Type == SOCK_DGRAM) socket.Connected = peer.Length > 0;
            else CaptureTcp(d, fd, socket, table, $"descriptor {d.Number} ({SocketNames.Describe(d)})");
            SocketOptions.Capture(fd, socket);
            if (socket.Type == SOCK_DGRAM) SocketMessages.Capture(fd, socket, ended: false, table);
        }
        finally { Sys.Close(fd); }
    }

    private static void CaptureTcp(OpenDescriptor d, int fd, SocketImage socket, OpenFileTable table, string what)
    {
        TcpInfo info = TcpInfo.Of(fd);
        string local = SocketNames.Address(socket.Name.Span), remote = SocketNames.Address(socket.PeerName.Span);
        (socket.Listening, socket.Backlog) = (info.State == TcpInfo.Listen, info.Backlog);
        if (socket.Listening)
        {
            TcpTable all = table.Tcp;
            foreach (TcpEntry e in all.All.Where(e => e.Inode == 0 && e.State == TcpInfo.Established && IsAt(e.Local, local)))
                if (all.Find(e.Remote, e.Local) is { Inode: not 0 } client) socket.Pending.Add(client.Inode);
            return;
        }
        // A connection that both ends have ended still has its last bytes and its end of file.
        bool ended = info.State == TcpInfo.Close && Sys.ReceiveMessage(fd, new byte[1], MSG_PEEK | MSG_DONTWAIT, default, out _, default, out _, out _) >= 0;
        if (!info.IsConnection && !ended) return;
        socket.Connected = true;
        TcpEntry? other = table.Tcp.Find(remote, local);
        (socket.Waits, socket.PeerClosed) = (other is { Inode: 0, State: TcpInfo.Established }, ended || other is null or { Inode: 0, State: not TcpInfo.Established });
        if (!socket.PeerClosed && !socket.Waits) socket.Peer = other!.Inode;
        socket.Shutdown = (info.SentEnd || ended ? 2u : 0) | (info.State is TcpInfo.CloseWait or TcpInfo.LastAck or TcpInfo.Closing || ended ? 1u : 0);
        if (Undelivered(fd, info, socket, table, what) is var waiting and > 0) table.Later(() => CaptureWaiting(d, waiting, socket, table, what));
        else Look(fd, socket, what);
    }

    private static void Look(int fd, SocketImage socket, string what)
    {
        int unread = Sys.BytesToRead(fd);
        if (unread == 0) return;
        byte[] data = new byte[unread];
        long n = Sys.Check(Sys.ReceiveMessage(fd, data, MSG_PEEK | MSG_DONTWAIT, default, out _, default, out _, out _), "recv(MSG_PEEK)", what);
        socket.Messages.Add(new MessageImage { Data = ByteString.CopyFrom(data, 0, (int)n) });
    }

    /// <summary>What the other end has written and this one has not got yet, bytes: on the loopback device that is only what waits for room, or for an acknowledgement (Nagle's algorithm).</summary>
    private static uint Undelivered(int fd, TcpInfo info, SocketImage socket, OpenFileTable table, string what)
    {
        const int HandOverMs = 2_000;
        if (socket.Peer == 0) return 0;
        int other = table.BorrowSocket(socket.Peer);
        if (other < 0) throw new ProcessException($"{what}: its other end cannot be looked at");
        try
        {
            TcpInfo there = TcpInfo.Of(other);
            long UnderWay() => there.Sent + (there.SentEnd ? 1 : 0) - info.Received; // the end counts as one
            for (long end = Environment.TickCount64 + HandOverMs; there.Unsent == 0 && UnderWay() != 0 && Environment.TickCount64 < end;)
            {
                Thread.Sleep(1); // a segment that the kernel is just handing over: at once, or by ksoftirqd, which has to wait for a processor
                (there, info) = (TcpInfo.Of(other), TcpInfo.Of(fd));
            }
            if (there.Unsent == 0 && UnderWay() != 0) throw new RefusedException([$"{what} has {UnderWay()} bytes under way: checkpoint again"]);
            return there.Unsent;
        }
        finally { Sys.Close(other); }
    }

    /// <summary>Has init make room at this end, so that what waits at the other comes here, and looks at all of it.</summary>
    /// <exception cref="RefusedException">there is more than this system lets a connection hold at its reader</exception>
    private static void CaptureWaiting(OpenDescriptor d, uint waiting, SocketImage socket, OpenFileTable table, string what)
    {
        int fd = d.Borrow(), other = table.BorrowSocket(socket.Peer);
        try
        {
            table.Readouts.Ask(ReadoutProtocol.TcpRoom, BitConverter.GetBytes(Sys.BytesToRead(fd) + (int)waiting), fd, other);
            if (TcpInfo.Of(other).Unsent is var left and > 0)
                throw new RefusedException([$"{what} has {left} bytes under way for which its reader has no room, and this system permits no more (sysctl net.ipv4.tcp_rmem): checkpoint again when it has read on"]);
            Look(fd, socket, what);
        }
        finally
        {
            Sys.Close(fd);
            Sys.Close(other);
        }
    }

    public override void Open(OpenFileImage image, OpenFileRestore files)
    {
        SocketImage socket = image.Object.Socket;
        if (socket.Connected && !socket.Waits && socket.Type == Sys.SOCK_STREAM)
        {
            TcpPairs.Open(image, files);
            return;
        }
        int fd = TcpPairs.Make(socket, connects: socket.Waits);
        if (socket.Listening) Sys.Check(Sys.Raw(SyscallNumber.Listen, fd, socket.Backlog), "listen", SocketNames.Address(socket.Name.Span));
        files.Set(image, fd);
        if (!socket.Waits) OpenFileRestore.SetStatusFlags(fd, image.Flags);
    }

    public override void Finish(OpenFileImage image, OpenFileRestore files)
    {
        SocketImage socket = image.Object.Socket;
        int fd = files.Get(image);
        if (socket.Type == SOCK_DGRAM)
        {
            foreach (MessageImage message in socket.Messages)
            {
                // A datagram of somebody outside is lost, as datagrams may be.
                OpenFileImage? sender = files.Tree.OpenFiles.FirstOrDefault(o => o.Object?.Socket is { Type: SOCK_DGRAM } s && s.Domain != Sys.AF_UNIX && SocketNames.Address(s.Name.Span) == SocketNames.Address(message.Source.Span));
                if (sender is not null) Sys.SendTo(files.Get(sender), message.Data.Span, MSG_DONTWAIT, socket.Name.Span);
            }
            if (socket.Connected) Sys.Connect(fd, socket.PeerName.Span);
        }
        else if (socket.Listening)
        {
            foreach (ulong waiting in socket.Pending)
                if (files.Tree.OpenFiles.FirstOrDefault(o => o.Object?.Socket is { Waits: true } s && s.Inode == waiting) is { } client)
                {
                    TcpPairs.Connect(files.Get(client), client.Object.Socket, client.Object.Socket.PeerName.Span);
                    OpenFileRestore.SetStatusFlags(files.Get(client), client.Flags);
                }
        }
        else if (socket.Connected && !socket.Waits) TcpPairs.Finish(image, files);
        SocketOptions.Restore(fd, socket, last: true);
    }
}
