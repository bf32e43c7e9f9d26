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

    /// <summary>How long whoever closes a channel, and may end the process then, waits for what it has sent last to go out, ms.</summary>
    private const int LingerMs = 2_000;

    private readonly Socket _socket;
    private readonly SslStream _tls;
    private readonly int _end;
    private readonly ManualResetEventSlim _ended = new();
    private int _runs = 2;

    private HostBridge(Socket socket, SslStream tls, int end) => (_socket, _tls, _end) = (socket, tls, end);

    /// <summary>Begins to carry.</summary>
    /// <param name="socket">owned from here on, as is <paramref name="tls"/></param>
    public static ControlChannel Start(Socket socket, SslStream tls)
    {
        // The handshake had its limits. From here on a silent peer is in order, probes tell whether it is there; one that does not read what we send is not.
        socket.ReceiveTimeout = 0;
        (int ours, int theirs) = Sys.SocketPair();
        HostBridge bridge = new(socket, tls, ours);
        new Thread(() => bridge.Run(bridge.FromHost), 256 * 1024) { IsBackground = true, Name = "from host" }.Start();
        new Thread(() => bridge.Run(bridge.ToHost), 256 * 1024) { IsBackground = true, Name = "to host" }.Start();
        return new ControlChannel(theirs) { IsLocal = false, OnClosed = () => bridge._ended.Wait(LingerMs) };
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

    /// <summary>One direction. Both have to end before anything is closed.</summary>
    private void Run(Action carry)
    {
        try { carry(); }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or InvalidOperationException) { EndConnection(SocketShutdown.Both); }
        if (Interlocked.Decrement(ref _runs) > 0) return;
        _tls.Dispose();
        _socket.Dispose();
        Sys.Close(_end);
        _ended.Set();
    }

    private void EndConnection(SocketShutdown how)
    {
        try { _socket.Shutdown(how); }
        catch (Exception e) when (e is SocketException or ObjectDisposedException) { }
    }

    private void FromHost()
    {
        byte[] buffer = new byte[ControlWire.MaxMessageBytes];
        try
        {
            while (true)
            {
                _tls.ReadExactly(buffer, 0, sizeof(uint));
                uint length = BinaryPrimitives.ReadUInt32LittleEndian(buffer);
                if (length is 0 or > ControlWire.MaxMessageBytes) throw new IOException("no peer of ours");
                _tls.ReadExactly(buffer, 0, (int)length);
                Sys.Send(_end, buffer.AsSpan(0, (int)length)); // nobody listens any more: read on until the peer has seen that, else what we sent last might be thrown away with what we have not read
            }
        }
        finally { Sys.ShutdownBoth(_end); } // whoever holds the other end sees the peer's end
    }

    private void ToHost()
    {
        byte[] buffer = new byte[sizeof(uint) + ControlWire.MaxMessageBytes];
        while (Sys.Receive(_end, buffer.AsSpan(sizeof(uint)), default, out _) is > 0 and var length)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(buffer, (uint)length);
            _tls.Write(buffer, 0, sizeof(uint) + (int)length);
        }
        EndConnection(SocketShutdown.Send); // behind all that was sent before the other end was closed
    }
}
