using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary><c>trecr run</c> of programs that nobody saves.</summary>
[TestFixture]
public sealed class RunTests
{
    private Workplace _place = null!;

    [SetUp]
    public void SetUp() => _place = new Workplace();

    [TearDown]
    public void TearDown() => _place.Dispose();

    [TestCase("exit 0", 0), TestCase("exit 42", 42), TestCase("kill -TERM $$", 143), TestCase("kill -KILL $$", 137), TestCase("kill -SEGV $$", 139)]
    public void ExitCodeIsThePrograms(string script, int code) => Assert.That(_place.Do("run", "--", "/bin/sh", "-c", script).Code, Is.EqualTo(code));

    [Test]
    public void OutputAndErrors_ComeThrough_AndThePidIsKept()
    {
        (int code, string[] output, string errors) = _place.Do("run", "--job", "x1", "--", "/bin/sh", "-c", "echo out $TRECR_JOB; echo err >&2; seq 1 20000 | tail -1");
        Assert.That(code, Is.Zero);
        Assert.That(output, Is.EqualTo(new[] { "out x1", "20000" }));
        Assert.That(errors, Does.Contain("err"));
    }

    [TestCase("nothing-of-this-name", 127, "TRECR-0101"), TestCase("/etc/nothing", 127, "TRECR-0101"), TestCase("/etc/passwd", 126, "TRECR-0102"), TestCase("/etc", 126, "TRECR-0102")]
    public void ProgramsThatCannotBeRun(string program, int code, string number)
    {
        (int got, _, string errors) = _place.Do("run", "--", program);
        Assert.That(got, Is.EqualTo(code));
        Assert.That(errors.Split('\n'), Has.Length.EqualTo(1));
        Assert.That(errors, Does.StartWith("trecr: cannot run ").And.Contains(number));
    }

    /// <summary>Files with the right to be executed that the kernel cannot execute.</summary>
    [TestCase("just text\n"), TestCase("\u007fELF and then nothing")]
    public void FilesThatAreNoPrograms(string content)
    {
        string path = $"{_place.Root}/file";
        File.WriteAllText(path, content);
        File.SetUnixFileMode(path, (UnixFileMode)0x1ED);
        (int code, _, string errors) = _place.Do("run", "--", path);
        Assert.That(code, Is.EqualTo(126), errors);
        Assert.That(errors, Does.Match(@"^trecr: cannot run .*TRECR-0102\)$"));
    }

    [Test]
    public void RunInsideRun_IsRefused()
    {
        (int code, _, string errors) = _place.Do("run", "--", _place.Trecr, "run", "--", "/bin/true");
        Assert.That(code, Is.EqualTo(125));
        Assert.That(errors, Does.Contain("TRECR-0103"));
    }

    [Test]
    public void BadJobName_IsRefused()
    {
        (int code, _, string errors) = _place.Do("run", "--job", "a/b", "--", "/bin/true");
        Assert.That(code, Is.EqualTo(125));
        Assert.That(errors, Does.Contain("TRECR-0104"));
    }

    [Test]
    public void NameOfARunningJob_IsRefused()
    {
        using RunningProgram run = _place.StartCounter(1000);
        (int code, _, string errors) = _place.Do("run", "--job", "count", "--", "/bin/true");
        Assert.That(code, Is.EqualTo(125));
        Assert.That(errors, Does.Contain("TRECR-0105"));
    }

    [Test]
    public void Usage_IsExit2_OnOtherVerbs_And125OnRun()
    {
        Assert.That(_place.Do("checkpoint").Code, Is.EqualTo(2));
        Assert.That(_place.Do("list", "--what").Code, Is.EqualTo(2));
        Assert.That(_place.Do("nonsense").Code, Is.EqualTo(2));
        Assert.That(_place.Do("run", "--what", "--", "/bin/true").Code, Is.EqualTo(125));
        (int code, _, string errors) = _place.Do("migrate", "a", "b");
        Assert.That(code, Is.EqualTo(2));
        Assert.That(errors, Does.Contain("migrate").And.Contains("TRECR-0002"));
    }

    [Test]
    public void EveryVerb_HasHelpWithExamples()
    {
        foreach (string verb in (string[])["run", "checkpoint", "restart", "status", "list", "inspect", "verify", "diff", "gc", "du", "stop", "check", "doctor", "cleanup", "coordinator", "faults", "repair", "export", "import", "completion", "manual"])
        {
            (int code, string[] output, _) = _place.Do(verb, "--help");
            Assert.That(code, Is.Zero, verb);
            Assert.That(output, Has.Some.Contains($"trecr {verb}"), verb);
            Assert.That(output, Does.Contain("examples:"), verb);
        }
    }

    [Test]
    public void Stop_EndsAJob()
    {
        using RunningProgram run = _place.StartCounter(100_000);
        Assert.That(_place.Do("stop", "count").Code, Is.Zero);
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(143));
        Assert.That(_place.Do("stop", "count").Code, Is.EqualTo(3));
    }

    /// <summary>What completion prints is a script that completes; what manual prints is a page.</summary>
    [Test]
    public void CompletionAndManual_AreMadeOfTheSameTables()
    {
        string script = $"{_place.Root}/completion";
        File.WriteAllLines(script, [.. _place.Do("completion", "bash").Output, "COMP_WORDS=(trecr re); COMP_CWORD=1; _trecr; echo \"${COMPREPLY[@]}\"", "COMP_WORDS=(trecr restart --cp); COMP_CWORD=2; _trecr; echo \"${COMPREPLY[@]}\""]);
        using (RunningProgram bash = new("/bin/bash", ["--norc", script], new Dictionary<string, string>()))
        {
            Assert.That(bash.WaitForExit(Workplace.Limit), Is.Zero, bash.Errors);
            Assert.That(bash.Output, Is.EqualTo(new[] { "restart repair report", "--cpus" }), bash.Errors);
        }
        Assert.That(_place.Do("completion", "fish").Code, Is.EqualTo(2));
        string[] page = _place.Do("manual").Output;
        Assert.That(page[0], Does.StartWith(".TH TRECR 1"));
        Assert.That(page, Has.Some.StartsWith(".SS checkpoint").And.Some.Contains("\\-\\-store\\-limit"));
        Assert.That(page.Where(l => l.Contains(" engine ")), Is.Empty, "hidden");
    }
}
