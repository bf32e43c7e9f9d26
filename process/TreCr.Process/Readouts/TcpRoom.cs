using TreCr.Linux;

namespace TreCr.Process.Readouts;

/// <summary>
/// Room in a TCP connection for bytes that nobody reads: what waits at the writer then comes to the reader's queue, where everybody may look (MSG_PEEK). Needs no privilege: SO_RCVLOWAT lets
/// the buffer grow as far as tcp_rmem permits, and it stays grown. Source: tcp_set_rcvlowat, tcp_cleanup_rbuf (net/ipv4/tcp.c); measured on 6.18: 4 MB in 45 ms.
/// </summary>
internal static unsafe class TcpRoom
{
    private const int SOL_SOCKET = 1, SO_RCVBUF = 8, SO_RCVLOWAT = 18, SO_RCVBUFFORCE = 33, SO_BUF_LOCK = 72, RcvBufLock = 2, IPPROTO_TCP = 6, TCP_NODELAY = 1, TCP_CORK = 3, MSG_PEEK = 2, MSG_DONTWAIT = 0x40;
    private const int SpareBytes = 256 << 10, StepNs = 200_000;

    /// <summary>Longest wait without one byte more at the reader; and so many looks at least, because on a busy machine the time can pass between two of them.</summary>
    private const int QuietMs = 300, QuietLooks = 500;

    /// <summary>Lets what was written come to the reader, as far as the system permits, and gives both sockets their options back.</summary>
    /// <param name="bytes">what the reader has and what waits for it</param>
    /// <param name="changed">called when options of the sockets are not the program's</param>
    public static void Let(int reader, int writer, int bytes, Action changed)
    {
        // What waits only for an acknowledgement of what was sent before (Nagle's algorithm, up to 40 ms) or for its cork goes at once: tcp(7), "forces an explicit flush of pending output".
        int cork = Sys.GetOption(writer, IPPROTO_TCP, TCP_CORK), delay = Sys.GetOption(writer, IPPROTO_TCP, TCP_NODELAY);
        if (cork != 0) Sys.SetOption(writer, IPPROTO_TCP, TCP_CORK, 0);
        Sys.SetOption(writer, IPPROTO_TCP, TCP_NODELAY, 1);
        int size = Sys.GetOption(reader, SOL_SOCKET, SO_RCVBUF), locked = Make(reader, bytes);
        changed();
        long end = Environment.TickCount64 + QuietMs;
        for (int had = 0, quiet = 0; quiet < QuietLooks || Environment.TickCount64 < end; quiet++)
        {
            Advertise(reader);
            if (Waiting(writer) == 0) break;
            int has = Sys.BytesToRead(reader);
            if (has > had) (had, quiet, end) = (has, 0, Environment.TickCount64 + QuietMs);
            Sys.SleepNs(StepNs);
        }
        if (delay == 0) Sys.SetOption(writer, IPPROTO_TCP, TCP_NODELAY, 0);
        if (cork != 0) Sys.SetOption(writer, IPPROTO_TCP, TCP_CORK, cork);
        GiveBack(reader, size, locked);
    }

    /// <summary>Lets the receive buffer grow, where it is not large enough.</summary>
    /// <returns>SO_BUF_LOCK as it was, for <see cref="GiveBack"/></returns>
    public static int Make(int reader, int bytes)
    {
        int locked = Sys.GetOption(reader, SOL_SOCKET, SO_BUF_LOCK);
        if (Sys.GetOption(reader, SOL_SOCKET, SO_RCVBUF) < 2 * (bytes + SpareBytes) && Sys.SetOption(reader, SOL_SOCKET, SO_RCVBUFFORCE, bytes + SpareBytes) < 0)
        {
            int least = Sys.GetOption(reader, SOL_SOCKET, SO_RCVLOWAT);
            Sys.SetOption(reader, SOL_SOCKET, SO_BUF_LOCK, locked & ~RcvBufLock);
            Sys.SetOption(reader, SOL_SOCKET, SO_RCVLOWAT, bytes + SpareBytes / 2);
            Sys.SetOption(reader, SOL_SOCKET, SO_RCVLOWAT, least);
        }
        Advertise(reader);
        return locked;
    }

    /// <summary>The size that the program chose; one that the kernel chose may stay grown.</summary>
    public static void GiveBack(int reader, int size, int locked)
    {
        if ((locked & RcvBufLock) != 0 && Sys.SetOption(reader, SOL_SOCKET, SO_RCVBUFFORCE, size / 2) < 0) Sys.SetOption(reader, SOL_SOCKET, SO_RCVBUF, size / 2);
        Sys.SetOption(reader, SOL_SOCKET, SO_BUF_LOCK, locked);
    }

    /// <summary>A look at the queue tells the writer how much room there is now.</summary>
    public static void Advertise(int reader) => Sys.ReceiveMessage(reader, new byte[1], MSG_PEEK | MSG_DONTWAIT, default, out _, default, out _, out _);

    /// <summary>Bytes that are not at the other end yet. Source: SIOCOUTQ of tcp(7).</summary>
    private static int Waiting(int writer)
    {
        const int SIOCOUTQ = 0x5411;
        int bytes = 0;
        return Sys.Raw(SyscallNumber.Ioctl, writer, SIOCOUTQ, (long)&bytes) < 0 ? 0 : bytes;
    }
}
