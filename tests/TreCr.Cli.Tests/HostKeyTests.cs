using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>Who may speak to a coordinator that serves other hosts.</summary>
public sealed partial class HostKeyTests
{
    private Workplace _place = null!;
    private RunningProgram _coordinator = null!;
    private int _port;

    [SetUp]
    public void Enter()
    {
        _place = new Workplace();
        using (TcpListener free = new(IPAddress.Loopback, 0))
        {
            free.Start();
            _port = ((IPEndPoint)free.LocalEndpoint).Port;
        }
        _coordinator = _place.Start(Variables("mine"), "coordinator", "--port", $"{_port}");
        _coordinator.WaitForError($"for other hosts, on port {_port} with the key", Workplace.Limit);
    }

    [TearDown]
    public void Leave() => _place?.Dispose();

    [Test]
    public void KeysThatAreTrusted_AreLetIn_OthersAreNot()
    {
        (int code, _, string errors) = Status("mine");
        Assert.That(code, Is.Zero, errors);
        Assert.That(errors, Does.Contain("no jobs run"));

        (code, _, errors) = Status("other");
        Assert.That(code, Is.EqualTo(1));
        Assert.That(errors, Does.Contain("TRECR-0011").And.Contain($"its key {Key("mine")} is not trusted"));
        File.WriteAllText($"{_place.Root}/other/trecr/trusted_keys", $"# none\n{Key("mine")} the coordinator\n");
        (code, _, errors) = Status("other");
        Assert.That(code, Is.EqualTo(1), "the coordinator does not trust it");
        _coordinator.WaitForError("refused a connection", Workplace.Limit);
        File.WriteAllText($"{_place.Root}/mine/trecr/trusted_keys", $"{Key("other")}\n");
        (code, _, errors) = Status("other");
        Assert.That(code, Is.Zero, errors);

        // A key that others can read is nobody's.
        File.SetUnixFileMode($"{_place.Root}/other/trecr/identity.pem", (UnixFileMode)0x1A4);
        (code, _, errors) = Status("other");
        Assert.That(code, Is.EqualTo(7));
        Assert.That(errors, Does.Contain("TRECR-0010").And.Contain("others may read or write it (mode 644)"));
    }

    [Test]
    public void Strangers_DoNotDisturb()
    {
        Random random = new(11);
        List<TcpClient> silent = [];
        for (int i = 0; i < 40; i++)
        {
            TcpClient client = new("127.0.0.1", _port);
            silent.Add(client);
            if (i % 2 == 0) continue; // says nothing
            byte[] noise = new byte[random.Next(1, 2000)];
            random.NextBytes(noise);
            if (i % 4 == 1) noise[0] = 0x16; // looks like the begin of a handshake
            client.GetStream().Write(noise);
        }
        (int code, _, string errors) = Status("mine");
        Assert.That(code, Is.Zero, errors);
        foreach (TcpClient client in silent) client.Dispose();
        (code, _, errors) = _place.Do(Variables("mine"), "status");
        Assert.That(code, Is.Zero, errors);
        Assert.That(_coordinator.Errors, Does.Contain("refused a connection"));
    }

    private (int Code, string[] Output, string Errors) Status(string user) => _place.Do(new Dictionary<string, string>(Variables(user)) { ["TRECR_COORDINATOR"] = $"127.0.0.1:{_port}" }, "status");

    private Dictionary<string, string> Variables(string user) => new() { ["XDG_CONFIG_HOME"] = $"{_place.Root}/{user}" };

    /// <summary>The key's fingerprint, as openssl sees it.</summary>
    private string Key(string user)
    {
        string path = $"{_place.Root}/{user}/trecr/identity.pem";
        using System.Security.Cryptography.ECDsa key = System.Security.Cryptography.ECDsa.Create();
        key.ImportFromPem(PrivateKey().Match(File.ReadAllText(path)).Value);
        return Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(key.ExportSubjectPublicKeyInfo()));
    }

    [GeneratedRegex("-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----", RegexOptions.Singleline)]
    private static partial Regex PrivateKey();
}
