using TreCr.Linux;

namespace TreCr.Process.Resources;

/// <summary>What TCP_INFO says. Source: struct tcp_info of linux/tcp.h (offsets), kernels from 4.19 on.</summary>
internal readonly record struct TcpInfo(int State, uint Backlog, long Received, uint Unsent, long Sent)
{
    public const int Established = 1, SynSent = 2, FinWait1 = 4, FinWait2 = 5, TimeWait = 6, Close = 7, CloseWait = 8, LastAck = 9, Listen = 10, Closing = 11;
    private const int IPPROTO_TCP = 6, TCP_INFO = 11;

    /// <summary>Both ends can still be told apart from closed ones.</summary>
    public bool IsConnection => State is Established or FinWait1 or FinWait2 or CloseWait or LastAck or Closing;

    /// <summary>This end has said that it sends no more.</summary>
    public bool SentEnd => State is FinWait1 or FinWait2 or LastAck or Closing;

    public static TcpInfo Of(int fd)
    {
        Span<byte> info = stackalloc byte[256];
        info.Clear();
        int n = Sys.GetOption(fd, IPPROTO_TCP, TCP_INFO, info);
        if (n < 0) return default;
        // tcpi_state 0, tcpi_sacked 28 (of a listener: its backlog), tcpi_bytes_received 128, tcpi_notsent_bytes 144, tcpi_bytes_sent 200, tcpi_bytes_retrans 208
        return new TcpInfo(info[0], BitConverter.ToUInt32(info[28..]), BitConverter.ToInt64(info[128..]), BitConverter.ToUInt32(info[144..]), BitConverter.ToInt64(info[200..]) - BitConverter.ToInt64(info[208..]));
    }
}
