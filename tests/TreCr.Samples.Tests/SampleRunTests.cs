using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>Every sample under <c>trecr run</c> on the software device, to its end, undisturbed and with checkpoints, stops and kills.</summary>
public sealed class SampleRunTests
{
    [TestCaseSource(typeof(Sample), nameof(Sample.All))]
    public void Runs_to_its_end(Sample sample) => Assert.That(SampleCheck.Undisturbed(sample), Does.Contain($"{sample.Name}: PASSED"));

    [TestCaseSource(typeof(Sample), nameof(Sample.All))]
    public void Goes_on_after_one_checkpoint(Sample sample) => GoesOnAfter(sample, 1);

    [TestCaseSource(typeof(Sample), nameof(Sample.All))]
    public void Goes_on_after_three_checkpoints(Sample sample) => GoesOnAfter(sample, 3);

    [TestCaseSource(typeof(Sample), nameof(Sample.All))]
    public void Stop_and_restart_give_the_output_of_one_run(Sample sample)
    {
        using Job job = new(sample);
        RunningProgram run = job.Run(held: true);
        run.WaitForLine(l => Sample.Unit(l) > 0, Job.Limit);
        string id = job.Checkpoint(stop: true);
        run.WaitForExit(Job.Limit);
        job.Release();
        RunningProgram restart = job.Restart(id);
        int code = restart.WaitForExit(Job.Limit);
        Assert.That(code, Is.Zero, restart.Errors);
        SampleCheck.Whole(sample, [.. run.Output, .. restart.Output], job);
        Assert.That(Sample.WithoutNonce([.. run.Output, .. restart.Output]), Is.EqualTo(Sample.WithoutNonce(SampleCheck.Undisturbed(sample))), "each line exactly once");
    }

    [TestCaseSource(typeof(Sample), nameof(Sample.All))]
    public void Killed_and_restarted_it_ends_as_if_nothing_had_happened(Sample sample) => KilledAndRestarted(sample, new Job(sample));

    /// <summary>As on a kernel before 6.7: no PAGEMAP_SCAN, no write tracking; it is said once, and the second checkpoint still stores little.</summary>
    [Test]
    public void On_an_old_kernel_it_goes_on_too()
    {
        Sample sample = Sample.All.First(s => s.Name == "heat2d");
        RunningProgram run = KilledAndRestarted(sample, new Job(sample) { Environment = { ["TRECR_NO_PAGEMAP_SCAN"] = "1" } });
        Assert.That(run.Errors.Split('\n').Count(l => l.Contains("all memory is copied while the program stands still")), Is.EqualTo(1), run.Errors);
    }

    private static RunningProgram KilledAndRestarted(Sample sample, Job made)
    {
        using Job job = made;
        RunningProgram run = job.Run(held: true);
        run.WaitForLine(l => Sample.Unit(l) > 0, Job.Limit);
        job.Checkpoint();
        string id = job.Checkpoint();
        int done = run.Output.Max(Sample.Unit);
        Job.KillProgramAndDelegator(run, sample);
        Assert.That(run.WaitForExit(Job.Limit), Is.EqualTo(128 + 9), "exit code of trecr run after SIGKILL");
        job.Release();

        RunningProgram restart = job.Restart(id);
        int code = restart.WaitForExit(Job.Limit);
        Assert.That(code, Is.Zero, restart.Errors);
        Assert.That(restart.Output.Select(Sample.Unit).Where(u => u > 0), Is.Not.Empty.And.Ordered.And.Unique, "progress after the restart");
        SampleCheck.Whole(sample, [.. run.Output.Where(l => Sample.Unit(l) <= done), .. restart.Output], job);
        return run;
    }

    private static void GoesOnAfter(Sample sample, int checkpoints)
    {
        using Job job = new(sample);
        RunningProgram run = job.Run(held: true);
        run.WaitForLine(l => Sample.Unit(l) > 0, Job.Limit);
        string[] ids = [.. Enumerable.Range(0, checkpoints).Select(_ => job.Checkpoint())];
        Assert.That(ids, Is.Unique);
        job.Release();
        int code = run.WaitForExit(Job.Limit);
        Assert.That(code, Is.Zero, run.Errors);
        Assert.That(Sample.WithoutNonce(run.Output), Is.EqualTo(Sample.WithoutNonce(SampleCheck.Undisturbed(sample))));
        SampleCheck.Whole(sample, run.Output, job);
    }
}
