using System.Text;
using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>A store with a key as a user has it: run, checkpoint, kill, restart with the key, refused without; the key is nowhere but where it has to be.</summary>
[TestFixture]
public sealed class EncryptionCommandTests
{
    private Workplace _place = null!;

    [SetUp]
    public void SetUp() => _place = new Workplace();

    [TearDown]
    public void TearDown() => _place.Dispose();

    private string KeyFile(string name, string digits)
    {
        string path = $"{_place.Root}/{name}";
        File.WriteAllText(path, digits + "\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }

    private static string Digits() => Convert.ToHexStringLower(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32));

    [TestCase("TRECR_STORE_KEY_FILE")]
    [TestCase("TRECR_STORE_KEY_COMMAND")]
    public void AnEncryptedJobRestartsWithItsKeyOnly(string variable)
    {
        string digits = Digits(), file = KeyFile("key", digits), other = KeyFile("other", Digits());
        Dictionary<string, string> Key(string path) => new() { [variable] = variable.EndsWith("FILE") ? path : $"cat '{path}'" };
        using RunningProgram run = _place.StartCounter(50, environment: Key(file));
        string nonce = run.Output.First(l => l.StartsWith("nonce "))["nonce ".Length..];
        Assert.That(_place.Checkpoint(), Is.EqualTo("count.1"), "the coordinator has the key from the job, this command from nobody");
        Assert.That(_place.Checkpoint(), Is.EqualTo("count.2"));

        // The key and what the program holds are in no file here but the key's, in no argument, and not in the program's environment.
        foreach (string path in Directory.GetFiles(_place.Root, "*", SearchOption.AllDirectories).Where(p => p != file && p != other && !p.Contains("/wrappers/")))
        {
            byte[] bytes;
            try { bytes = File.ReadAllBytes(path); }
            catch (IOException) { continue; } // a socket
            Assert.That(bytes.AsSpan().IndexOf(Encoding.ASCII.GetBytes(digits)), Is.Negative, path);
            Assert.That(bytes.AsSpan().IndexOf(Convert.FromHexString(digits)), Is.Negative, path);
            if (path.StartsWith(_place.StorePath)) Assert.That(bytes.AsSpan().IndexOf(Encoding.ASCII.GetBytes(Path.GetFileName(_place.CounterProgram))), Is.Negative, $"{path}: the command line is for who has the key");
        }
        int program = _place.Rank().GetProperty("host_pid").GetInt32();
        Assert.That(File.ReadAllText($"/proc/{program}/environ"), Does.Contain("TRECR_JOB=").And.Not.Contain("TRECR_STORE_KEY"));
        foreach (string process in Directory.EnumerateDirectories("/proc").Where(d => char.IsAsciiDigit(d[^1])))
        {
            try { Assert.That(File.ReadAllText($"{process}/cmdline"), Does.Not.Contain(digits)); }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { } // it has ended
        }
        Workplace.Kill(run.Id);
        run.WaitForExit(Workplace.Limit);
        _place.Release();

        (int code, _, string errors) = _place.Do("restart", "count");
        Assert.That((code, errors), Is.EqualTo((7, errors)));
        Assert.That(errors, Does.Contain("none is given").And.Contain("TRECR-0410"));
        (code, _, errors) = _place.Do(Key(other), "verify");
        Assert.That((code, errors), Is.EqualTo((7, errors)));
        Assert.That(errors, Does.Contain("the one that is given is").And.Contain("TRECR-0410"));
        Assert.That(_place.Do(Key(file), "verify").Code, Is.Zero);
        (code, string[] output, errors) = _place.Do(Key(file), "restart", "count");
        Assert.That(code, Is.EqualTo(7), errors); // the counter's own exit code
        Assert.That(output[^1], Does.Contain(nonce));
        Assert.That(_place.Starts, Is.EqualTo(1));
    }

    [Test]
    public void AKeyThatIsNoneRefusesBeforeAnythingIsDone()
    {
        string open = KeyFile("open", Digits());
        File.SetUnixFileMode(open, UnixFileMode.UserRead | UnixFileMode.OtherRead);
        foreach ((string variable, string value, string says) in new[] { ("TRECR_STORE_KEY", "abc", "wants 64 hexadecimal digits"), ("TRECR_STORE_KEY_FILE", open, "others may read it"), ("TRECR_STORE_KEY_COMMAND", "exit 3", "ended with 3") })
        {
            (int code, _, string errors) = _place.Do(new Dictionary<string, string> { [variable] = value }, "run", "--", "/bin/true");
            Assert.That(code, Is.EqualTo(125), errors);
            Assert.That(errors, Does.Contain(says).And.Contain("TRECR-0410"));
            Assert.That(Directory.Exists(_place.StorePath), Is.False);
        }
    }
}
