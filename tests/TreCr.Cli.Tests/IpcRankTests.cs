using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>tests/programs/cuda/shared.cu as the ranks of a launcher, each with a supervisor and a delegator of its own: they map each other's device memory.</summary>
public sealed class IpcRankTests
{
    private const string Launcher = "/usr/bin/mpirun.openmpi";

    private Workplace _place = null!;

    [SetUp]
    public void Enter()
    {
        if (!File.Exists(Launcher)) Assert.Ignore("no mpirun.openmpi");
        _place = new Workplace();
        Directory.CreateDirectory($"{_place.Root}/t");
    }

    [TearDown]
    public void Leave() => _place?.Dispose();

    [Test]
    public void KilledAndRestarted_RanksMapEachOthersMemoryAgain()
    {
        string[] words = [Launcher, "-n", "2", "--oversubscribe", "--bind-to", "none"];
        Dictionary<string, string> variables = new()
        {
            ["OMPI_ALLOW_RUN_AS_ROOT"] = "1", ["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1", ["TMPDIR"] = $"{_place.Root}/t", ["TRECR_SAMPLE_HOLD"] = $"{_place.Root}/hold",
        };
        string program = $"{_place.Root}/shared";
        using RunningProgram compile = new(Path.Combine(Repository.Root, "samples/compile.sh"), [Path.Combine(Repository.Root, "tests/programs/cuda/shared.cu"), program, $"{_place.Root}/obj"], new Dictionary<string, string>());
        Assert.That(compile.WaitForExit(Workplace.Limit), Is.Zero, compile.Errors);
        RunningProgram run = _place.StartUnder(words, variables, "run", "--job", "job", "--device", "soft", "--", program, "--rounds", "40", "--every", "4", "--place", $"{_place.Root}");
        run.WaitForLine(l => l.StartsWith("shared: round"), Workplace.Limit);
        RunningProgram restart = RankTests.KilledAndRestarted(_place, run, words, variables);
        Assert.That(restart.Output, Does.Contain("shared: PASSED"), "the program compares with what one processor computes");
    }
}
