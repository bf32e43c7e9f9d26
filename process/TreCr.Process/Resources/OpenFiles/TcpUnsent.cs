using TreCr.Linux;
using TreCr.Process.Engine;

namespace TreCr.Process.Resources;

/// <summary>
/// Bytes that a program has written to a TCP connection and that have not come to the other end, because its reader has let them wait. Only TCP_REPAIR shows them, which
/// needs CAP_NET_ADMIN in the network namespace. Source: tcp_repair in net/ipv4/tcp.c.
/// </summary>
internal static class TcpUnsent
{
    private const int SOL_SOCKET = 1, SO_REUSEADDR = 2, IPPROTO_TCP = 6, TCP_NODELAY = 1, TCP_REPAIR = 19, TCP_REPAIR_QUEUE = 20, TCP_SEND_QUEUE = 2, TCP_REPAIR_OFF_NO_WP = -1, MSG_PEEK = 2, MSG_DONTWAIT = 0x40, SIOCOUTQ = 0x5411;

    /// <summary>
    /// Sends what waits only because what was sent before is not acknowledged yet (Nagle's algorithm, up to 40 ms), so that it need not be read here. Source: tcp(7),
    /// TCP_NODELAY: "setting this option forces an explicit flush of pending output"; the option is put back.
    /// </summary>
    public static void Push(int fd)
    {
        int delay = Sys.GetOption(fd, IPPROTO_TCP, TCP_NODELAY);
        Sys.SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        if (delay == 0) Sys.SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 0);
    }

    /// <summary>The last <paramref name="bytes"/> that were written.</summary>
    /// <exception cref="RefusedException">not permitted here</exception>
    public static unsafe byte[] Read(int fd, uint bytes, string what)
    {
        int queued = 0;
        Sys.Raw(SyscallNumber.Ioctl, fd, SIOCOUTQ, (long)&queued);
        byte[] all = new byte[Math.Max(queued, 1)];
        int reuse = Sys.GetOption(fd, SOL_SOCKET, SO_REUSEADDR);
        if (Sys.SetOption(fd, IPPROTO_TCP, TCP_REPAIR, 1) < 0)
            throw new RefusedException([$"{what} has {bytes} bytes under way that its reader has not made room for: checkpoint again when it has read on"]);
        long n;
        try
        {
            Sys.SetOption(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
            n = Sys.ReceiveMessage(fd, all, MSG_PEEK | MSG_DONTWAIT, default, out _, default, out _, out _);
        }
        finally
        {
            Sys.SetOption(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
            Sys.SetOption(fd, SOL_SOCKET, SO_REUSEADDR, reuse); // leaving repair mode clears it
        }
        if (n < bytes) throw new ProcessException($"{what}: {n} of {bytes} bytes under way could be read");
        return all[(int)(n - bytes)..(int)n];
    }
}
