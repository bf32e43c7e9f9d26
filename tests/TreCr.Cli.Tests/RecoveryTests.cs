using NUnit.Framework;
using TreCr.Control;
using TreCr.Linux;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>--restart-on-failure of a program that nobody launched; ranks below mpirun are in <see cref="RankTests"/>.</summary>
public sealed class RecoveryTests
{
    private const int Steps = 60;
    private Workplace _place = null!;

    [SetUp]
    public void SetUp() => _place = new Workplace();

    [TearDown]
    public void TearDown() => _place.Dispose();

    private RunningProgram Start(params string[] more)
    {
        RunningProgram run = _place.StartCounter(Steps, options: ["--restart-on-failure", .. more]);
        Assert.That(_place.Checkpoint(), Is.EqualTo("count.1"));
        return run;
    }

    private void AssertFinished(RunningProgram run)
    {
        string[] steps = [.. run.Output.Where(l => l.StartsWith("step "))];
        Assert.That(steps.Distinct().Select(l => l.Split(' ')[1]), Is.EqualTo(Enumerable.Range(0, Steps).Select(i => $"{i}")), "all steps; those behind the checkpoint may come twice, with the same sums");
        Assert.That(run.Output[^1], Is.EqualTo($"end {run.Output.Single(l => l.StartsWith("nonce "))}"), "the first run's nonce and pid");
        Assert.That(_place.Starts, Is.EqualTo(1), "main() ran once");
    }

    [Test]
    public void ProgramKilled_TheSameProcessGoesOnFromTheCheckpoint()
    {
        using RunningProgram run = Start();
        Workplace.Kill(_place.Rank().GetProperty("host_pid").GetInt32());
        _place.Release();
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7), run.Errors);
        Assert.That(run.Errors, Does.Contain("job count failed: it was killed by signal 9; it is restarted from count.1 in 1 s").And.Match(@"restarted count\.1 in \d+ ms"));
        AssertFinished(run);
    }

    [Test]
    public void KilledAgainAndAgain_IsGivenUp()
    {
        using RunningProgram run = Start("--max-restarts", "1");
        Workplace.Kill(_place.Rank().GetProperty("host_pid").GetInt32());
        run.WaitForError("restarted count.1 in", Workplace.Limit);
        Workplace.Kill(_place.Rank().GetProperty("host_pid").GetInt32());
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(137), run.Errors);
        Assert.That(run.Errors, Does.Contain("it was restarted 1 times since count.1, and is given up"));
    }

    [Test]
    public void SupervisorKilled_TheCoordinatorRestartsIt_IntoTheSameOutput()
    {
        using RunningProgram run = Start();
        _place.Release();
        Workplace.Kill(run.Id);
        run.WaitForExit(Workplace.Limit); // until nobody writes to its output any more
        Assert.That(run.Errors, Does.Contain("job count failed: it has vanished; it is restarted from its newest checkpoint in 1 s").And.Match(@"restarted count\.1 in \d+ ms"));
        AssertFinished(run);
    }

    [Test]
    public void EndedOnPurpose_IsNoFailure([Values] bool byStop)
    {
        using RunningProgram run = Start();
        if (byStop) Assert.That(_place.Do("stop", "count").Code, Is.Zero);
        else Sys.Kill(run.Id, Sys.SIGTERM);
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(128 + Sys.SIGTERM));
        Assert.That(run.Errors, Does.Not.Contain("failed"));
    }

    [Test]
    public void WithoutACheckpoint_SaysThatThereIsNone()
    {
        using RunningProgram run = _place.StartCounter(Steps, options: ["--restart-on-failure"]);
        Workplace.Kill(_place.Rank().GetProperty("host_pid").GetInt32());
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(137));
        Assert.That(run.Errors, Does.Contain("it has no checkpoint to be restarted from"));
    }

    [Test]
    public void Budget_DoublesTheWait_AndIsWholeAgainAfterACheckpoint()
    {
        Assert.That(RestartBudget.Next(3, 3, advanced: false), Is.EqualTo((2, 1_000)));
        Assert.That(RestartBudget.Next(3, 2, advanced: false), Is.EqualTo((1, 2_000)));
        Assert.That(RestartBudget.Next(3, 1, advanced: false), Is.EqualTo((0, 4_000)));
        Assert.That(RestartBudget.Next(3, 0, advanced: false), Is.Null);
        Assert.That(RestartBudget.Next(3, 0, advanced: true), Is.EqualTo((2, 1_000)));
        Assert.That(RestartBudget.Next(1_000_000, 1, advanced: false), Is.EqualTo((0, 60_000)));
    }
}
