using System.Buffers.Binary;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;
using TreCr.Process.Readouts;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>Connects both ends of a saved TCP connection with each other again, with their addresses and unread bytes.</summary>
internal static class TcpPairs
{
    private const int SOL_SOCKET = 1, SO_REUSEADDR = 2, SO_RCVBUF = 8, SO_LINGER = 13, MSG_DONTWAIT = 0x40, SHUT_WR = 1;
    private const int IPPROTO_IP = 0, IP_BIND_ADDRESS_NO_PORT = 24, IP_LOCAL_PORT_RANGE = 51;
    private const int EADDRINUSE = 98, EADDRNOTAVAIL = 99, DefaultBytes = 64 << 10, RoomWaitMs = 5;
    private const int ConnectWaitMs = 20_000, TimeWaitMs = 65_000;

    /// <summary>A socket with options and name. An address that a connection of the former run still holds for a minute (TIME_WAIT) can be had.</summary>
    /// <param name="connects">it is going to connect: connections of other programs may have the same port then, to somebody else</param>
    /// <exception cref="RefusedException">another program has the address</exception>
    public static int Make(SocketImage socket, bool connects = false)
    {
        int fd = (int)Sys.Check(Sys.Socket((int)socket.Domain, (int)socket.Type, (int)socket.Protocol), "socket");
        try
        {
            SocketOptions.Restore(fd, socket);
            if (socket.Name.Length == 0) return fd;
            if (socket.Type == Sys.SOCK_STREAM) Sys.SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
            long result = Bind(fd, socket, connects);
            if (result is -EADDRINUSE or -EADDRNOTAVAIL or -Errno.EACCES)
                throw Refused(socket, result);
            Sys.Check(result, "bind", SocketNames.Address(socket.Name.Span));
            return fd;
        }
        catch
        {
            Sys.Close(fd);
            throw;
        }
    }

    /// <param name="result">-errno of bind(2)</param>
    private static RefusedException Refused(SocketImage socket, long result) => new([$"the program's address {SocketNames.Address(socket.Name.Span)} "
        + (result == -EADDRINUSE ? "is in use by another program" : result == -Errno.EACCES ? "may not be used by this user" : "is not an address of this machine")]);

    /// <summary>
    /// Where only connections that no program has any more hold the address (the former run was killed, not stopped), the kernel gives it up after a minute.
    /// </summary>
    private static long Bind(int fd, SocketImage socket, bool connects)
    {
        string name = SocketNames.Address(socket.Name.Span);
        long end = Environment.TickCount64 + TimeWaitMs;
        while (true)
        {
            long result = Sys.Bind(fd, socket.Name.Span);
            if (result != -EADDRINUSE || socket.Type != Sys.SOCK_STREAM || Environment.TickCount64 > end) return result;
            List<TcpEntry> holders = [.. TcpTable.Read().All.Where(e => e.Local.EndsWith(name[name.LastIndexOf(':')..], StringComparison.Ordinal))];
            if (holders.Any(e => e.State == TcpInfo.Listen)) return result;
            if (holders.Any(e => e.Inode != 0)) return connects && BindToRange(fd, socket) ? 0 : result;
            Thread.Sleep(20);
        }
    }

    /// <summary>
    /// Has connect(2) choose the port, from a range of that one: as when the program connected first, a port that others' connections have too will do, where bind(2) wants it for itself.
    /// </summary>
    /// <returns>false: a kernel before 6.3</returns>
    private static bool BindToRange(int fd, SocketImage socket)
    {
        byte[] name = socket.Name.ToByteArray();
        int port = BinaryPrimitives.ReadUInt16BigEndian(name.AsSpan(2));
        name.AsSpan(2, 2).Clear();
        return Sys.SetOption(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, port | port << 16) >= 0 && Sys.SetOption(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1) >= 0 && Sys.Bind(fd, name) >= 0;
    }

    /// <summary>Has connections end without a trace when their programs are killed, so that their addresses can be had again at once.</summary>
    public static void EndAtOnce(IEnumerable<(int Pid, int Number)> sockets)
    {
        foreach (var (pid, number) in sockets)
        {
            int fd = new OpenDescriptor { Pid = pid, Number = number }.TryBorrow();
            if (fd < 0) continue;
            Sys.SetOption(fd, SOL_SOCKET, SO_LINGER, [1, 0, 0, 0, 0, 0, 0, 0]);
            Sys.Close(fd);
        }
    }

    private static OpenFileImage? PeerOf(SocketImage socket, OpenFileRestore files)
        => socket.Peer == 0 ? null : files.Tree.OpenFiles.FirstOrDefault(o => o.Object?.Socket is { } s && s.Inode == socket.Peer && s.Domain != Sys.AF_UNIX);

    private static OpenFileImage? ListenerOf(SocketImage socket, OpenFileRestore files)
        => files.Tree.OpenFiles.FirstOrDefault(o => o.Object?.Socket is { Listening: true } l && l.Domain != Sys.AF_UNIX && InternetSocketKind.IsAt(SocketNames.Address(socket.Name.Span), SocketNames.Address(l.Name.Span)));

    /// <summary>Makes a connection; the end that a listening socket of the job can have accepted is accepted from it again.</summary>
    public static void Open(OpenFileImage image, OpenFileRestore files)
    {
        SocketImage one = image.Object.Socket;
        OpenFileImage? peer = PeerOf(one, files);
        // Whose program is gone has no name to get back; the addresses are there all the same.
        SocketImage two = peer?.Object.Socket ?? new SocketImage { Domain = one.Domain, Type = one.Type, Protocol = one.Protocol, Name = one.PeerName, PeerName = one.Name };
        if (two.Name.Length == 0) (one, two) = Nameless(one);
        OpenFileImage? listener = ListenerOf(one, files);
        bool serves = listener is not null;
        if (!serves) listener = ListenerOf(two, files);
        (SocketImage server, SocketImage client) = serves ? (one, two) : (two, one);
        int own = -1, listening;
        if (listener is not null) listening = files.Get(listener);
        else
        {
            listening = own = Make(server);
            Sys.Check(Sys.Raw(SyscallNumber.Listen, own, 1), "listen");
        }
        int to = -1, from = -1;
        try
        {
            from = Make(client, connects: true);
            Connect(from, client, client.PeerName.Length > 0 ? client.PeerName.Span : Sys.SocketName(listening));
            to = Accept(listening, from);
            SocketOptions.Restore(to, server);
            int fd = serves ? to : from, other = serves ? from : to;
            files.Set(image, fd);
            OpenFileRestore.SetStatusFlags(fd, image.Flags);
            if (peer is null) files.Hold(OtherEnd(image.Object.Socket), other);
            else
            {
                files.Set(peer, other);
                OpenFileRestore.SetStatusFlags(other, peer.Flags);
            }
        }
        catch
        {
            Sys.Close(from);
            Sys.Close(to);
            throw;
        }
        finally { Sys.Close(own); }
    }

    /// <summary>A connection that was over: any addresses will do.</summary>
    private static (SocketImage One, SocketImage Two) Nameless(SocketImage one)
    {
        SocketImage plain = one.Clone();
        byte[] name = new byte[one.Domain == InternetSocketKind.AF_INET ? 16 : 28];
        name[0] = (byte)one.Domain;
        if (one.Domain == InternetSocketKind.AF_INET) (name[4], name[7]) = (127, 1); else name[23] = 1;
        plain.Name = Google.Protobuf.ByteString.CopyFrom(name);
        plain.PeerName = Google.Protobuf.ByteString.Empty;
        return (plain, new SocketImage { Domain = one.Domain, Type = one.Type, Protocol = one.Protocol, Name = plain.Name });
    }

    private static string OtherEnd(SocketImage socket) => $"other end of TCP socket {socket.Inode}";

    /// <summary>Accepts the connection that comes from <paramref name="client"/>; somebody else's that came in between is closed.</summary>
    private static int Accept(int listening, int client)
    {
        string wanted = SocketNames.Address(Sys.SocketName(client));
        long end = Environment.TickCount64 + ConnectWaitMs;
        Span<PollEntry> ready = [new PollEntry { Fd = listening, Events = Sys.POLLIN }];
        while (true)
        {
            if (Sys.Poll(ready, (int)Math.Max(0, end - Environment.TickCount64)) <= 0) throw new ProcessException($"the connection from {wanted} did not arrive");
            int fd = (int)Sys.Check(Sys.Raw(SyscallNumber.Accept4, listening, 0, 0, Sys.O_CLOEXEC), "accept");
            if (SocketNames.Address(Sys.SocketName(fd, peer: true)) == wanted) return fd;
            Sys.Close(fd);
        }
    }

    /// <summary>connect(2). The same pair of addresses can be had again a second after its former connection (tcp_tw_reuse).</summary>
    /// <exception cref="RefusedException">another program has the port for itself</exception>
    public static void Connect(int fd, SocketImage socket, ReadOnlySpan<byte> name)
    {
        long end = Environment.TickCount64 + ConnectWaitMs, result;
        while ((result = Sys.Connect(fd, name)) == -EADDRNOTAVAIL && Environment.TickCount64 < end) Thread.Sleep(50);
        if (result == -EADDRNOTAVAIL && Sys.GetOption(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE) > 0) throw Refused(socket, -EADDRINUSE);
        Sys.Check(result, "connect", SocketNames.Address(name));
        if (Sys.SetOption(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, 0) >= 0 && !socket.Options.Any(o => o is { Level: IPPROTO_IP, Name: IP_BIND_ADDRESS_NO_PORT })) Sys.SetOption(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0);
    }

    /// <summary>Puts the unread bytes back; when both ends have theirs, what was ended is ended.</summary>
    public static void Finish(OpenFileImage image, OpenFileRestore files)
    {
        SocketImage socket = image.Object.Socket;
        OpenFileImage? peer = PeerOf(socket, files);
        int fd = files.Get(image), other = peer is not null ? files.Get(peer) : files.Held(OtherEnd(socket)) ?? throw new ProcessException($"{image.Link} has no other end");
        foreach (MessageImage message in socket.Messages) Send(other, fd, message.Data.Span, image.Link);
        string key = $"finished TCP socket {socket.Inode}";
        files.Hold(key, -1);
        if (peer is not null && files.Held($"finished TCP socket {peer.Object.Socket.Inode}") is null) return;
        if ((socket.Shutdown & 2) != 0) Sys.Raw(SyscallNumber.Shutdown, fd, SHUT_WR);
        if (peer is null) Sys.Raw(SyscallNumber.Shutdown, other, SHUT_WR); // closed with this engine's descriptors
        else if ((peer.Object.Socket.Shutdown & 2) != 0) Sys.Raw(SyscallNumber.Shutdown, other, SHUT_WR);
    }

    private static void Send(int fd, int reader, ReadOnlySpan<byte> data, string what)
    {
        bool large = data.Length > DefaultBytes;
        int size = Sys.GetOption(reader, SOL_SOCKET, SO_RCVBUF), locked = large ? TcpRoom.Make(reader, data.Length) : 0;
        Span<PollEntry> room = [new PollEntry { Fd = fd, Events = Sys.POLLOUT }];
        long end = Environment.TickCount64 + ConnectWaitMs;
        while (data.Length > 0)
        {
            long n = Sys.SendTo(fd, data, MSG_DONTWAIT);
            if (n == -Errno.EAGAIN)
            {
                if (Environment.TickCount64 > end) throw new ProcessException($"{what}: no room for {data.Length} unread bytes in the connection (sysctl net.ipv4.tcp_rmem)");
                TcpRoom.Advertise(reader);
                Sys.Poll(room, RoomWaitMs);
                continue;
            }
            data = data[(int)Sys.Check(n, "send", what)..];
            end = Environment.TickCount64 + ConnectWaitMs;
        }
        if (large) TcpRoom.GiveBack(reader, size, locked);
    }
}
