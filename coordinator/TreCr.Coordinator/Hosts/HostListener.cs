using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using TreCr.Control;

namespace TreCr.Coordinator;

/// <summary>Lets ranks and commands on other hosts reach this coordinator: TCP, TLS, and only keys that are trusted.</summary>
internal sealed class HostListener
{
    /// <summary>Handshakes under way at once: whoever opens connections and says nothing cannot take all our threads.</summary>
    private const int MostHandshakes = 64;

    private readonly Socket _socket;
    private readonly HostIdentity _identity;
    private readonly Func<string, bool> _trusts;
    private readonly Action<ControlChannel> _onChannel;
    private readonly Action<string> _log;
    private int _handshakes;

    /// <summary>Listens.</summary>
    /// <param name="port">0: any</param>
    /// <param name="trusts">by fingerprint, beyond what the identity trusts</param>
    /// <param name="onChannel">on a thread of its own</param>
    /// <exception cref="TrecrException">Coordinator: the port is taken; HostKey</exception>
    public HostListener(int port, Func<string, bool> trusts, Action<ControlChannel> onChannel, Action<string> log)
    {
        (_identity, _trusts, _onChannel, _log) = (HostIdentity.Open(), trusts, onChannel, log);
        try
        {
            _socket = Socket.OSSupportsIPv6 ? new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true } : new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            _socket.Bind(new IPEndPoint(Socket.OSSupportsIPv6 ? IPAddress.IPv6Any : IPAddress.Any, port));
            _socket.Listen(512);
        }
        catch (SocketException e) { throw new TrecrException(TrecrError.Coordinator, $"cannot listen on port {port} for other hosts: {e.Message}", e); }
        Port = ((IPEndPoint)_socket.LocalEndPoint!).Port;
        new Thread(Accept, 256 * 1024) { IsBackground = true, Name = "hosts" }.Start();
    }

    public int Port { get; }

    public string Fingerprint => _identity.Fingerprint;

    /// <summary>Where others may find us: every address of this host but loopback and link-local ones, with the port.</summary>
    public IReadOnlyList<string> Endpoints
        => [.. NetworkInterface.GetAllNetworkInterfaces().Where(n => n.OperationalStatus is OperationalStatus.Up or OperationalStatus.Unknown).SelectMany(n => n.GetIPProperties().UnicastAddresses).Select(a => a.Address)
            .Where(a => !IPAddress.IsLoopback(a) && !a.IsIPv6LinkLocal && (a.AddressFamily == AddressFamily.InterNetwork || Socket.OSSupportsIPv6)).OrderBy(a => a.AddressFamily).Select(a => new IPEndPoint(a, Port).ToString())];

    private void Accept()
    {
        while (true)
        {
            Socket peer;
            try { peer = _socket.Accept(); }
            catch (SocketException e)
            {
                _log($"other hosts: {e.Message}");
                Thread.Sleep(100); // such as too many open files: it passes
                continue;
            }
            if (Interlocked.Increment(ref _handshakes) > MostHandshakes)
            {
                Interlocked.Decrement(ref _handshakes);
                peer.Dispose();
                continue;
            }
            new Thread(() => Welcome(peer), 512 * 1024) { IsBackground = true, Name = "handshake" }.Start();
        }
    }

    private void Welcome(Socket peer)
    {
        EndPoint? from = peer.RemoteEndPoint;
        try
        {
            ControlChannel channel;
            try { channel = HostBridge.Start(peer, HostTls.Accept(peer, _identity, f => _identity.Trusts(f) || _trusts(f))); }
            finally { Interlocked.Decrement(ref _handshakes); }
            _onChannel(channel);
        }
        catch (Exception e) // whatever a stranger sends
        {
            _log($"refused a connection from {from}: {e.Message}");
            peer.Dispose();
        }
    }
}
