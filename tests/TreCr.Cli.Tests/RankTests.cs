using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using NUnit.Framework;
using TreCr.Linux;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>Jobs of several ranks, below mpirun of Open MPI and of MPICH; the programs do not call MPI.</summary>
[TestFixture("openmpi"), TestFixture("mpich")]
public sealed class RankTests(string kind)
{
    private const int Steps = 40;
    private Workplace _place = null!;
    private string _program = "", _directory = "";

    private string Launcher => $"/usr/bin/mpirun.{kind}";

    [SetUp]
    public void Enter()
    {
        if (!File.Exists(Launcher)) Assert.Ignore($"no mpirun.{kind}");
        _place = new Workplace();
        _program = _place.Compile("ranks");
        _directory = $"{_place.Root}/d";
        Directory.CreateDirectory(_directory);
        Directory.CreateDirectory($"{_place.Root}/t");
    }

    [TearDown]
    public void Leave() => _place?.Dispose();

    [Test]
    public void KilledWithEverything_RestartsAsIfNothingHadHappened([Values(2, 4)] int ranks)
    {
        string[] expected = Uninterrupted(ranks);
        File.WriteAllText($"{_directory}/pause.12", "");
        RunningProgram run = Launch(ranks);
        AwaitStep(run, ranks, 11);
        Checkpoint("job.1");
        File.Delete($"{_directory}/pause.12");
        AwaitStep(run, ranks, 20);
        KillAll(run);
        string[] nonces = Nonces(ranks);
        File.WriteAllText($"{_directory}/hold", "");
        (int code, _, string errors) = Finish(Restart(ranks));
        Assert.That(code, Is.Zero, errors);
        AssertFinished(ranks, expected, nonces);
    }

    [Test]
    public void Stopped_AndRestartedByHand_RerunsTheLauncher()
    {
        string[] expected = Uninterrupted(2);
        RunningProgram run = Launch(2);
        AwaitStep(run, 2, 5);
        Checkpoint("job.1", "--stop");
        (int code, string[] output, string errors) = Finish(run);
        Assert.That(code, Is.Not.Zero, "the ranks were stopped");
        Assert.That(errors, Does.Contain("rank 0: job job was stopped with checkpoint job.1"));
        string[] nonces = Nonces(2);
        File.WriteAllText($"{_directory}/hold", "");
        RunningProgram restart = _place.Start(Variables(), "restart", "job");
        (code, string[] more, errors) = Finish(restart);
        Assert.That(code, Is.Zero, errors);
        Assert.That(errors, Does.Contain($"restarting job.1 with: {Launcher} -n 2"));
        AssertFinished(2, expected, nonces);
        for (int rank = 0; rank < 2; rank++) // what went to standard output came once
            Assert.That(output.Concat(more).Where(l => l.StartsWith($"{rank} step")), Is.EqualTo(Enumerable.Range(0, Steps).Select(i => $"{rank} step {i}")));
    }

    [Test]
    public void AnotherLauncher_CanBeGiven_AndAnotherNumberOfRanksIsRefused()
    {
        RunningProgram run = Launch(2);
        AwaitStep(run, 2, 5);
        Checkpoint("job.1");
        KillAll(run);
        (int code, _, string errors) = Finish(Restart(3));
        Assert.That(code, Is.EqualTo(7), errors);
        Assert.That(errors, Does.Contain("it has 2 ranks, and").And.Contain("has started 3").And.Contain("TRECR-0309"));
        Assert.That(Enumerable.Range(0, 2).Select(r => File.ReadAllText($"{_directory}/starts.{r}").Trim()), Is.All.EqualTo("1"));
        (code, _, errors) = _place.Do(Variables(), "restart", "job", "--launcher", $"{Launcher} -n 1");
        Assert.That(code, Is.EqualTo(7), errors);
        string[] nonces = Nonces(2);
        File.WriteAllText($"{_directory}/hold", "");
        string other = kind == "mpich" ? "/usr/bin/mpirun.openmpi" : "/usr/bin/mpirun.mpich";
        if (!File.Exists(other)) Assert.Ignore($"no mpirun.{(kind == "mpich" ? "openmpi" : "mpich")}");
        (code, _, errors) = _place.Do(Variables(), "restart", "job", "--launcher", $"'{other}' -n 2 {(kind == "mpich" ? "--oversubscribe" : "")}");
        Assert.That(code, Is.Zero, errors);
        AssertFinished(2, Uninterrupted(2), nonces);
    }

    [Test]
    public void RankKilledDuringACheckpoint_LeavesTheOneBefore()
    {
        string[] expected = Uninterrupted(3);
        string fault = $"{_place.Root}/fault";
        Dictionary<string, string> there = Variables();
        there["TRECR_FAULT"] = $"@{fault}";
        RunningProgram run = Launch(3, there);
        AwaitStep(run, 3, 5);
        Checkpoint("job.1");
        JsonElement victim = Ranks().Single(r => r.GetProperty("rank").GetInt32() == 1);
        File.WriteAllText(fault, "supervisor/SupervisorGated:delay");
        RunningProgram checkpoint = _place.Start("checkpoint", "job");
        Await(() => File.Exists($"{fault}.supervisor"), checkpoint); // a rank has closed its gate
        Workplace.Kill(victim.GetProperty("host_pid").GetInt32());
        Assert.That(checkpoint.WaitForExit(Workplace.Limit), Is.Not.Zero);
        Assert.That(run.WaitForExit(Workplace.Limit), Is.Not.Zero, "as mpirun does where a rank is killed");
        Assert.That(_place.Do("list", "job").Output.Count(l => l.StartsWith("job.")), Is.EqualTo(1));
        string[] nonces = Nonces(3);
        File.WriteAllText($"{_directory}/hold", "");
        (int code, _, string errors) = Finish(Restart(3));
        Assert.That(code, Is.Zero, errors);
        AssertFinished(3, expected, nonces);
    }

    [Test]
    public void LateRank_AbortsForAll_AndTheProgramsRunOn()
    {
        string[] expected = Uninterrupted(2);
        RunningProgram run = Launch(2);
        AwaitStep(run, 2, 5);
        int supervisor = Ranks()[1].GetProperty("supervisor_pid").GetInt32();
        Sys.Kill(supervisor, Sys.SIGSTOP);
        (int code, _, string errors) = _place.Do("checkpoint", "job", "--deadline", "2");
        Sys.Kill(supervisor, Sys.SIGCONT);
        Assert.That(code, Is.EqualTo(10), errors);
        Assert.That(errors, Does.Contain("rank 1 had not prepared"));
        Checkpoint("job.2");
        File.WriteAllText($"{_directory}/hold", "");
        (code, _, errors) = Finish(run);
        Assert.That(code, Is.Zero, errors);
        AssertFinished(2, expected, Nonces(2));
    }

    [Test]
    public void RefusalNamesTheRank()
    {
        using TcpListener outside = new(IPAddress.Loopback, 0);
        outside.Start();
        RunningProgram run = _place.StartUnder(Words(2), Variables(), "run", "--job", "job", "--", "/bin/bash", "-c",
            $"[ \"${{OMPI_COMM_WORLD_RANK-$PMI_RANK}}\" = 1 ] && exec 5<>/dev/tcp/127.0.0.1/{((IPEndPoint)outside.LocalEndpoint).Port}; exec {_program} {_directory} {Steps}");
        using Socket connection = outside.AcceptSocket();
        AwaitStep(run, 2, 3);
        (int code, string[] output, string errors) = _place.Do("check", "job");
        Assert.That(code, Is.EqualTo(7), errors);
        Assert.That(output, Is.Not.Empty.And.All.StartWith("rank 1: "));
        (code, _, errors) = _place.Do("checkpoint", "job");
        Assert.That(code, Is.EqualTo(7), errors);
        Assert.That(errors, Does.Contain("rank 1: "));
        File.WriteAllText($"{_directory}/hold", "");
        (code, _, errors) = Finish(run);
        Assert.That(code, Is.Zero, errors);
    }

    [Test]
    public void RankThatHasEnded_IsPartOfTheCheckpoint()
    {
        RunningProgram run = _place.StartUnder(Words(3), Variables(), "run", "--job", "job", "--", "/bin/sh", "-c", $"[ \"${{OMPI_COMM_WORLD_RANK-$PMI_RANK}}\" = 1 ] && exit 0; exec {_program} {_directory} {Steps}");
        run.WaitForLine(l => l == "0 step 3", Workplace.Limit);
        run.WaitForLine(l => l == "2 step 3", Workplace.Limit);
        Await(() => Job().GetProperty("ended_ranks").GetArrayLength() == 1, run);
        foreach (int pid in _place.Coordinators()) Workplace.Kill(pid); // the next one hears of it from the ranks
        Checkpoint("job.1");
        KillAll(run);
        File.WriteAllText($"{_directory}/hold", "");
        (int code, _, string errors) = Finish(Restart(3));
        Assert.That(code, Is.Zero, errors);
        Assert.That(errors, Does.Contain("rank 1: the program of this rank had ended with 0 before job.1"));
        foreach (int rank in (int[])[0, 2])
        {
            Assert.That(File.ReadAllText($"{_directory}/starts.{rank}").Trim(), Is.EqualTo("1"));
            Assert.That(File.ReadLines($"{_directory}/out.{rank}").Last(), Does.StartWith("end nonce"));
        }
    }

    [TestCase("launcher"), TestCase("supervisor"), TestCase("program"), TestCase("init")]
    public void NothingIsLeft_WhereOneIsKilled(string what)
    {
        RunningProgram run = Launch(2);
        AwaitStep(run, 2, 3);
        JsonElement rank = Ranks()[1];
        int[] all = [.. run.Descendants().Where(p => !IsCoordinator(p))];
        Assert.That(all, Has.Length.GreaterThanOrEqualTo(6), "supervisor, init and program of each rank");
        Workplace.Kill(what switch { "launcher" => run.Id, "supervisor" => rank.GetProperty("supervisor_pid").GetInt32(), "init" => rank.GetProperty("init_pid").GetInt32(), _ => rank.GetProperty("host_pid").GetInt32() });
        Assert.That(run.WaitForExit(Workplace.Limit), Is.Not.Zero);
        foreach (int pid in all) Workplace.WaitForEnd(pid);
    }

    /// <summary>The coordinator runs the launcher's line again, with its streams and environment.</summary>
    [TestCase("program"), TestCase("supervisor"), TestCase("launcher")]
    public void RestartOnFailure_BringsTheJobBackByItself(string what)
    {
        string[] expected = Uninterrupted(2);
        RunningProgram run = _place.StartUnder(Words(2), Variables(), "run", "--job", "job", "--restart-on-failure", "--", _program, _directory, $"{Steps}");
        AwaitStep(run, 2, 5);
        Checkpoint("job.1");
        string[] nonces = Nonces(2);
        JsonElement rank = Ranks()[1];
        Workplace.Kill(what switch { "launcher" => run.Id, "supervisor" => rank.GetProperty("supervisor_pid").GetInt32(), _ => rank.GetProperty("host_pid").GetInt32() });
        File.WriteAllText($"{_directory}/hold", "");
        run.WaitForExit(Workplace.Limit); // until nobody writes to its output any more
        Assert.That(run.Errors, Does.Contain("job job failed: ").And.Contain("it is restarted from its newest checkpoint in 1 s").And.Contain($"restarting job.1 with: {Launcher} -n 2"));
        AssertFinished(2, expected, nonces);
    }

    [Test]
    public void RestartOnFailure_NotWhereTheUserEndsIt_OrTheProgramFailsByItself([Values] bool interrupt)
    {
        if (!interrupt) File.WriteAllText($"{_directory}/code.1", "3");
        RunningProgram run = _place.StartUnder(Words(2), Variables(), "run", "--job", "job", "--restart-on-failure", "--", _program, _directory, $"{Steps}");
        AwaitStep(run, 2, 3);
        Checkpoint("job.1");
        if (interrupt) Sys.Kill(run.Id, Sys.SIGTERM);
        else File.WriteAllText($"{_directory}/hold", "");
        int code = run.WaitForExit(Workplace.Limit);
        if (!interrupt) Assert.That(code, Is.EqualTo(3));
        else if (kind == "openmpi") Assert.That(code, Is.Not.Zero); // MPICH's mpiexec ends with 15 or, 4 times of 40 without TreCr too, with 0
        Assert.That(run.Errors, Does.Not.Contain("is restarted"));
    }

    [Test]
    public void SignalForTheLauncher_ReachesEachProgramOnce()
    {
        RunningProgram run = Launch(2);
        AwaitStep(run, 2, 3);
        Sys.Kill(run.Id, Sys.SIGUSR1);
        // A launcher passes it on when it gets to it.
        Assert.That(SpinWait.SpinUntil(() => File.Exists($"{_directory}/signalled.0") && File.Exists($"{_directory}/signalled.1"), Workplace.Limit), "both ranks hear of it");
        File.WriteAllText($"{_directory}/hold", "");
        (int code, _, string errors) = Finish(run);
        Assert.That(code, Is.Zero, errors);
        for (int rank = 0; rank < 2; rank++) Assert.That(File.ReadLines($"{_directory}/out.{rank}").Last(), Does.EndWith("signals 1"));
    }

    [Test]
    public void InputGoesToRank0_AndLauncherDescriptorsToNobody()
    {
        File.WriteAllText($"{_directory}/hold", "");
        Dictionary<string, string> variables = Variables();
        RunningProgram run = _place.StartUnder(["/bin/sh", "-c", "echo hello | \"$@\"", "sh", .. Words(2)], variables, "run", "--job", "job", "--", _program, _directory, "5", "input");
        (int code, _, string errors) = Finish(run);
        Assert.That(code, Is.Zero, errors);
        Assert.That(File.ReadLines($"{_directory}/out.0").First(), Does.EndWith(" descriptors 0 PMI_FD 0 HYDI 0 input hello"));
        Assert.That(File.ReadLines($"{_directory}/out.1").First(), Does.EndWith(" descriptors 0 PMI_FD 0 HYDI 0 input -"));
    }

    [Test]
    public void ExitCode_IsTheOneThatTheLauncherSees()
    {
        File.WriteAllText($"{_directory}/code.1", "3");
        File.WriteAllText($"{_directory}/hold", "");
        (int code, _, string errors) = Finish(Launch(2));
        Assert.That(code, Is.EqualTo(3), errors);
        RunningProgram run = _place.StartUnder(Words(2), Variables(), "run", "--job", "job", "--", "/bin/sh", "-c", "[ \"${OMPI_COMM_WORLD_RANK-$PMI_RANK}\" = 1 ] && kill -9 $$; exec sleep 3600");
        RunningProgram alone = Plain([.. Words(2), "/bin/sh", "-c", "[ \"${OMPI_COMM_WORLD_RANK-$PMI_RANK}\" = 1 ] && kill -9 $$; exec sleep 3600"]);
        // Hydra says 255 now and then, where it hears of the other rank's end first.
        int[] expected = kind == "mpich" ? [9, 255] : [137];
        Assert.That(run.WaitForExit(Workplace.Limit), Is.AnyOf([.. expected.Append(alone.WaitForExit(Workplace.Limit)).Cast<object>()]), run.Errors);
    }

    [Test]
    public void SecondLaunchOfTheName_IsRefused()
    {
        RunningProgram run = Launch(2);
        AwaitStep(run, 2, 3);
        (int code, _, string errors) = Finish(Launch(2));
        Assert.That(code, Is.EqualTo(125), errors);
        Assert.That(errors, Does.Contain("TRECR-0105"));
        (code, _, errors) = _place.Do("run", "--job", "job", "--", "/bin/true");
        Assert.That(code, Is.EqualTo(125), errors);
        (code, _, errors) = _place.Do("stop", "job");
        Assert.That(code, Is.Zero, errors);
        Finish(run);
        Assert.That(_place.Do("run", "--job", "job", "--", "/bin/true").Code, Is.Zero);
    }

    [Test]
    public void WithoutAName_AllRanksFindTheSame()
    {
        RunningProgram run = _place.StartUnder(Words(3), Variables(), "run", "--", _program, _directory, $"{Steps}");
        AwaitStep(run, 3, 3);
        Await(() => JsonDocument.Parse(_place.Do("status", "--json").Output[0]).RootElement.GetProperty("jobs") is var jobs && jobs.GetArrayLength() == 1 && jobs[0].GetProperty("ranks").GetArrayLength() == 3, run);
        File.WriteAllText($"{_directory}/hold", "");
        Assert.That(Finish(run).Code, Is.Zero);
    }

    // ---- tools ------------------------------------------------------------------------------------------------------

    private string[] Words(int ranks) => kind == "openmpi" ? [Launcher, "-n", $"{ranks}", "--oversubscribe", "--bind-to", "none"] : [Launcher, "-n", $"{ranks}"];

    private Dictionary<string, string> Variables()
    {
        // Open MPI has a directory for each job, and leaves it where it is killed. Where an OpenCL is installed (pocl, by bench device) its hwloc loads it, and LLVM takes the signals that mpirun would pass on.
        return new() { ["OMPI_ALLOW_RUN_AS_ROOT"] = "1", ["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1", ["TMPDIR"] = $"{_place.Root}/t", ["HWLOC_COMPONENTS"] = "-opencl" };
    }

    private RunningProgram Launch(int ranks, Dictionary<string, string>? variables = null) => _place.StartUnder(Words(ranks), variables ?? Variables(), "run", "--job", "job", "--", _program, _directory, $"{Steps}");

    /// <summary>Without trecr.</summary>
    private RunningProgram Plain(params string[] words) => _place.Other(["/usr/bin/env", .. Variables().Select(v => $"{v.Key}={v.Value}"), .. words]);

    private RunningProgram Restart(int ranks) => _place.StartUnder(Words(ranks), Variables(), "restart", "job");

    private static (int Code, string[] Output, string Errors) Finish(RunningProgram run) => (run.WaitForExit(Workplace.Limit), run.Output, run.Errors);

    private void AwaitStep(RunningProgram run, int ranks, int step)
    {
        for (int rank = 0; rank < ranks; rank++) run.WaitForLine(l => l == $"{rank} step {step}", Workplace.Limit);
    }

    private void Checkpoint(string id, params string[] more)
    {
        (int code, string[] output, string errors) = _place.Do(["checkpoint", "job", .. more]);
        Assert.That(code, Is.Zero, errors);
        Assert.That(output[^1], Is.EqualTo(id));
    }

    private JsonElement Job()
    {
        (int code, string[] output, string errors) = _place.Do("status", "job", "--json");
        Assert.That(code, Is.Zero, errors);
        return JsonDocument.Parse(output[0]).RootElement.GetProperty("jobs")[0];
    }

    private JsonElement[] Ranks() => [.. Job().GetProperty("ranks").EnumerateArray()];

    private static bool IsCoordinator(int pid)
    {
        try { return File.ReadAllText($"/proc/{pid}/cmdline").Split('\0') is [_, "coordinator", ..]; }
        catch (IOException) { return false; }
    }

    /// <summary>Takes two checkpoints of a job of ranks that runs, kills all of it, lets its programs end, and restarts it under the same launcher; it ends well.</summary>
    internal static RunningProgram KilledAndRestarted(Workplace place, RunningProgram run, string[] words, Dictionary<string, string> variables)
    {
        for (int n = 1; n <= 2; n++)
        {
            (int code, string[] output, string errors) = place.Do("checkpoint", "job");
            Assert.That(code, Is.Zero, errors);
            Assert.That(output[^1], Is.EqualTo($"job.{n}"));
        }
        KillAll(run);
        File.WriteAllText($"{place.Root}/hold", "");
        RunningProgram restart = place.StartUnder(words, variables, "restart", "job");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.Zero, restart.Errors);
        return restart;
    }

    internal static void KillAll(RunningProgram run)
    {
        int[] all = [.. run.Descendants()];
        foreach (int pid in all.Prepend(run.Id)) Sys.Kill(pid, Sys.SIGKILL);
        foreach (int pid in all) Workplace.WaitForEnd(pid);
        run.WaitForExit(Workplace.Limit);
    }

    private static void Await(Func<bool> wanted, RunningProgram of)
    {
        using ManualResetEventSlim never = new();
        for (long end = Environment.TickCount64 + (long)Workplace.Limit.TotalMilliseconds; !wanted(); never.Wait(20)) Assert.That(Environment.TickCount64, Is.LessThan(end), of.Errors);
    }

    private string[] Nonces(int ranks) => [.. Enumerable.Range(0, ranks).Select(r => File.ReadLines($"{_directory}/out.{r}").First().Split(' ')[1])];

    /// <summary>What each rank writes where nothing happens, without the nonces.</summary>
    private string[] Uninterrupted(int ranks)
    {
        string directory = $"{_place.Root}/plain";
        Directory.CreateDirectory(directory);
        File.WriteAllText($"{directory}/hold", "");
        RunningProgram run = Plain([.. Words(ranks), _program, directory, $"{Steps}"]);
        Assert.That(run.WaitForExit(Workplace.Limit), Is.Zero, run.Errors);
        return [.. Enumerable.Range(0, ranks).Select(r => Sums($"{directory}/out.{r}"))];
    }

    private static string Sums(string file) => string.Join('\n', File.ReadLines(file).Where(l => l.StartsWith("step ")));

    private void AssertFinished(int ranks, string[] expected, string[] nonces)
    {
        for (int rank = 0; rank < ranks; rank++)
        {
            Assert.That(Sums($"{_directory}/out.{rank}"), Is.EqualTo(expected[rank]), $"rank {rank}");
            string[] lines = File.ReadAllLines($"{_directory}/out.{rank}");
            Assert.That(lines[0].Split(' ')[1], Is.EqualTo(nonces[rank]), "the first run's memory");
            Assert.That(lines[^1], Does.StartWith($"end nonce {nonces[rank]}"));
            Assert.That(File.ReadAllText($"{_directory}/starts.{rank}").Trim(), Is.EqualTo("1"));
        }
    }
}
