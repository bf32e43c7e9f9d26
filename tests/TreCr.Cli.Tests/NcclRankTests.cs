using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>samples/allreduce as the ranks of a launcher, each with a supervisor and a delegator of its own.</summary>
[TestFixture("openmpi"), TestFixture("mpich")]
public sealed class NcclRankTests(string kind)
{
    private Workplace _place = null!;

    private string Launcher => $"/usr/bin/mpirun.{kind}";

    [SetUp]
    public void Enter()
    {
        if (!File.Exists(Launcher)) Assert.Ignore($"no mpirun.{kind}");
        _place = new Workplace();
        Directory.CreateDirectory($"{_place.Root}/t");
    }

    [TearDown]
    public void Leave() => _place?.Dispose();

    private string[] Words => kind == "openmpi" ? [Launcher, "-n", "2", "--oversubscribe", "--bind-to", "none"] : [Launcher, "-n", "2"];

    private Dictionary<string, string> Variables => new()
    {
        ["OMPI_ALLOW_RUN_AS_ROOT"] = "1", ["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1", ["TMPDIR"] = $"{_place.Root}/t", ["TRECR_SAMPLE_HOLD"] = $"{_place.Root}/hold",
    };

    [Test]
    public void KilledInsideOfCollectives_RestartsAsIfNothingHadHappened()
    {
        RunningProgram run = _place.StartUnder(Words, Variables, "run", "--job", "job", "--device", "soft", "--", Path.Combine(Repository.Root, "out/samples/allreduce"),
            "--elements", "30000", "--rounds", "60", "--every", "4", "--work", "8", "--id", $"{_place.Root}/id");
        run.WaitForLine(l => l.StartsWith("allreduce: round"), Workplace.Limit);
        RunningProgram restart = RankTests.KilledAndRestarted(_place, run, Words, Variables);
        Assert.That(restart.Output, Does.Contain("allreduce: PASSED"), "the program compares with the CPU's sums");
        Assert.That(Nonce(restart, "allreduce: end"), Is.Not.Null.And.EqualTo(Nonce(run, "allreduce: begin")));
    }

    private static string? Nonce(RunningProgram run, string line) => run.Output.SingleOrDefault(l => l.StartsWith(line))?.Split(' ').Single(w => w.StartsWith("nonce="));
}
