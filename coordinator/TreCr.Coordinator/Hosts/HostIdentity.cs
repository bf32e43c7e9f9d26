using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Coordinator;

/// <summary>
/// By what this user is known between hosts: an ECDSA key (P-256) with a certificate that it signs itself, in <c>$XDG_CONFIG_HOME/trecr/identity.pem</c>, made on first use and readable by this user only. Nobody vouches for
/// it: a peer is who shows a key that we trust.
/// </summary>
/// <remarks>Trusted are our own key (the home directory is often the same on all hosts) and those whose fingerprints stand in <c>trusted_keys</c> beside it, one a line, behind each what the user likes.</remarks>
public sealed class HostIdentity
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private readonly string _directory;

    private HostIdentity(string directory, X509Certificate2 certificate)
    {
        (_directory, Certificate) = (directory, certificate);
        Fingerprint = FingerprintOf(certificate);
    }

    public X509Certificate2 Certificate { get; }

    /// <summary>SHA-256 of the public key (SubjectPublicKeyInfo, RFC 5280 §4.1), 64 hexadecimal digits.</summary>
    public string Fingerprint { get; }

    public static string FingerprintOf(X509Certificate2 certificate) => Convert.ToHexStringLower(SHA256.HashData(certificate.PublicKey.ExportSubjectPublicKeyInfo()));

    /// <summary>Reads the key, and makes it where there is none.</summary>
    /// <exception cref="TrecrException">HostKey: it cannot be read or made, belongs to another user, or is open to others</exception>
    public static HostIdentity Open()
    {
        string home = Environment.GetEnvironmentVariable("XDG_CONFIG_HOME") is { Length: > 0 } given && given[0] == '/' ? given : $"{Environment.GetEnvironmentVariable("HOME")}/.config";
        return Open($"{home}/trecr");
    }

    /// <inheritdoc cref="Open()"/>
    public static HostIdentity Open(string directory)
    {
        string path = $"{directory}/identity.pem";
        try
        {
            if (!File.Exists(path)) Make(directory, path);
            RequirePrivate(path);
            string text = File.ReadAllText(path);
            return new HostIdentity(directory, X509Certificate2.CreateFromPem(text, text));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException) { throw new TrecrException(TrecrError.HostKey, $"cannot use the key for other hosts, {path}: {e.Message}", e); }
    }

    /// <summary>Whether a peer with this key may speak to us.</summary>
    public bool Trusts(string fingerprint)
    {
        if (fingerprint == Fingerprint) return true;
        string list = $"{_directory}/trusted_keys";
        if (!File.Exists(list)) return false;
        try
        {
            RequirePrivate(list, mayBeRead: true);
            return File.ReadLines(list).Any(line => line.Split(' ', '\t')[0].Equals(fingerprint, StringComparison.OrdinalIgnoreCase));
        }
        catch (IOException e) { throw new TrecrException(TrecrError.HostKey, $"cannot use {list}: {e.Message}", e); }
    }

    private static void Make(string directory, string path)
    {
        Directory.CreateDirectory(directory, Private | UnixFileMode.UserExecute);
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        // The dates say nothing: hosts' clocks differ, and what counts is the key.
        using X509Certificate2 certificate = new CertificateRequest("CN=trecr", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UnixEpoch, new DateTimeOffset(9999, 1, 1, 0, 0, 0, TimeSpan.Zero));
        string temporary = $"{path}.{Environment.MachineName}-{Environment.ProcessId}";
        try
        {
            using (FileStream file = new(temporary, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = Private }))
            {
                file.Write(System.Text.Encoding.ASCII.GetBytes($"{key.ExportPkcs8PrivateKeyPem()}\n{certificate.ExportCertificatePem()}\n"));
                file.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: false); // of several at once the first one's counts
        }
        catch (IOException) when (File.Exists(path)) { }
        finally { File.Delete(temporary); }
    }

    private static void RequirePrivate(string path, bool mayBeRead = false)
    {
        if (Sys.TryStat(path, out FileFacts facts) < 0) throw new IOException("it cannot be read");
        if (facts.UserId != Sys.EffectiveUserId()) throw new IOException($"it belongs to user {facts.UserId}");
        if ((facts.Mode & (mayBeRead ? 0x12 : 0x3F)) != 0) throw new IOException($"others may {(mayBeRead ? "write" : "read or write")} it (mode {Convert.ToString(facts.Mode & 0x1FF, 8)})");
    }
}
