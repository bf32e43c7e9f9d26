using TreCr.Linux;

namespace TreCr.Process.Resources;

/// <summary>Questions about sockets of this network namespace to the kernel. Source: sock_diag(7), linux/netlink.h.</summary>
internal static class SocketDiagnosis
{
    private const int AF_NETLINK = 16, SOCK_RAW = 3, NETLINK_SOCK_DIAG = 4, SOCK_DIAG_BY_FAMILY = 20, NLM_F_REQUEST = 1, NLM_F_DUMP = 0x300, NLMSG_ERROR = 2, NLMSG_DONE = 3, HeaderBytes = 16;

    /// <param name="message">without its struct nlmsghdr</param>
    public delegate void Take(ReadOnlySpan<byte> message);

    /// <summary>Asks once.</summary>
    /// <param name="request">without its struct nlmsghdr</param>
    /// <param name="all">every socket that the request describes; false: the one that it names</param>
    /// <exception cref="LinuxException">ENOENT: there is no such socket, or the kernel cannot answer for this family</exception>
    public static void Ask(ReadOnlySpan<byte> request, bool all, Take take)
    {
        int netlink = (int)Sys.Check(Sys.Socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG), "socket(NETLINK_SOCK_DIAG)");
        try
        {
            byte[] message = new byte[HeaderBytes + request.Length];
            BitConverter.TryWriteBytes(message, message.Length);
            BitConverter.TryWriteBytes(message.AsSpan(4), (ushort)SOCK_DIAG_BY_FAMILY);
            BitConverter.TryWriteBytes(message.AsSpan(6), (ushort)(NLM_F_REQUEST | (all ? NLM_F_DUMP : 0)));
            request.CopyTo(message.AsSpan(HeaderBytes));
            Sys.Check(Sys.SendTo(netlink, message), "send(NETLINK_SOCK_DIAG)");
            byte[] buffer = new byte[1 << 16];
            while (true)
            {
                long n = Sys.Check(Sys.Receive(netlink, buffer, default, out _), "receive(NETLINK_SOCK_DIAG)");
                for (int at = 0; at + HeaderBytes <= n;)
                {
                    int length = BitConverter.ToInt32(buffer, at), type = BitConverter.ToUInt16(buffer, at + 4);
                    if (type == NLMSG_DONE) return;
                    if (type == NLMSG_ERROR) throw new LinuxException("sock_diag", -BitConverter.ToInt32(buffer, at + HeaderBytes), "sockets");
                    if (length < HeaderBytes) return;
                    take(buffer.AsSpan(at + HeaderBytes, length - HeaderBytes));
                    at += length + 3 & ~3;
                }
                if (!all) return; // one answer
            }
        }
        finally { Sys.Close(netlink); }
    }
}
