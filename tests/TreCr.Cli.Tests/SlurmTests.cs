using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>Jobs that srun starts, on a real cluster of one node: programs of MPICH by PMI, of Open MPI by PMIx, and ranks that do not call MPI.</summary>
public sealed class SlurmTests
{
    private const int Rounds = 16, Steps = 40;
    private SlurmCluster? _cluster;
    private Workplace _place = null!;
    private string _program = "", _directory = "";

    [OneTimeSetUp]
    public void StartCluster()
    {
        if (SlurmCluster.Missing is { } missing) Assert.Ignore(missing);
        _cluster = new SlurmCluster();
    }

    [OneTimeTearDown]
    public void StopCluster() => _cluster?.Dispose();

    [SetUp]
    public void Enter()
    {
        _place = new Workplace();
        _cluster!.Serve(_place);
        _directory = $"{_place.Root}/d";
        Directory.CreateDirectory(_directory);
    }

    [TearDown]
    public void Leave() => _place?.Dispose();

    /// <summary>By the kind of PMI, and back under the other, which is another MPI library.</summary>
    [TestCase("pmi2", "pmix"), TestCase("pmix", "pmi2")]
    public void MpiProgram_KilledByScancel_RestartsUnderTheOther(string pmi, string other)
    {
        string library = pmi == "pmix" ? "openmpi" : "mpich";
        if (!File.Exists($"/usr/bin/mpicc.{library}")) Assert.Ignore($"no mpicc.{library}");
        _program = $"{_place.Root}/calls";
        using (RunningProgram compiler = _place.Other($"/usr/bin/mpicc.{library}", "-O1", "-w", "-pthread", "-o", _program, Path.Combine(Repository.Root, "tests/programs/mpi/calls.c")))
            Assert.That(compiler.WaitForExit(Workplace.Limit), Is.Zero, compiler.Errors);
        RunningProgram run = Launch(pmi, 2, $"{Rounds}", "100");
        run.WaitForLine(l => l == "round 2", Workplace.Limit);
        Checkpoint("job.1");
        run.WaitForLine(l => l == "round 4", Workplace.Limit);
        Cancel("KILL");
        // Control groups would have reached them too; alone they would try to tell Slurm of the end for a while.
        using (RunningProgram killer = _place.Other("/usr/bin/pkill", "-KILL", "-f", "^trecr mpi-delegator")) killer.WaitForExit(Workplace.Limit);
        Assert.That(run.WaitForExit(Workplace.Limit), Is.Not.Zero);
        Assert.That(run.Output, Has.Length.LessThan(Rounds), "it was killed before its end");
        MpiTests.AssertWentOn(Start(other, 2, "restart", "job"), Rounds, after: 2);
    }

    /// <summary>Standard output of each rank once, and srun's line again.</summary>
    [Test]
    public void Stopped_AndRestartedByHand_RunsSrunAgain()
    {
        RunningProgram run = LaunchRanks("pmix", 2);
        AwaitStep(run, 2, 5);
        Checkpoint("job.1", "--stop");
        run.WaitForExit(Workplace.Limit);
        string[] before = run.Output;
        File.WriteAllText($"{_directory}/hold", "");
        RunningProgram restart = _place.Start(_cluster!.Variables, "restart", "job");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.Zero, restart.Errors);
        Assert.That(restart.Errors, Does.Contain("restarting job.1 with: srun --ntasks=2 --mpi=pmix"));
        for (int rank = 0; rank < 2; rank++)
        {
            Assert.That(before.Concat(restart.Output).Where(l => l.StartsWith($"{rank} ")), Is.EqualTo(Enumerable.Range(0, Steps).Select(i => $"{rank} step {i}").Append($"{rank} end")));
            Assert.That(File.ReadAllText($"{_directory}/starts.{rank}").Trim(), Is.EqualTo("1"));
        }
    }

    [TestCase("pmi2"), TestCase("pmix")]
    public void SignalReachesEachProgramOnce_AndTheExitCodeSrun(string pmi)
    {
        File.WriteAllText($"{_directory}/code.1", "3");
        RunningProgram run = LaunchRanks(pmi, 2);
        AwaitStep(run, 2, 3);
        Cancel("USR1");
        AwaitStep(run, 2, 10);
        File.WriteAllText($"{_directory}/hold", "");
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(3), run.Errors);
        for (int rank = 0; rank < 2; rank++) Assert.That(File.ReadLines($"{_directory}/out.{rank}").Last(), Does.EndWith("signals 1"));
    }

    [Test]
    public void RankThatIsKilled_EndsTheStepAsItDoesWithoutUs()
    {
        string[] program = ["/bin/sh", "-c", "[ $SLURM_PROCID = 1 ] && kill -9 $$; exec sleep 3600"];
        RunningProgram run = Start("pmix", 2, ["run", "--job", "job", "--", .. program]), alone = _place.Other([.. _cluster!.With, .. Srun("pmix", 2), .. program]);
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(alone.WaitForExit(Workplace.Limit)), run.Errors);
    }

    /// <summary>Slurm ends everything that a step has started, the coordinator as well: the batch script has to do it.</summary>
    [Test]
    public void RestartOnFailure_IsRefusedByName()
    {
        RunningProgram run = Start("pmix", 2, "run", "--job", "job", "--restart-on-failure", "--", "/bin/true");
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(125), run.Errors);
        Assert.That(run.Errors, Does.Contain("--restart-on-failure").And.Contain("srun"));
    }

    // ---- tools ------------------------------------------------------------------------------------------------------

    private static string[] Srun(string pmi, int ranks) => ["/usr/bin/srun", $"--mpi={pmi}", $"--ntasks={ranks}", "--kill-on-bad-exit"];

    private RunningProgram Start(string pmi, int ranks, params string[] arguments) => _place.StartUnder(Srun(pmi, ranks), _cluster!.Variables, arguments);

    private RunningProgram Launch(string pmi, int ranks, params string[] arguments) => Start(pmi, ranks, ["run", "--job", "job", "--", _program, .. arguments]);

    private RunningProgram LaunchRanks(string pmi, int ranks)
    {
        _program = _place.Compile("ranks");
        return Launch(pmi, ranks, _directory, $"{Steps}");
    }

    private void Cancel(string signal)
    {
        RunningProgram cancel = _place.Other([.. _cluster!.With, "/bin/sh", "-c", $"scancel --signal={signal} $(squeue --steps --noheader --format=%i)"]);
        Assert.That(cancel.WaitForExit(Workplace.Limit), Is.Zero, cancel.Errors);
    }

    private static void AwaitStep(RunningProgram run, int ranks, int step)
    {
        for (int rank = 0; rank < ranks; rank++) run.WaitForLine(l => l == $"{rank} step {step}", Workplace.Limit);
    }

    private void Checkpoint(string id, params string[] more)
    {
        (int code, string[] output, string errors) = _place.Do(["checkpoint", "job", .. more]);
        Assert.That(code, Is.Zero, errors);
        Assert.That(output[^1], Is.EqualTo(id));
    }
}
