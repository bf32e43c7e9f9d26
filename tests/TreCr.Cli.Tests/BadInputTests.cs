using System.Net;
using System.Net.Sockets;
using NUnit.Framework;
using TreCr.Images;
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
        Fails(3, "TRECR-0405", "restart", "nojob");
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
        string newer = $"trecr-store {FormatVersion.Newest + 1}";
        UInt128 hash = XxHash.XxHash128.HashToUInt128(System.Text.Encoding.ASCII.GetBytes(newer));
        File.WriteAllText($"{_place.StorePath}/format", $"{newer} {hash:x32}\n");
        Fails(9, "TRECR-0402", "list");
        Fails(9, "TRECR-0402", "restart", "job");
        Fails(125, "TRECR-0402", "run", "--", "/bin/true");
    }

    [Test]
    public void OneFlippedBit_IsNamed_AndTheEarlierCheckpointIsGood()
    {
        _place.PauseAt(5);
        using RunningProgram run = _place.StartCounter(50);
        _place.Checkpoint();
        _place.ContinueAt(5);
        HashSet<string> before = [.. Directory.GetFiles($"{_place.StorePath}/packs", "*.pack")];
        run.WaitForLine(l => l.StartsWith("step 10 "), Workplace.Limit);
        _place.Checkpoint("--stop");
        run.WaitForExit(Workplace.Limit);
        string pack = Directory.GetFiles($"{_place.StorePath}/packs", "*.pack").Except(before).MaxBy(f => new FileInfo(f).Length)!;
        byte[] bytes = File.ReadAllBytes(pack);
        File.SetUnixFileMode(pack, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        // A frame that was written again while it was copied ahead lies in the pack in both states, and only the last belongs to the checkpoint: another bit, then.
        int tries = 0;
        for (int at = bytes.Length / 2; tries == 0 || _place.Do("verify", "count.2").Code == 0; at = (at + bytes.Length * 5 / 13) % bytes.Length)
        {
            Assert.That(tries++, Is.LessThan(20), "no bit of the pack is looked at");
            bytes[at] ^= 1;
            File.WriteAllBytes(pack, bytes);
            bytes[at] ^= 1;
        }
        TestContext.Out.WriteLine($"bits flipped: {tries}");
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
        using RunningProgram run = _place.StartCounter(50);
        _place.Checkpoint();
        // An engine that stands still makes the first one last as long as this test wants.
        int engine = _place.Rank().GetProperty("engine_pid").GetInt32();
        Assert.That(Sys.Kill(engine, Sys.SIGSTOP), Is.Zero);
        using RunningProgram first = _place.Start("checkpoint", "count");
        long end = Environment.TickCount64 + (long)Workplace.Limit.TotalMilliseconds;
        while (!_place.Do("status", "--json").Output[0].Contains("\"epoch_under_way\":2")) Assert.That(Environment.TickCount64, Is.LessThan(end), "the first checkpoint does not begin");
        Fails(4, "TRECR-0202", "checkpoint", "count");
        Sys.Kill(engine, Sys.SIGCONT);
        Assert.That(first.WaitForExit(Workplace.Limit), Is.Zero, first.Errors);
        _place.Release();
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7));
    }

    [Test]
    public void WhatCannotBeSaved_IsNamed_AndTheProgramRunsOn()
    {
        using TcpListener outside = new(IPAddress.Loopback, 0);
        outside.Start();
        using RunningProgram run = _place.Start("run", "--job", "count", "--", "/bin/bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/$0; echo begun; read -t 60 nothing <&3; echo end", $"{((IPEndPoint)outside.LocalEndpoint).Port}");
        using (Socket connection = outside.AcceptSocket())
        {
            run.WaitForLine(l => l == "begun", Workplace.Limit);
            (int code, _, string errors) = _place.Do("checkpoint", "count");
            Assert.That(code, Is.EqualTo(7), errors);
            Assert.That(errors, Does.Contain("TCP").And.Contains("descriptor 3").And.Contains("TRECR-0203"));
            Assert.That(_place.Do("check", "count").Code, Is.EqualTo(7));
        }
        Assert.That(run.WaitForExit(Workplace.Limit), Is.Zero);
        Assert.That(run.Output, Does.Contain("end"));
    }

    /// <summary>What surely does not fit is refused by name, and the program has not been stopped.</summary>
    [Test]
    public void TooSmallDisk_RefusesBeforeAnythingIsStopped()
    {
        if (Sys.EffectiveUserId() != 0) Assert.Ignore("only root can mount a small tmpfs");
        string small = $"{_place.Root}/small", program = $"{_place.Root}/memory";
        Directory.CreateDirectory(small);
        using (RunningProgram compile = new("gcc", ["-O1", "-pthread", "-o", program, Path.Combine(Repository.Root, "tests/TreCr.Benchmarks/programs/memory.c")], new Dictionary<string, string>()))
            Assert.That(compile.WaitForExit(Workplace.Limit), Is.Zero, compile.Errors);
        using (RunningProgram mount = new("/bin/mount", ["-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", small], new Dictionary<string, string>()))
            if (mount.WaitForExit(Workplace.Limit) != 0) Assert.Ignore("no tmpfs can be mounted here");
        try
        {
            Dictionary<string, string> there = new() { ["TRECR_STORE"] = $"{small}/store", ["TRECR_HOME"] = _place.Bare(), ["TRECR_FAULT"] = $"@{_place.Root}/fault" };
            File.WriteAllText($"{_place.Root}/fault", "engine/DumpFrozen:2:errno"); // the second freeze is the stop; the first only arms the tracking
            using RunningProgram run = _place.Start(new Dictionary<string, string>(there), "run", "--job", "count", "--", program, "96", "1", "600");
            run.WaitForLine(l => l == "ready", Workplace.Limit);
            (int code, _, string errors) = _place.Do(new Dictionary<string, string>(there), "checkpoint", "count");
            Assert.That(code, Is.EqualTo(6), errors);
            Assert.That(errors, Does.Contain("TRECR-0404").And.Contain("MiB are free, so that nothing was begun"));
            Assert.That(File.Exists($"{_place.Root}/fault"), Is.True, "nothing was stopped");
            Assert.That(() => Directory.GetFiles($"{small}/store/packs"), Is.Empty.After((int)Workplace.Limit.TotalMilliseconds, 20)); // what was begun goes behind the answer
            Assert.That(_place.Do(new Dictionary<string, string>(there), "stop", "count").Code, Is.Zero);
            run.WaitForExit(Workplace.Limit);
        }
        finally
        {
            _place.Dispose();
            using RunningProgram unmount = new("/bin/umount", ["-l", small], new Dictionary<string, string>());
            unmount.WaitForExit(Workplace.Limit);
            Directory.Delete(_place.Root, true);
        }
    }

    /// <summary>The disk is full before, soon after, and later in the second checkpoint. The first stays good, and the next is taken when there is room again.</summary>
    [Test]
    public void FullDisk_FailsTheCheckpoint_NotTheProgram()
    {
        using RunningProgram holder = _place.EnterSmallDisk("64m");
        string inside = $"/proc/{holder.Id}/root{_place.Root}/small";
        Dictionary<string, string> there = new() { ["TRECR_STORE"] = $"{_place.Root}/small/store", ["TRECR_HOME"] = _place.Bare() };
        _place.PauseAt(5);
        using RunningProgram run = _place.StartCounter(50, environment: new(there), options: ["--store-limit", "1T"]);
        Assert.That(_place.Do(new Dictionary<string, string>(there), "checkpoint", "count").Code, Is.Zero);
        // From here on all of its pages are other ones.
        _place.PauseAt(10);
        _place.ContinueAt(5);
        run.WaitForLine(l => l.StartsWith("step 9 "), Workplace.Limit);
        foreach (int leftKiB in (int[])[0, 64, 512])
        {
            using (FileStream filler = File.Create($"{inside}/filler"))
            {
                DriveInfo drive = new(inside);
                byte[] block = new byte[4096];
                long blocks = drive.AvailableFreeSpace / block.Length - leftKiB / 4;
                for (long i = 0; i < blocks; i++) filler.Write(block);
            }
            (int code, _, string errors) = _place.Do(new Dictionary<string, string>(there), "checkpoint", "count");
            Assert.That(code, Is.EqualTo(6), $"{leftKiB} KiB left: {errors}");
            Assert.That(errors, Does.Contain("TRECR-0404"));
            File.Delete($"{inside}/filler");
            Assert.That(_place.Do(new Dictionary<string, string>(there), "verify", "count").Code, Is.Zero);
            // What was begun goes behind the answer, and its room must not come when the disk is filled again.
            Assert.That(() => _place.Rank().GetProperty("state").GetString(), Is.EqualTo("running").After((int)Workplace.Limit.TotalMilliseconds, 20));
        }
        (int again, string[] output, string why) = _place.Do(new Dictionary<string, string>(there), "checkpoint", "count", "--stop");
        Assert.That(again, Is.Zero, why);
        run.WaitForExit(Workplace.Limit);
        _place.ContinueAt(10);
        _place.Release();
        using RunningProgram restart = _place.Start(new Dictionary<string, string>(there), "restart", output[^1]);
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        Assert.That(_place.Starts, Is.EqualTo(1));
    }

    /// <summary>A program into which no library can be loaded: it is told what does not work and what does, and that does.</summary>
    [Test]
    public void StaticProgram_IsTold_AndCanBeSavedAllTheSame()
    {
        string program = _place.CompileCounter("-static");
        using RunningProgram run = _place.StartCounter(60, program: program);
        _place.Checkpoint("--stop");
        run.WaitForExit(Workplace.Limit);
        string[] notes = [.. run.Errors.Split('\n').Where(l => l.StartsWith("trecr: ") && !l.StartsWith("trecr: job count was stopped"))];
        Assert.That(notes, Has.One.Items);
        Assert.That(notes[0], Does.Match("trecr: note: .*counter is a static program, so its CUDA calls.*cannot be taken over; it runs and can be saved"));
        _place.Release();
        using RunningProgram restart = _place.Start("restart", "count");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        Assert.That(_place.Starts, Is.EqualTo(1));
        (int code, string[] output, _) = _place.Do("check", "--", program);
        Assert.That((code, output[0]), Is.EqualTo((7, $"{program} is a static program: its CUDA calls cannot be taken over")));
    }

    /// <summary>Options of cli.md that this version does not have are refused by name.</summary>
    [TestCase("checkpoint", "--max-extra-memory"), TestCase("checkpoint", "--bundle")]
    public void OptionsOfLater_AreNamed(string verb, string option)
    {
        (int code, _, string errors) = _place.Do(verb, option, "job");
        Assert.That(code, Is.EqualTo(2));
        Assert.That(errors, Does.StartWith($"trecr: trecr {verb} {option}: this version does not have this option").And.EndsWith("(TRECR-0002)"));
    }
}
