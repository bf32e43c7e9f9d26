using Google.Protobuf;
using TreCr.Linux;

namespace TreCr.Rank;

/// <summary>One end of the socket between supervisor and engine or delegator: protobuf datagrams with descriptors.</summary>
/// <param name="socket">SOCK_SEQPACKET Unix socket; owned from here on</param>
/// <remarks>One sender and one receiver thread at a time.</remarks>
public sealed class RankConnection(int socket) : IDisposable
{
    /// <summary>Longest message, bytes.</summary>
    public const int MaxMessageBytes = 128 * 1024;

    private readonly byte[] _receiveBuffer = new byte[MaxMessageBytes];
    private readonly int[] _descriptors = new int[Sys.MaxPassedDescriptors];

    /// <summary>The socket, for poll(2).</summary>
    public int Socket => socket;

    /// <summary>Sends one message.</summary>
    /// <exception cref="LinuxException">EPIPE: the peer is gone.</exception>
    public void Send(IMessage message, ReadOnlySpan<int> descriptors = default)
        => Sys.Check(Sys.Send(socket, message.ToByteArray(), descriptors), "sendmsg");

    /// <summary>Receives one message; null when the peer closed.</summary>
    /// <param name="descriptors">close-on-exec, owned by the caller</param>
    /// <exception cref="LinuxException">receive failed. </exception>
    /// <exception cref="InvalidProtocolBufferException">not a message of this type.</exception>
    public T? Receive<T>(MessageParser<T> parser, out int[] descriptors) where T : class, IMessage<T>
    {
        long n = Sys.Receive(socket, _receiveBuffer, _descriptors, out int count);
        if (n == -Errno.ECONNRESET) n = 0;
        Sys.Check(n, "recvmsg");
        descriptors = _descriptors[..count];
        return n == 0 ? null : parser.ParseFrom(_receiveBuffer, 0, (int)n);
    }

    /// <summary>Wakes whoever waits in <see cref="Receive"/> or poll(2): the connection is at its end. Any thread; the descriptor stays open.</summary>
    public void ShutDown() => Sys.ShutdownBoth(socket);

    public void Dispose() => Sys.Close(socket);
}
