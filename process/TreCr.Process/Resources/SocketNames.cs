using System.Net;
using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>Names a socket for a message: what kind it is, its address and its peer's.</summary>
internal static class SocketNames
{
    private const int SOL_SOCKET = 1, SO_TYPE = 3, SO_PROTOCOL = 38, SOCK_DGRAM = 2, SOCK_RAW = 3, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16, AF_PACKET = 17, IPPROTO_TCP = 6, IPPROTO_UDP = 17;

    /// <summary>"a TCP socket 127.0.0.1:80 connected to …".</summary>
    public static string Describe(OpenDescriptor d)
    {
        int fd = d.TryBorrow();
        if (fd < 0) return $"a socket ({d.Link})";
        try
        {
            int type = Sys.GetOption(fd, SOL_SOCKET, SO_TYPE), protocol = Sys.GetOption(fd, SOL_SOCKET, SO_PROTOCOL);
            string kind = (d.SocketDomain, type, protocol) switch
            {
                (Sys.AF_UNIX, _, _) => "a Unix socket",
                (AF_INET or AF_INET6, SOCK_RAW, _) => $"a raw socket (protocol {protocol})",
                (AF_INET or AF_INET6, Sys.SOCK_STREAM, IPPROTO_TCP) => "a TCP socket",
                (AF_INET or AF_INET6, SOCK_DGRAM, IPPROTO_UDP) => "a UDP socket",
                (AF_NETLINK, _, _) => $"a netlink socket (protocol {protocol}, {d.Link})",
                (AF_PACKET, _, _) => "a packet socket",
                _ => $"a socket of family {d.SocketDomain}, type {type}, protocol {protocol}",
            };
            if (d.SocketDomain is not (AF_INET or AF_INET6)) return kind;
            string name = Address(Sys.SocketName(fd)), peer = Address(Sys.SocketName(fd, peer: true));
            return kind + (name.Length > 0 ? " " + name : "") + (peer.Length > 0 ? " connected to " + peer : "");
        }
        finally { Sys.Close(fd); }
    }

    private static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    /// <summary>"127.0.0.1:80" of a struct sockaddr; empty: not one of the Internet, or none.</summary>
    public static string Address(ReadOnlySpan<byte> name)
    {
        if (name.Length < 8) return "";
        int port = name[2] << 8 | name[3];
        return BitConverter.ToUInt16(name) switch
        {
            AF_INET => new IPEndPoint(new IPAddress(name.Slice(4, 4)), port).ToString(),
            AF_INET6 when name.Length >= 24 => new IPEndPoint(Plain(new IPAddress(name.Slice(8, 16))), port).ToString(),
            _ => "",
        };
    }
}
