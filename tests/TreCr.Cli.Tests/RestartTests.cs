using System.Text.Json;
using NUnit.Framework;
using TreCr.Linux;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>Checkpoint, kill, restart of a program without CUDA; honest as testing.md asks: nonce, start counter, continued work, output exactly once.</summary>
[TestFixture(false), TestFixture(true)]
public sealed class RestartTests(bool unprivileged)
{
    private const int Steps = 120;
    private Workplace _place = null!;

    [SetUp]
    public void SetUp() => _place = new Workplace(unprivileged);

    [TearDown]
    public void TearDown() => _place.Dispose();

    /// <summary>What an uninterrupted run prints, without the nonce and pid.</summary>
    private static string[] Expected => s_expected ??= Uninterrupted();

    private static string[]? s_expected;

    private static string[] Uninterrupted()
    {
        using Workplace place = new();
        using RunningProgram plain = new(place.CounterProgram, [place.StartFile, $"{Steps}", "-"], new Dictionary<string, string>());
        Assert.That(plain.WaitForExit(Workplace.Limit), Is.EqualTo(7));
        return [.. plain.Output.Where(l => l.StartsWith("step "))];
    }

    private void CheckWhole(string[] before, string[] after)
    {
        string[] all = [.. before, .. after];
        Assert.That(all.Where(l => l.StartsWith("step ")), Is.EqualTo(Expected), "every step once, in order, with the same sums");
        string nonce = all.Single(l => l.StartsWith("nonce ")), end = all.Single(l => l.StartsWith("end "));
        Assert.That(end, Is.EqualTo($"end {nonce}"), "the first run's nonce and pid");
        Assert.That(_place.Starts, Is.EqualTo(1), "main() ran once");
    }

    [Test]
    public void Stop_ThenRestart_GivesTheOutputOfAnUninterruptedRun()
    {
        using RunningProgram run = _place.StartCounter(Steps);
        string id = _place.Checkpoint("--stop");
        Assert.That(id, Is.EqualTo("count.1"));
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(137));
        _place.Release();
        using RunningProgram restart = _place.Start("restart", "count");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        Assert.That(restart.Errors, Does.Match(@"trecr: restarted count\.1 in \d+ ms"));
        CheckWhole(run.Output, restart.Output);
    }

    [Test]
    public void ThreeCheckpoints_ThenKillOfEverything_ThenRestart()
    {
        using RunningProgram run = _place.StartCounter(Steps);
        for (int i = 1; i <= 3; i++)
        {
            Assert.That(_place.Checkpoint(), Is.EqualTo($"count.{i}"));
            int step = 2 + i * 5;
            run.WaitForLine(l => l.StartsWith($"step {step} "), Workplace.Limit);
        }
        int init = _place.Rank().GetProperty("init_pid").GetInt32();
        foreach (int coordinator in _place.Coordinators()) Workplace.Kill(coordinator);
        Workplace.Kill(_place.Unwrap(run));
        Workplace.WaitForEnd(init);
        run.WaitForExit(Workplace.Limit);
        _place.Release();
        using RunningProgram restart = _place.Start("restart", "count");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        // What was printed after the last checkpoint comes again.
        string first = restart.Output.First(l => l.StartsWith("step "));
        CheckWhole([.. run.Output.TakeWhile(l => l != first)], restart.Output);
        Assert.That(_place.Do("verify").Code, Is.Zero);
    }

    [Test]
    public void CheckpointOfARestartedProgram_Restarts()
    {
        _place.PauseAt(20);
        using RunningProgram run = _place.StartCounter(Steps);
        _place.Checkpoint("--stop");
        run.WaitForExit(Workplace.Limit);
        _place.ContinueAt(20);
        using RunningProgram second = _place.Start("restart", "count");
        second.WaitForLine(l => l.StartsWith("step "), Workplace.Limit);
        Assert.That(_place.Checkpoint("--stop"), Is.EqualTo("count.2"));
        second.WaitForExit(Workplace.Limit);
        _place.Release();
        using RunningProgram third = _place.Start("restart", "count.2");
        Assert.That(third.WaitForExit(Workplace.Limit), Is.EqualTo(7), third.Errors);
        CheckWhole([.. run.Output, .. second.Output], third.Output);
    }

    /// <summary>Memory comes while the program runs: from a store that is renamed meanwhile, and from the next engine where the first is killed at once.</summary>
    [TestCase(false), TestCase(true)]
    public void Lazy_RunsOn(bool killEngine)
    {
        _place.PauseAt(20);
        using RunningProgram run = _place.StartCounter(Steps);
        _place.Checkpoint("--stop");
        run.WaitForExit(Workplace.Limit);
        _place.PauseAt(40);
        _place.ContinueAt(20);
        using RunningProgram second = _place.Start("restart", "count", "--lazy");
        second.WaitForLine(l => l.StartsWith("step "), Workplace.Limit);
        Assert.That(second.Errors.Contains("note: the memory was restored before the program ran: page faults of system calls"), Is.EqualTo(unprivileged), second.Errors);
        if (killEngine) Workplace.Kill(_place.Rank().GetProperty("engine_pid").GetInt32());
        else
        {
            Directory.Move(_place.StorePath, _place.StorePath + ".away");
            _place.ContinueAt(40);
            second.WaitForLine(l => l.StartsWith("step 41 "), Workplace.Limit);
            Directory.Move(_place.StorePath + ".away", _place.StorePath);
        }
        Assert.That(_place.Checkpoint("--stop"), Is.EqualTo("count.2"));
        second.WaitForExit(Workplace.Limit);
        _place.ContinueAt(40);
        _place.Release();
        using RunningProgram third = _place.Start("restart", "count.2", "--lazy");
        Assert.That(third.WaitForExit(Workplace.Limit), Is.EqualTo(7), third.Errors);
        CheckWhole([.. run.Output, .. second.Output], third.Output);
    }

    [Test]
    public void DeathOfEngineAndCoordinator_DoesNotHarmTheProgram()
    {
        using RunningProgram run = _place.StartCounter(Steps);
        _place.Checkpoint();
        Workplace.Kill(_place.Rank().GetProperty("engine_pid").GetInt32());
        foreach (int coordinator in _place.Coordinators()) Workplace.Kill(coordinator);
        Assert.That(_place.Checkpoint(), Is.EqualTo("count.2"));
        _place.Release();
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7), run.Errors);
        CheckWhole(run.Output, []);
    }

    [TestCase("DumpFrozen"), TestCase("DumpMemory"), TestCase("DumpCaptured"), TestCase("SupervisorFrozen", "errno"), TestCase("SupervisorCaptured", "errno"), TestCase("SupervisorResumed", "errno"), TestCase("StoreSync", "errno")]
    public void FailedCheckpoint_LeavesProgramAndEarlierCheckpoint(string point, string kind = "kill")
    {
        // In the second checkpoint: the first one is good. Memory is copied twice in each, once while the program runs.
        using RunningProgram run = _place.StartCounter(Steps, environment: new() { ["TRECR_FAULT"] = $"{point}:{point switch { "StoreSync" => 40, "DumpMemory" => 3, _ => 2 }}:{kind}" });
        Assert.That(_place.Checkpoint(), Is.EqualTo("count.1"));
        (int code, _, string errors) = _place.Do("checkpoint", "count");
        if (point != "StoreSync")
        {
            Assert.That(code, Is.Not.Zero);
            Assert.That(errors, Does.Match(@"^trecr: .* \(TRECR-0\d\d\d\)$"));
        }
        _place.Release();
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7), run.Errors);
        CheckWhole(run.Output, []);
        using RunningProgram restart = _place.Start("restart", "count.1");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        string first = restart.Output.First(l => l.StartsWith("step "));
        CheckWhole([.. run.Output.TakeWhile(l => l != first)], restart.Output);
    }

    [Test]
    public void UnreadInput_ComesAgain_AndOutputWrittenBeforeIsNotRepeated()
    {
        using RunningProgram run = _place.Start("run", "--job", "count", "--", "/bin/sh", "-c", "echo begun; while [ ! -e \"$0\" ]; do read -t 1 nothing </dev/null; done; echo goes on", _place.Hold);
        run.WaitForLine(l => l == "begun", Workplace.Limit);
        string? id = null;
        // A shell has a child now and then, which is refused; try again.
        for (int i = 0; i < 20 && id is null; i++)
            if (_place.Do("checkpoint", "count", "--stop") is { Code: 0 } done) id = done.Output[^1];
        Assert.That(id, Is.Not.Null);
        run.WaitForExit(Workplace.Limit);
        _place.Release();
        using RunningProgram restart = _place.Start("restart", "count");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.Zero, restart.Errors);
        Assert.That(restart.Output, Is.EqualTo(new[] { "goes on" }));
    }

    [Test]
    public void DeathOfTheSupervisor_EndsTheJob_AndCleanupRemovesWhatIsLeft()
    {
        using RunningProgram run = _place.StartCounter(100_000);
        _place.Checkpoint();
        int program = _place.Rank().GetProperty("host_pid").GetInt32(), engine = _place.Rank().GetProperty("engine_pid").GetInt32();
        Workplace.Kill(run.Id);
        Workplace.WaitForEnd(program);
        Workplace.WaitForEnd(engine);
        Assert.That(Directory.GetFiles($"{_place.Root}/run/trecr", "count.job"), Is.Not.Empty);
        (int code, _, string errors) = _place.Do("cleanup");
        Assert.That(code, Is.Zero, errors);
        Assert.That(Directory.GetFiles($"{_place.Root}/run/trecr").Select(Path.GetFileName), Has.None.Contains("count").And.None.Contains("session-"));
        _place.Release();
    }

    /// <summary>Who looks whether a dead job runs, or clears it away, has its lock for a moment, which may be long on a machine without time: the job's name is not taken by that.</summary>
    [Test]
    public void AMomentsLockOfADeadJob_DoesNotMakeItsNameTaken()
    {
        using RunningProgram run = _place.StartCounter(Steps);
        _place.Checkpoint();
        Workplace.Kill(_place.Unwrap(run));
        run.WaitForExit(Workplace.Limit);
        string file = $"{_place.Root}/run/trecr/count.job";
        int held = Sys.Open(file, Sys.O_RDWR | Sys.O_CLOEXEC);
        Assert.That(Sys.Flock(held, Sys.LOCK_EX | Sys.LOCK_NB), Is.Zero);
        _place.Release();
        using RunningProgram restart = _place.Start("restart", "count");
        // It looks again and again, and reads the file each time.
        (string last, int looks) = ("", 0);
        Assert.That(() =>
        {
            string now = Reads(restart.Id);
            if (now != last) looks++;
            last = now;
            return looks;
        }, Is.GreaterThan(100).After((int)Workplace.Limit.TotalMilliseconds, 1), () => restart.Errors);
        Sys.Close(held);
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);

        static string Reads(int pid)
        {
            try { return File.ReadLines($"/proc/{pid}/io").First(l => l.StartsWith("syscr:")); }
            catch (IOException) { return ""; }
        }
    }

    [Test]
    public void DeathOfInit_EndsTheJobWith125_AndNothingIsLeft()
    {
        using RunningProgram run = _place.StartCounter(100_000);
        _place.Checkpoint();
        JsonElement rank = _place.Rank();
        Workplace.Kill(rank.GetProperty("init_pid").GetInt32());
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(125));
        Assert.That(run.Errors, Does.Match(@"trecr: the job's init ended unexpectedly.*\(TRECR-0110\)"));
        foreach (string process in (string[])["host_pid", "engine_pid"]) Workplace.WaitForEnd(rank.GetProperty(process).GetInt32());
        Assert.That(Directory.GetFiles($"{_place.Root}/run/trecr").Select(Path.GetFileName), Has.None.Contains("count").And.None.Contains("session-"));
        _place.Release();
    }

    [TestCase("SupervisorGated"), TestCase("SupervisorFrozen"), TestCase("SupervisorResumed")]
    public void DeathOfTheSupervisorInACheckpoint_IsNamed_AndTheEarlierOneRestarts(string point)
    {
        using RunningProgram run = _place.StartCounter(Steps, environment: new() { ["TRECR_FAULT"] = $"supervisor/{point}:2:kill" });
        _place.Checkpoint();
        int program = _place.Rank().GetProperty("host_pid").GetInt32();
        (int code, _, string errors) = _place.Do("checkpoint", "count");
        Assert.That(code, Is.EqualTo(1), errors);
        Assert.That(errors, Does.Match(@"^trecr: the supervisor of rank 0 ended while the checkpoint was taken, and the program with it; restart .*\(TRECR-0110\)$"));
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(137));
        Workplace.WaitForEnd(program);
        _place.Release();
        using RunningProgram restart = _place.Start("restart", "count");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        Assert.That(_place.Starts, Is.EqualTo(1));
    }

    /// <summary>Killed while it is frozen: the engine must not hold the dead. The first checkpoint lets it go twice, after the tracking was set up too.</summary>
    [TestCase("DumpFrozen"), TestCase("DumpState"), TestCase("DumpCaptured"), TestCase("DumpDetach")]
    public void DeathOfTheProgramInACheckpoint_EndsTheJob(string point)
    {
        using RunningProgram run = _place.StartCounter(Steps, environment: new() { ["TRECR_FAULT"] = $"engine/{point}:{(point == "DumpDetach" ? 3 : 2)}:killpeer" });
        _place.Checkpoint();
        (int code, _, string errors) = _place.Do("checkpoint", "count");
        if (point != "DumpDetach") Assert.That((code, errors), Is.EqualTo((3, "trecr: the program ended while the checkpoint was taken; nothing to do where the program had ended; else `trecr restart JOB` (TRECR-0207)")));
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(137), run.Errors);
        _place.Release();
        using RunningProgram restart = _place.Start("restart", "count.1");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
    }

    [Test]
    public void Json_SaysWhatACheckpointTook()
    {
        using RunningProgram run = _place.StartCounter(Steps);
        (int code, string[] output, string errors) = _place.Do("checkpoint", "count", "--json");
        Assert.That(code, Is.Zero, errors);
        JsonElement json = JsonDocument.Parse(output.Single()).RootElement;
        Assert.That(json.GetProperty("schema").GetString(), Is.EqualTo("trecr.checkpoint/1"));
        Assert.That(json.GetProperty("checkpoint_id").GetString(), Is.EqualTo("count.1"));
        Assert.That(json.GetProperty("stop_time_us").GetUInt64(), Is.GreaterThan(0));
        Assert.That(json.GetProperty("bytes_total").GetUInt64(), Is.GreaterThan(4UL << 20));
        Assert.That(json.GetProperty("bytes_stored").GetUInt64(), Is.GreaterThan(0));
    }
}
