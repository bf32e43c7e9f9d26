using NUnit.Framework;
using TreCr.Linux;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>"Bad input": one clear line on stderr, its exit code, the running program unharmed, the last good checkpoint good.</summary>
[TestFixture]
public sealed class BadInputTests
{
    private Workplace _place = null!;

    [SetUp]
    public void SetUp() => _place = new Workplace();

    [TearDown]
    public void TearDown() => _place.Dispose();

    private void Fails(int code, string number, params string[] arguments)
    {
        (int got, _, string errors) = _place.Do(arguments);
        string[] lines = [.. errors.Split('\n').Where(l => !l.StartsWith("trecr: finding: "))];
        Assert.That(got, Is.EqualTo(code), errors);
        Assert.That(lines, Has.Length.EqualTo(1), errors);
        Assert.That(lines[0], Does.Match($@"^trecr: [^;]+; .+ \({number}\)$"));
    }

    [Test]
    public void WhatIsNotThere()
    {
        Fails(3, "TRECR-0201", "checkpoint", "nojob");
        Fails(3, "TRECR-0405", "inspect", "nojob.1");
        Assert.That(_place.Do("run", "--", "/bin/true").Code, Is.Zero);
        Fails(3, "TRECR-0301", "restart", "nojob");
        Fails(3, "TRECR-0405", "inspect", "nojob.1");
    }

    [Test]
    public void BrokenStores()
    {
        Directory.CreateDirectory($"{_place.Root}/other");
        File.WriteAllText($"{_place.Root}/other/file", "mine");
        Fails(5, "TRECR-0401", "list", "--store", $"{_place.Root}/other");
        Fails(125, "TRECR-0401", "run", "--store", $"{_place.Root}/other", "--", "/bin/true");
        Fails(3, "TRECR-0405", "list", "--store", $"{_place.Root}/missing");
        Assert.That(_place.Do("run", "--", "/bin/true").Code, Is.Zero);
        string format = $"{_place.StorePath}/format";
        string good = File.ReadAllText(format);
        File.WriteAllText(format, "trecr-store 1 0123\n");
        Fails(5, "TRECR-0403", "list");
        File.WriteAllText(format, good);
        Assert.That(_place.Do("list").Code, Is.Zero);
    }

    [Test]
    public void AStoreOfANewerFormat_IsRefusedWithItsVersion()
    {
        Assert.That(_place.Do("run", "--", "/bin/true").Code, Is.Zero);
        const string Newer = "trecr-store 2";
        UInt128 hash = XxHash.XxHash128.HashToUInt128(System.Text.Encoding.ASCII.GetBytes(Newer));
        File.WriteAllText($"{_place.StorePath}/format", $"{Newer} {hash:x32}\n");
        Fails(9, "TRECR-0402", "list");
        Fails(9, "TRECR-0402", "restart", "job");
        Fails(125, "TRECR-0402", "run", "--", "/bin/true");
    }

    [Test]
    public void OneFlippedBit_IsNamed_AndTheEarlierCheckpointIsGood()
    {
        using RunningProgram run = _place.StartCounter(50);
        _place.Checkpoint();
        HashSet<string> before = [.. Directory.GetFiles($"{_place.StorePath}/packs", "*.pack")];
        run.WaitForLine(l => l.StartsWith("step 10 "), Workplace.Limit);
        _place.Checkpoint("--stop");
        run.WaitForExit(Workplace.Limit);
        string pack = Directory.GetFiles($"{_place.StorePath}/packs", "*.pack").Except(before).MaxBy(f => new FileInfo(f).Length)!;
        byte[] bytes = File.ReadAllBytes(pack);
        bytes[bytes.Length / 2] ^= 1;
        File.SetUnixFileMode(pack, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.WriteAllBytes(pack, bytes);
        Fails(5, "TRECR-0403", "restart", "count.2");
        Assert.That(_place.Do("verify", "count.2").Code, Is.EqualTo(5));
        Assert.That(_place.Do("verify", "count.1").Code, Is.Zero);
        _place.Release();
        using RunningProgram restart = _place.Start("restart", "count.1");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        Assert.That(_place.Starts, Is.EqualTo(1));
    }

    [Test]
    public void RestartOfARunningJob_IsRefused()
    {
        using RunningProgram run = _place.StartCounter(50);
        _place.Checkpoint();
        Fails(4, "TRECR-0302", "restart", "count");
        _place.Release();
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7));
    }

    [Test]
    public void SecondCheckpointMeanwhile_IsRefused()
    {
        using RunningProgram run = _place.StartCounter(50, environment: new() { ["TRECR_FAULT"] = "DumpState:1:delay" });
        using RunningProgram first = _place.Start("checkpoint", "count");
        // Whichever comes second is told so; both succeed only where they did not overlap.
        (int code, _, string errors) = _place.Do("checkpoint", "count");
        int other = first.WaitForExit(Workplace.Limit);
        Assert.That(new[] { code, other }, Is.SubsetOf(new[] { 0, 4 }));
        Assert.That(new[] { code, other }, Does.Contain(0));
        if (code == 4) Assert.That(errors, Does.Contain("TRECR-0202"));
        _place.Release();
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7));
    }

    [Test]
    public void WhatCannotBeSaved_IsNamed_AndTheProgramRunsOn()
    {
        using RunningProgram run = _place.Start("run", "--job", "count", "--", "/bin/sh", "-c", "echo begun; sleep 3; echo end");
        run.WaitForLine(l => l == "begun", Workplace.Limit);
        (int code, _, string errors) = _place.Do("checkpoint", "count");
        Assert.That(code, Is.EqualTo(7), errors);
        Assert.That(errors, Does.Contain("sleep").And.Contains("TRECR-0203"));
        Assert.That(_place.Do("check", "count").Code, Is.EqualTo(7));
        Assert.That(run.WaitForExit(Workplace.Limit), Is.Zero);
        Assert.That(run.Output, Does.Contain("end"));
    }

    [Test]
    public void FullDisk_FailsTheCheckpoint_NotTheProgram()
    {
        if (Sys.EffectiveUserId() != 0) Assert.Ignore("only root can mount a small tmpfs");
        string small = $"{_place.Root}/small";
        Directory.CreateDirectory(small);
        using (RunningProgram mount = new("/bin/mount", ["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", small], new Dictionary<string, string>()))
            if (mount.WaitForExit(Workplace.Limit) != 0) Assert.Ignore("no tmpfs can be mounted here");
        try
        {
            Dictionary<string, string> there = new() { ["TRECR_STORE"] = $"{small}/store", ["TRECR_HOME"] = _place.Bare() };
            using RunningProgram run = _place.StartCounter(50, environment: there);
            (int code, _, string errors) = _place.Do(new Dictionary<string, string>(there), "checkpoint", "count");
            Assert.That(code, Is.EqualTo(6), errors);
            Assert.That(errors, Does.Contain("TRECR-0404"));
            _place.Release();
            Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7), run.Errors);
        }
        finally
        {
            _place.Dispose();
            using RunningProgram unmount = new("/bin/umount", ["-l", small], new Dictionary<string, string>());
            unmount.WaitForExit(Workplace.Limit);
        }
    }
}
