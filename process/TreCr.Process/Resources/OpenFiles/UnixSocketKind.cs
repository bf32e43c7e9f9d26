using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>
/// unix(7): pairs, listening and connected sockets, datagrams; abstract and path names; what was sent and not received, descriptors under way included. Both ends are in
/// the tree, or the other is closed. SO_PEERCRED of a restored connection names the engine's pid, with the right user.
/// </summary>
internal sealed class UnixSocketKind : OpenFileKind
{
    private const int SOL_SOCKET = 1, SO_TYPE = 3, SO_PROTOCOL = 38, SOCK_DGRAM = 2, SOCK_NONBLOCK = 0x800, TIOCOUTQ = 0x5411, SHUT_RD = 0, SHUT_WR = 1;

    public override DescriptorKind Kind => DescriptorKind.UnixSocket;

    public override bool Owns(OpenDescriptor d, ExternalObjects externals) => d.SocketDomain == Sys.AF_UNIX;

    public override void Check(IReadOnlyList<OpenDescriptor> uses, TreeCheck check)
    {
        UnixSockets sockets;
        try { sockets = UnixSockets.Read(); }
        catch (LinuxException e)
        {
            foreach (OpenDescriptor d in uses) check.Add($"{check.Where(d)} is a Unix socket, and the other end cannot be found here ({e.Message})");
            return;
        }
        HashSet<ulong> inside = [.. uses.Select(d => d.LinkInode)];
        HashSet<ulong> pending = [.. inside.SelectMany(i => sockets[i]?.Pending ?? [])];
        foreach (OpenDescriptor d in uses)
        {
            if (sockets[d.LinkInode] is not { } s) { check.Add($"{check.Where(d)} is a Unix socket of another network namespace"); continue; }
            string what = $"{check.Where(d)} is a Unix socket{(s.Path.Length > 0 ? " " + s.Path : "")}";
            int fd = d.TryBorrow();
            if (fd < 0) continue;
            if (SocketOptions.Refusal(fd) is { } option) check.Add($"{what} that {option}");
            if (s.State == UnixSocket.Listen && s.Pending.Any(p => !inside.Contains(p))) check.Add($"{what} to which a program outside the job is connecting");
            else if (s.Type != SOCK_DGRAM && s.State == UnixSocket.Established && s.Peer != 0 && !inside.Contains(s.Peer))
                check.Add($"{what} connected to {PathOf(sockets[s.Peer])}a program outside the job");
            else if (sockets.All.FirstOrDefault(l => l.Pending.Contains(s.Inode) && !inside.Contains(l.Inode)) is { } foreign)
                check.Add($"{what} connected to {PathOf(foreign)}a program outside the job");
            else if (s.Type == SOCK_DGRAM && s.Peer != 0 && !inside.Contains(s.Peer) && sockets[s.Peer]?.Path is not { Length: > 0 })
                check.Add($"{what} connected to a program outside the job");
            else if (pending.Contains(d.LinkInode) && Outstanding(fd) > 0) check.Add($"{what} with data for a connection that nobody has accepted yet ({d.Link})");
            Sys.Close(fd);
        }
    }

    private static string PathOf(UnixSocket? s) => s is { Path.Length: > 0 } ? s.Path + " of " : "";

    /// <summary>Bytes that were sent and not received.</summary>
    public static unsafe int Outstanding(int fd)
    {
        int n = 0;
        Sys.Raw(SyscallNumber.Ioctl, fd, TIOCOUTQ, (long)&n);
        return n;
    }

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table)
    {
        int fd = d.Borrow();
        try
        {
            UnixSocket s = table.UnixSockets[d.LinkInode] ?? throw new ProcessException($"descriptor {d.Number}: the kernel does not list this Unix socket");
            byte[] name = Sys.SocketName(fd), peer = Sys.SocketName(fd, peer: true);
            SocketImage socket = to.Part().Socket = new SocketImage
            {
                Domain = Sys.AF_UNIX, Type = (uint)Sys.GetOption(fd, SOL_SOCKET, SO_TYPE), Protocol = (uint)Sys.GetOption(fd, SOL_SOCKET, SO_PROTOCOL), Inode = d.LinkInode, Peer = s.Peer,
                Connected = s.Type == SOCK_DGRAM ? s.HasPeer : s.State == UnixSocket.Established, Listening = s.State == UnixSocket.Listen, Backlog = s.Backlog,
                Name = ByteString.CopyFrom(name.Length > 2 ? name : []), PeerName = ByteString.CopyFrom(peer.Length > 2 ? peer : []), Shutdown = (uint)s.Shutdown,
                Directory = Sys.ReadLink($"/proc/{d.Pid}/cwd") ?? "/",
            };
            socket.Pending.AddRange(s.Pending);
            if (UnixNames.PathOf(socket) is { } path)
            {
                ObjectStatus? there = Sys.TryStatus(path, follow: false);
                socket.NameGone = there is not { IsSocket: true } || there.Value.Inode != s.FileInode;
                if (!socket.NameGone) socket.NameMode = there!.Value.Mode & 0xfff;
            }
            SocketOptions.Capture(fd, socket);
            if (!socket.Listening) SocketMessages.Capture(fd, socket, ended: (s.Shutdown & 1) != 0, table);
        }
        finally { Sys.Close(fd); }
    }

    public override IEnumerable<string> CheckRestore(OpenFileImage image, SavedTree tree) => UnixNames.CheckRestore(image.Object.Socket);

    public override void Open(OpenFileImage image, OpenFileRestore files)
    {
        SocketImage socket = image.Object.Socket;
        OpenFileImage? peer = PeerOf(image, files);
        bool waits = files.Tree.OpenFiles.Any(o => o.Object?.Socket is { Listening: true } l && l.Pending.Contains(socket.Inode));
        bool pair = socket.Type == SOCK_DGRAM ? peer?.Object.Socket.Peer == socket.Inode && socket.Peer != 0 : socket.Connected && !waits;
        if (pair) OpenPair(image, peer, files);
        else
        {
            int fd = (int)Sys.Check(Sys.Socket(Sys.AF_UNIX, (int)socket.Type, (int)socket.Protocol), "socket");
            SocketOptions.Restore(fd, socket);
            if (socket.Name.Length > 0) UnixNames.Bind(fd, socket);
            if (socket.Listening) Sys.Check(Sys.Raw(SyscallNumber.Listen, fd, socket.Backlog), "listen", image.Link);
            files.Set(image, fd);
            OpenFileRestore.SetStatusFlags(fd, image.Flags);
        }
    }

    private static OpenFileImage? PeerOf(OpenFileImage image, OpenFileRestore files)
        => image.Object.Socket.Peer == 0 ? null : files.Tree.OpenFiles.FirstOrDefault(o => o.Object?.Socket is { } s && s.Inode == image.Object.Socket.Peer && s.Domain == Sys.AF_UNIX);

    /// <summary>Two connected ends. Where one of them has a name it got that from the listening socket that accepted it, so it is accepted again.</summary>
    private static void OpenPair(OpenFileImage image, OpenFileImage? peer, OpenFileRestore files)
    {
        SocketImage one = image.Object.Socket;
        SocketImage? two = peer?.Object.Socket;
        OpenFileImage? Listener(SocketImage? s) => s is null || s.Name.Length == 0 ? null : files.Tree.OpenFiles.FirstOrDefault(o => o.Object?.Socket is { Listening: true } l && l.Name == s.Name);
        int a, b;
        if (one.Type == SOCK_DGRAM || one.Name.Length == 0 && two is not { Name.Length: > 0 })
        {
            (a, b) = Sys.SocketPair((int)one.Type);
            SocketOptions.Restore(a, one);
            if (two is not null) SocketOptions.Restore(b, two);
            if (one.Name.Length > 0) UnixNames.Bind(a, one);
            if (two is { Name.Length: > 0 }) UnixNames.Bind(b, two);
        }
        else
        {
            bool firstServes = Listener(one) is not null || Listener(two) is null && one.Name.Length > 0;
            (int server, int client) = Connect(firstServes ? one : two!, firstServes ? two : one, firstServes ? Listener(one) : Listener(two), files);
            (a, b) = firstServes ? (server, client) : (client, server);
        }
        files.Set(image, a);
        OpenFileRestore.SetStatusFlags(a, image.Flags);
        if (peer is null) files.Hold(OtherEnd(one), b);
        else
        {
            files.Set(peer, b);
            OpenFileRestore.SetStatusFlags(b, peer.Flags);
        }
    }

    private static string OtherEnd(SocketImage socket) => $"other end of Unix socket {socket.Inode}";

    private static (int Server, int Client) Connect(SocketImage server, SocketImage? client, OpenFileImage? listener, OpenFileRestore files)
    {
        int own = -1;
        if (listener is null)
        {
            own = (int)Sys.Check(Sys.Socket(Sys.AF_UNIX, (int)server.Type, (int)server.Protocol), "socket");
            UnixNames.Bind(own, server);
            Sys.Check(Sys.Raw(SyscallNumber.Listen, own, 1), "listen");
        }
        try
        {
            int listening = listener is null ? own : files.Get(listener);
            int from = (int)Sys.Check(Sys.Socket(Sys.AF_UNIX, (int)server.Type, (int)server.Protocol), "socket");
            if (client is not null) SocketOptions.Restore(from, client);
            if (client is { Name.Length: > 0 }) UnixNames.Bind(from, client);
            UnixNames.Connect(from, server);
            int accepted = (int)Sys.Check(Sys.Raw(SyscallNumber.Accept4, listening, 0, 0, Sys.O_CLOEXEC), "accept");
            SocketOptions.Restore(accepted, server);
            if (own >= 0 && server.NameGone) UnixNames.Unlink(server);
            return (accepted, from);
        }
        finally { Sys.Close(own); }
    }

    /// <summary>Messages first, then what forbids sending any: a datagram socket's peer, shutdowns. Connections that wait to be accepted come in their old order.</summary>
    public override void Finish(OpenFileImage image, OpenFileRestore files)
    {
        SocketImage socket = image.Object.Socket;
        int fd = files.Get(image);
        OpenFileImage? peer = PeerOf(image, files);
        foreach (MessageImage message in socket.Messages) Send(image, message, peer, files);
        if (socket.Listening)
            foreach (ulong waiting in socket.Pending)
                if (files.Tree.OpenFiles.FirstOrDefault(o => o.Object?.Socket is { } s && s.Inode == waiting) is { } client) UnixNames.Connect(files.Get(client), socket);
        if (socket.Type == SOCK_DGRAM && socket.Connected && peer?.Object.Socket.Peer != socket.Inode && socket.PeerName.Length > 0) UnixNames.TryConnect(fd, socket);
        // The later of two ends does it for both, when neither has anything to send any more.
        string key = $"finished Unix socket {socket.Inode}";
        files.Hold(key, -1);
        if (peer is not null && files.Held($"finished Unix socket {peer.Object.Socket.Inode}") is null) return;
        Shutdown(fd, socket);
        if (peer is not null) Shutdown(files.Get(peer), peer.Object.Socket);
        if (socket.NameGone) UnixNames.Unlink(socket);
    }

    private static void Shutdown(int fd, SocketImage socket)
    {
        // An end whose peer was closed has both set; closing the peer does that again.
        if (socket.Connected && socket.Peer == 0 && socket.Shutdown == 3) return;
        if ((socket.Shutdown & 1) != 0) Sys.Raw(SyscallNumber.Shutdown, fd, SHUT_RD);
        if ((socket.Shutdown & 2) != 0) Sys.Raw(SyscallNumber.Shutdown, fd, SHUT_WR);
    }

    private static void Send(OpenFileImage image, MessageImage message, OpenFileImage? peer, OpenFileRestore files)
    {
        SocketImage socket = image.Object.Socket;
        OpenFileImage? named = message.Source.Length > 2 ? files.Tree.OpenFiles.FirstOrDefault(o => o.Object?.Socket is { } s && s.Type == socket.Type && s.Name == message.Source) : null;
        bool mutual = socket.Type != SOCK_DGRAM || peer?.Object.Socket.Peer == socket.Inode;
        int held = files.Held(OtherEnd(socket)) ?? -1, own = -1;
        try
        {
            int sender = mutual && peer is not null ? files.Get(peer) : held >= 0 ? held : named is not null ? files.Get(named) : own = (int)Sys.Check(Sys.Socket(Sys.AF_UNIX, (int)socket.Type, 0), "socket");
            bool connected = mutual && peer is not null || held >= 0;
            if (!connected && socket.Name.Length == 0) return; // a datagram of a sender that is gone, to a socket without a name: nobody can send it
            UnixNames.In(socket, () => SocketMessages.Send(sender, message, connected ? default : socket.Name.Span, id => files.Get(id), image.Link));
        }
        finally { Sys.Close(own); }
    }
}
