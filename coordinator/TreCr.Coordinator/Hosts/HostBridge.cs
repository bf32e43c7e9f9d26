using System.Buffers.Binary;
using System.Net.Security;
using System.Net.Sockets;
using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Coordinator;

/// <summary>
/// Carries control messages between a TLS connection to another host and a socket pair, whose other end is a <see cref="ControlChannel"/> like that of a local peer: whoever uses it does not see the difference. On the
/// connection a message is its length (4 bytes, little-endian) and its bytes.
/// </summary>
internal sealed class HostBridge
{
    /// <summary>A peer that is silent at the level of TCP (its host is off, or the network is cut) is gone after about this long, seconds.</summary>
    private const int ProbeAfterSeconds = 5, ProbeEverySeconds = 2, Probes = 5;

    private const int TcpUserTimeout = 18; // linux/tcp.h: TCP_USER_TIMEOUT, ms that sent bytes may stay unacknowledged

    private readonly Socket _socket;
    private readonly SslStream _tls;
    private readonly int _end;
    private int _runs = 2;

    private HostBridge(Socket socket, SslStream tls, int end) => (_socket, _tls, _end) = (socket, tls, end);

    /// <summary>Begins to carry.</summary>
    /// <param name="socket">owned from here on, as is <paramref name="tls"/></param>
    public static ControlChannel Start(Socket socket, SslStream tls)
    {
        socket.ReceiveTimeout = 0; // the handshake had its limit; from here on probes tell
        (int ours, int theirs) = Sys.SocketPair();
        HostBridge bridge = new(socket, tls, ours);
        new Thread(() => bridge.Run(bridge.FromHost), 256 * 1024) { IsBackground = true, Name = "from host" }.Start();
        new Thread(() => bridge.Run(bridge.ToHost), 256 * 1024) { IsBackground = true, Name = "to host" }.Start();
        return new ControlChannel(theirs) { IsLocal = false };
    }

    /// <summary>Makes a TCP connection notice that its peer's host is gone.</summary>
    public static void Watch(Socket socket)
    {
        socket.NoDelay = true;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, ProbeAfterSeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, ProbeEverySeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, Probes);
        socket.SetRawSocketOption((int)SocketOptionLevel.Tcp, TcpUserTimeout, BitConverter.GetBytes((ProbeAfterSeconds + ProbeEverySeconds * Probes) * 1000));
    }

    /// <summary>One direction, until either end closes; whichever is first ends the other too.</summary>
    private void Run(Action carry)
    {
        try { carry(); }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or InvalidOperationException) { }
        Sys.ShutdownBoth(_end);
        try { _socket.Shutdown(SocketShutdown.Both); }
        catch (Exception e) when (e is SocketException or ObjectDisposedException) { }
        if (Interlocked.Decrement(ref _runs) > 0) return;
        _tls.Dispose();
        _socket.Dispose();
        Sys.Close(_end);
    }

    private void FromHost()
    {
        byte[] buffer = new byte[ControlWire.MaxMessageBytes];
        while (true)
        {
            _tls.ReadExactly(buffer, 0, sizeof(uint));
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(buffer);
            if (length is 0 or > ControlWire.MaxMessageBytes) return; // no peer of ours
            _tls.ReadExactly(buffer, 0, (int)length);
            if (Sys.Send(_end, buffer.AsSpan(0, (int)length)) != length) return;
        }
    }

    private void ToHost()
    {
        byte[] buffer = new byte[sizeof(uint) + ControlWire.MaxMessageBytes];
        while (Sys.Receive(_end, buffer.AsSpan(sizeof(uint)), default, out _) is > 0 and var length)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(buffer, (uint)length);
            _tls.Write(buffer, 0, sizeof(uint) + (int)length);
        }
    }
}
