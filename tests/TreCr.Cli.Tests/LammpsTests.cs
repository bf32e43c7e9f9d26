using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>A real MPI program, as its distributor has built it: Debian's LAMMPS, which is one of Open MPI.</summary>
public sealed class LammpsTests
{
    private const string Program = "/usr/bin/lmp";
    private Workplace _place = null!;

    [SetUp]
    public void Enter()
    {
        if (!File.Exists(Program)) Assert.Ignore("no LAMMPS");
        if (!File.Exists("/usr/bin/mpirun.mpich")) Assert.Ignore("no mpirun.mpich");
        _place = new Workplace();
    }

    [TearDown]
    public void Leave() => _place?.Dispose();

    [Test]
    public void Killed_RestartedUnderMpich_ComputesWhatItDoesWithoutUs()
    {
        string[] command = [Program, "-log", "none", "-in", Path.Combine(Repository.Root, "tests/programs/mpi/melt.in")];
        Dictionary<string, string> variables = MpiTests.Variables(_place);
        RunningProgram alone = _place.Other(["/usr/bin/env", .. variables.Select(v => $"{v.Key}={v.Value}"), .. MpiTests.Under("openmpi", 2), .. command]);
        Assert.That(alone.WaitForExit(Workplace.Limit), Is.Zero, alone.Errors);
        string[] expected = Rows(alone);
        Assert.That(expected, Has.Length.EqualTo(31));

        RunningProgram run = _place.StartUnder(MpiTests.Under("openmpi", 2), variables, ["run", "--job", "job", "--", .. command]);
        run.WaitForLine(l => l.TrimStart().StartsWith("60 "), Workplace.Limit);
        (int done, _, string wrong) = _place.Do("checkpoint", "job");
        Assert.That(done, Is.Zero, wrong);
        RankTests.KillAll(run);
        string[] before = Rows(run);
        Assert.That(before, Is.EqualTo(expected[..before.Length]));
        Assert.That(before, Has.Length.InRange(4, 30), "it was killed before its end");

        RunningProgram restart = _place.StartUnder(MpiTests.Under("mpich", 2), MpiTests.Variables(_place), "restart", "job");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.Zero, restart.Errors);
        string[] after = Rows(restart);
        Assert.That(after, Has.Length.InRange(1, 27), "it went on where the checkpoint was");
        Assert.That(after, Is.EqualTo(expected[^after.Length..]));
        Assert.That(restart.Output, Has.Some.StartsWith("Total wall time").And.None.StartsWith("Setting up"));
    }

    /// <summary>Step, temperature, energies, pressure.</summary>
    private static string[] Rows(RunningProgram program) => [.. program.Output.Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(w => w.Length == 6 && w.All(n => double.TryParse(n, out _))).Select(w => string.Join(' ', w))];
}
