using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>
/// Device memory that arrives while the program runs (<c>restart --lazy</c>): right whoever dies meanwhile, whatever becomes of the store, and with a checkpoint in the middle.
/// "In the middle" is made certain: the process that brings the memory is stopped by a signal when it has begun.
/// </summary>
public sealed class LazyDeviceTests
{
    private string _directory = "";
    private Sample _program = null!;

    [OneTimeSetUp]
    public void Compile()
    {
        if (Environment.UserName != "root") Assert.Ignore("only root's page faults of system calls are served");
        _directory = Directory.CreateTempSubdirectory("trecr-lazydevice-").FullName;
        _program = new Sample("largedevice", [], "largedevice: ", 0) { Path = $"{_directory}/largedevice" };
        using RunningProgram compile = new(Path.Combine(Repository.Root, "samples/compile.sh"), [Path.Combine(Repository.Root, "tests/programs/cuda/largedevice.cu"), _program.Path, $"{_directory}/obj"], new Dictionary<string, string>());
        Assert.That(compile.WaitForExit(Job.Limit), Is.Zero, compile.Errors);
    }

    [OneTimeTearDown]
    public void Remove()
    {
        if (_directory.Length > 0) Directory.Delete(_directory, true);
    }

    /// <summary>Runs the program, takes a checkpoint and ends it.</summary>
    private static (string Id, string[] Output) Begin(Job job)
    {
        RunningProgram run = job.Run(held: true);
        run.WaitForLine(l => Sample.Unit(l) > 3, Job.Limit);
        string id = job.Checkpoint(stop: true);
        Assert.That(run.WaitForExit(Job.Limit), Is.Not.EqualTo(1), run.Errors);
        return (id, run.Output);
    }

    private static void ExpectRight(Job job, RunningProgram last, string[] first)
    {
        job.Release();
        int code = last.WaitForExit(Job.Limit);
        Assert.That(code, Is.Zero, last.Errors + string.Join('\n', last.Output));
        Assert.That(last.Output, Does.Contain("largedevice: PASSED"));
        RunMark? begin = Sample.MarkOf(first, "begin"), end = Sample.MarkOf(last.Output, "end");
        Assert.That(end?.Nonce, Is.Not.Null.And.EqualTo(begin?.Nonce), "nonce");
        Assert.That(job.Starts, Is.EqualTo(1));
    }

    /// <summary>Restarts lazily; the process that brings the memory is stopped when it has begun.</summary>
    /// <param name="reading">not before it has opened the store</param>
    private static (RunningProgram Run, int Server) StopInTheMiddle(Job job, string id, bool reading = false)
    {
        job.Environment["TRECR_FAULT"] = "pages/LazyCopied:5:delay"; // so that it is found before it is done
        RunningProgram run = job.Restart(id, "--lazy");
        long end = Environment.TickCount64 + (long)Job.Limit.TotalMilliseconds;
        int server;
        for (int seen = 0; (server = run.Descendants().FirstOrDefault(IsServer)) == 0 || reading && !Reads(server, job.StorePath); seen = server)
        {
            if (server == 0 && seen != 0) break; // it was faster than we are
            Assert.That(Environment.TickCount64, Is.LessThan(end), run.Errors);
            Thread.Yield();
        }
        Signal(server, "STOP");
        job.Environment.Remove("TRECR_FAULT");
        return (run, server);
    }

    private static bool Reads(int pid, string store)
    {
        try { return Directory.GetFiles($"/proc/{pid}/fd").Any(f => File.ResolveLinkTarget(f, false)?.FullName is { } opened && opened.StartsWith(store, StringComparison.Ordinal) && opened.EndsWith(".pack", StringComparison.Ordinal)); }
        catch (IOException) { return false; }
    }

    private static void Signal(int pid, string signal)
    {
        if (pid == 0) return;
        using RunningProgram kill = new("/bin/kill", [$"-{signal}", $"{pid}"], new Dictionary<string, string>());
        Assert.That(kill.WaitForExit(Job.Limit), Is.Zero, kill.Errors);
    }

    private static bool IsServer(int pid)
    {
        try { return File.ReadAllText($"/proc/{pid}/cmdline").Split('\0') is [_, "pages", ..]; }
        catch (IOException) { return false; }
    }

    [Test]
    public void Memory_that_comes_late_is_right()
    {
        using Job job = new(_program);
        (string id, string[] output) = Begin(job);
        RunningProgram second = job.Restart(id, "--lazy");
        second.WaitForLine(l => Sample.Unit(l) > 0, Job.Limit);
        ExpectRight(job, second, output);
    }

    [Test]
    public void A_checkpoint_in_the_middle_waits_and_has_everything()
    {
        using Job job = new(_program);
        (string id, string[] output) = Begin(job);
        (RunningProgram second, int server) = StopInTheMiddle(job, id);
        job.WaitUntilRegistered(second);
        Task<string> checkpoint = Task.Run(() => job.Checkpoint(stop: true));
        while (!checkpoint.IsCompleted && job.Rank().GetProperty("state").GetString() != "preparing") { }
        Assert.That(checkpoint.IsCompleted, Is.False, "memory is missing");
        Signal(server, "CONT");
        string next = checkpoint.GetAwaiter().GetResult();
        second.WaitForExit(Job.Limit);
        ExpectRight(job, job.Restart(next, "--lazy"), output);
    }

    [Test]
    public void Another_server_goes_on_where_one_was_killed()
    {
        using Job job = new(_program);
        (string id, string[] output) = Begin(job);
        (RunningProgram second, int server) = StopInTheMiddle(job, id);
        Signal(server, "KILL");
        ExpectRight(job, second, output);
    }

    [Test]
    public void A_store_that_is_renamed_meanwhile_is_read_on()
    {
        using Job job = new(_program);
        (string id, string[] output) = Begin(job);
        (RunningProgram second, int server) = StopInTheMiddle(job, id, reading: true);
        Directory.Move(job.StorePath, job.StorePath + ".away");
        Signal(server, "CONT");
        ExpectRight(job, second, output);
    }

    [Test]
    public void A_store_that_is_gone_ends_the_program_and_another_copy_restarts_it()
    {
        using Job job = new(_program);
        (string id, string[] output) = Begin(job);
        (RunningProgram second, int server) = StopInTheMiddle(job, id);
        string[] packs = Directory.GetFiles($"{job.StorePath}/packs", "*.pack");
        foreach (string pack in packs)
        {
            File.Copy(pack, pack + ".copy");
            using FileStream lost = new(pack, FileMode.Open);
            lost.SetLength(64);
        }
        Signal(server, "CONT");
        Assert.That(second.WaitForExit(Job.Limit), Is.EqualTo(128 + 9), second.Errors);
        Assert.That(second.Errors, Does.Contain("the program was killed"));
        foreach (string pack in packs) File.Move(pack + ".copy", pack, overwrite: true);
        ExpectRight(job, job.Restart(id, "--lazy"), output);
    }

    [Test]
    public void A_delegator_that_dies_in_the_middle_leaves_the_checkpoint_as_it_was()
    {
        using Job job = new(_program);
        (string id, string[] output) = Begin(job);
        (RunningProgram second, int server) = StopInTheMiddle(job, id);
        job.WaitUntilRegistered(second); // before that it is a restart that fails
        Job.KillProgramAndDelegator(second, _program);
        Signal(server, "CONT");
        Assert.That(second.WaitForExit(Job.Limit), Is.EqualTo(128 + 9), second.Errors);
        Assert.That(Job.WaitForEnd(server, Job.Limit), Is.True, "the server ends");
        ExpectRight(job, job.Restart(id), output);
    }
}
