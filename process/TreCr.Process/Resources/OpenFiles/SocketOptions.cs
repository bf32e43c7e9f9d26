using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Process.Resources;

/// <summary>Options of sockets that are saved: those that differ from what a new socket of the same kind has. Source: socket(7), tcp(7), ip(7), ipv6(7).</summary>
internal static class SocketOptions
{
    private const int SOL_SOCKET = 1, IPPROTO_IP = 0, IPPROTO_TCP = 6, IPPROTO_IPV6 = 41;
    private const int SO_REUSEADDR = 2, SO_SNDBUF = 7, SO_RCVBUF = 8, SO_SNDBUFFORCE = 32, SO_RCVBUFFORCE = 33, SO_BUF_LOCK = 72, SO_GET_FILTER = 26;

    private static readonly (int Level, int Name, int Bytes)[] s_any =
    [
        (SOL_SOCKET, 2, 4), (SOL_SOCKET, 5, 4), (SOL_SOCKET, 6, 4), (SOL_SOCKET, 9, 4), (SOL_SOCKET, 10, 4), (SOL_SOCKET, 12, 4), (SOL_SOCKET, 13, 8), // REUSEADDR DONTROUTE BROADCAST KEEPALIVE OOBINLINE PRIORITY LINGER
        (SOL_SOCKET, 15, 4), (SOL_SOCKET, 16, 4), (SOL_SOCKET, 18, 4), (SOL_SOCKET, 20, 16), (SOL_SOCKET, 21, 16), (SOL_SOCKET, 25, 16), (SOL_SOCKET, 29, 4), // REUSEPORT PASSCRED RCVLOWAT RCVTIMEO SNDTIMEO BINDTODEVICE TIMESTAMP
        (SOL_SOCKET, 34, 4), (SOL_SOCKET, 35, 4), (SOL_SOCKET, 36, 4), (SOL_SOCKET, 37, 4), (SOL_SOCKET, 40, 4), (SOL_SOCKET, 42, 4), (SOL_SOCKET, 60, 4), (SOL_SOCKET, 76, 4), // PASSSEC TIMESTAMPNS MARK TIMESTAMPING RXQ_OVFL PEEK_OFF ZEROCOPY PASSPIDFD
    ];

    private static readonly (int Level, int Name, int Bytes)[] s_internet =
    [
        (IPPROTO_IP, 1, 4), (IPPROTO_IP, 2, 4), (IPPROTO_IP, 8, 4), (IPPROTO_IP, 10, 4), (IPPROTO_IP, 11, 4), (IPPROTO_IP, 12, 4), (IPPROTO_IP, 13, 4), (IPPROTO_IP, 15, 4), (IPPROTO_IP, 24, 4), // TOS TTL PKTINFO MTU_DISCOVER RECVERR RECVTTL RECVTOS FREEBIND BIND_ADDRESS_NO_PORT
        (IPPROTO_IP, 33, 4), (IPPROTO_IP, 34, 4), // MULTICAST_TTL MULTICAST_LOOP
    ];

    private static readonly (int Level, int Name, int Bytes)[] s_internet6 =
    [
        (IPPROTO_IPV6, 16, 4), (IPPROTO_IPV6, 18, 4), (IPPROTO_IPV6, 19, 4), (IPPROTO_IPV6, 23, 4), (IPPROTO_IPV6, 25, 4), (IPPROTO_IPV6, 26, 4), (IPPROTO_IPV6, 49, 4), (IPPROTO_IPV6, 67, 4), // UNICAST_HOPS MULTICAST_HOPS MULTICAST_LOOP MTU_DISCOVER RECVERR V6ONLY RECVPKTINFO TCLASS
    ];

    private static readonly (int Level, int Name, int Bytes)[] s_tcp =
    [
        (IPPROTO_TCP, 1, 4), (IPPROTO_TCP, 2, 4), (IPPROTO_TCP, 3, 4), (IPPROTO_TCP, 4, 4), (IPPROTO_TCP, 5, 4), (IPPROTO_TCP, 6, 4), (IPPROTO_TCP, 7, 4), (IPPROTO_TCP, 8, 4), (IPPROTO_TCP, 9, 4), // NODELAY MAXSEG CORK KEEPIDLE KEEPINTVL KEEPCNT SYNCNT LINGER2 DEFER_ACCEPT
        (IPPROTO_TCP, 13, 16), (IPPROTO_TCP, 18, 4), (IPPROTO_TCP, 25, 4), // CONGESTION USER_TIMEOUT NOTSENT_LOWAT
    ];

    /// <summary>Why its options cannot be saved; null: they can.</summary>
    public static string? Refusal(int fd) => Sys.GetOption(fd, SOL_SOCKET, SO_GET_FILTER, default(Span<byte>)) > 0 ? "has a packet filter (BPF)" : null;

    /// <summary>Adds what differs from a new socket.</summary>
    public static void Capture(int fd, SocketImage to)
    {
        int fresh = Sys.Socket((int)to.Domain, (int)to.Type, (int)to.Protocol);
        Span<byte> here = stackalloc byte[16], there = stackalloc byte[16];
        foreach (var (level, name, bytes) in For(to))
        {
            here.Clear();
            there.Clear();
            int length = Sys.GetOption(fd, level, name, here[..bytes]);
            if (length <= 0) continue;
            int other = fresh < 0 ? -1 : Sys.GetOption(fresh, level, name, there[..bytes]);
            if (length == other && here.SequenceEqual(there)) continue;
            // The segment size of a connection is what it found out, not what was asked for.
            if (level == IPPROTO_TCP && name == 2 && to.Connected) continue;
            to.Options.Add(new SocketOptionImage { Level = level, Name = name, Value = ByteString.CopyFrom(here[..length]) });
        }
        Sys.Close(fresh);
        int locked = Sys.GetOption(fd, SOL_SOCKET, SO_BUF_LOCK);
        if ((locked & 1) != 0) Add(SO_SNDBUF);
        if ((locked & 2) != 0) Add(SO_RCVBUF);

        void Add(int name) => to.Options.Add(new SocketOptionImage { Level = SOL_SOCKET, Name = name, Value = ByteString.CopyFrom(BitConverter.GetBytes(Sys.GetOption(fd, SOL_SOCKET, name) / 2)) });
    }

    /// <summary>Sets them. SO_REUSEADDR is set for making a connection again, and gets its value last. An option that this kernel or user may not set is left out: the program learned of none that it could not set itself.</summary>
    public static void Restore(int fd, SocketImage from, bool last = false)
    {
        if (last)
        {
            if (!from.Options.Any(o => o is { Level: SOL_SOCKET, Name: SO_REUSEADDR })) Sys.SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 0);
            return;
        }
        foreach (SocketOptionImage option in from.Options)
        {
            int forced = option.Level != SOL_SOCKET ? 0 : option.Name == SO_SNDBUF ? SO_SNDBUFFORCE : option.Name == SO_RCVBUF ? SO_RCVBUFFORCE : 0;
            if (forced != 0 && Sys.SetOption(fd, SOL_SOCKET, forced, option.Value.Span) >= 0) continue;
            Sys.SetOption(fd, option.Level, option.Name, option.Value.Span);
        }
    }

    private static IEnumerable<(int Level, int Name, int Bytes)> For(SocketImage socket)
    {
        IEnumerable<(int, int, int)> options = s_any;
        if (socket.Domain != Sys.AF_UNIX) options = options.Concat(s_internet);
        if (socket.Domain == 10) options = options.Concat(s_internet6);
        if (socket.Domain != Sys.AF_UNIX && socket.Type == Sys.SOCK_STREAM) options = options.Concat(s_tcp);
        return options;
    }
}
