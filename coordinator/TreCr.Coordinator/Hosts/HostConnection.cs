using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using TreCr.Control;

namespace TreCr.Coordinator;

/// <summary>Connects to a coordinator on another host.</summary>
public static class HostConnection
{
    /// <summary>For each of its addresses, ms.</summary>
    private const int ConnectMs = 3_000;

    /// <summary>Names the coordinator to be used: HOST, HOST:PORT or [ADDRESS]:PORT.</summary>
    public const string Variable = "TRECR_COORDINATOR";

    /// <summary>The coordinator that the user has named; null: none.</summary>
    public static string? Named => Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } name ? name : null;

    /// <summary>The coordinator that a note in the store names, with that key and no other.</summary>
    /// <exception cref="TrecrException">HostUnreachable, HostKey</exception>
    public static ControlChannel Connect(CoordinatorNote note)
    {
        HostIdentity identity = HostIdentity.Open();
        return Connect($"the coordinator on {note.Host}", note.Endpoints.Select(e => IPEndPoint.TryParse(e, out IPEndPoint? point) ? point : null).OfType<IPEndPoint>(), identity, f => f == note.Key);
    }

    /// <summary>The coordinator that the user has named, which must have a key that is trusted.</summary>
    /// <exception cref="TrecrException">HostUnreachable, HostKey</exception>
    public static ControlChannel Connect(string name)
    {
        HostIdentity identity = HostIdentity.Open();
        (string host, int port) = Parse(name);
        IPAddress[] addresses;
        try { addresses = Dns.GetHostAddresses(host); }
        catch (Exception e) when (e is SocketException or ArgumentException) { throw new TrecrException(TrecrError.HostUnreachable, $"no coordinator at {name} ({Variable}): {e.Message}", e); }
        return Connect($"the coordinator {name} ({Variable})", addresses.Select(a => new IPEndPoint(a, port)), identity, identity.Trusts);
    }

    /// <exception cref="TrecrException">HostUnreachable: it is no such name</exception>
    public static (string Host, int Port) Parse(string name)
    {
        int colon = name.LastIndexOf(':'), bracket = name.IndexOf(']');
        bool hasPort = colon > bracket && (bracket > 0 || name.IndexOf(':') == colon);
        string host = (hasPort ? name[..colon] : name).Trim('[', ']');
        int port = ControlWire.DefaultPort;
        if (host.Length == 0 || (hasPort && (!int.TryParse(name.AsSpan(colon + 1), System.Globalization.NumberStyles.None, null, out port) || port is 0 or > 65535)))
            throw new TrecrException(TrecrError.HostUnreachable, $"{Variable} is '{name}', which is not HOST or HOST:PORT");
        return (host, port);
    }

    private static ControlChannel Connect(string what, IEnumerable<IPEndPoint> points, HostIdentity identity, Func<string, bool> trusts)
    {
        List<string> reasons = [];
        foreach (IPEndPoint point in points)
        {
            Socket socket = new(point.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                using CancellationTokenSource limit = new(ConnectMs);
                socket.ConnectAsync(point, limit.Token).AsTask().GetAwaiter().GetResult();
                return HostBridge.Start(socket, HostTls.Connect(socket, identity, trusts));
            }
            catch (Exception e) when (e is SocketException or IOException or AuthenticationException or OperationCanceledException)
            {
                socket.Dispose();
                reasons.Add($"{point}: {(e is OperationCanceledException ? $"no answer within {ConnectMs} ms" : e.Message)}");
            }
        }
        throw new TrecrException(TrecrError.HostUnreachable, $"{what} cannot be reached: {(reasons.Count == 0 ? "it has no address" : string.Join("; ", reasons))}");
    }
}
