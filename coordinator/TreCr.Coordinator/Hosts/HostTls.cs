using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using TreCr.Control;

namespace TreCr.Coordinator;

/// <summary>TLS 1.3 in which both sides show a key, and each decides by the other's alone: no names, no authorities.</summary>
internal static class HostTls
{
    /// <summary>For a handshake, ms.</summary>
    private const int HandshakeMs = 10_000;

    /// <summary>As the side that listens.</summary>
    /// <param name="trusts">by fingerprint</param>
    /// <exception cref="AuthenticationException">not a peer of ours</exception>
    /// <exception cref="IOException">the peer is gone, or too slow</exception>
    public static SslStream Accept(Socket socket, HostIdentity identity, Func<string, bool> trusts)
        => Shake(socket, trusts, (stream, options) => stream.AuthenticateAsServer(new SslServerAuthenticationOptions
        {
            ServerCertificate = identity.Certificate, ClientCertificateRequired = true, EnabledSslProtocols = SslProtocols.Tls13, AllowTlsResume = false, RemoteCertificateValidationCallback = options,
        }));

    /// <summary>As the side that connects.</summary>
    /// <inheritdoc cref="Accept"/>
    public static SslStream Connect(Socket socket, HostIdentity identity, Func<string, bool> trusts)
        => Shake(socket, trusts, (stream, options) => stream.AuthenticateAsClient(new SslClientAuthenticationOptions
        {
            TargetHost = "trecr", ClientCertificates = [identity.Certificate], EnabledSslProtocols = SslProtocols.Tls13, AllowTlsResume = false, RemoteCertificateValidationCallback = options,
        }));

    private static SslStream Shake(Socket socket, Func<string, bool> trusts, Action<SslStream, RemoteCertificateValidationCallback> shake)
    {
        HostBridge.Watch(socket);
        (socket.ReceiveTimeout, socket.SendTimeout) = (HandshakeMs, HandshakeMs);
        SslStream stream = new(new NetworkStream(socket, ownsSocket: false));
        string? stranger = null;
        try
        {
            shake(stream, (_, certificate, _, _) =>
            {
                string fingerprint = certificate is null ? "" : HostIdentity.FingerprintOf(certificate as X509Certificate2 ?? new X509Certificate2(certificate));
                if (fingerprint.Length > 0 && trusts(fingerprint)) return true;
                stranger = fingerprint;
                return false;
            });
            return stream;
        }
        catch (Exception e) when (stranger is not null)
        {
            stream.Dispose();
            throw new AuthenticationException(stranger.Length == 0 ? "it shows no key" : $"its key {stranger} is not trusted", e);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }
}
