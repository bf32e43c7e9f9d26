using System.Text.Json;
using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>Every fault point once, in each process that comes by; the whole sweep is <c>./build.sh soak faults</c>.</summary>
public sealed class FaultSweepTests
{
    /// <summary>Small, so that a job takes little more than its start.</summary>
    internal static readonly Sample Small = new("heat2d", ["--size", "128", "--steps", "40", "--every", "4"], "heat2d: field ", 41);

    /// <summary>Every way to end the program by a kill; of the killed peers one for each role, as the soak has all.</summary>
    private static IEnumerable<FaultCase> Ends =>
        FaultCase.Of(FaultCase.OfCheckpoint, "kill").Where(f => f.EndsTheProgram)
            .Concat([new("DumpMemory", "engine", "killpeer"), new("DelegatorCapture", "delegator", "killpeer"), new("CoordinatorPrepared", "coordinator", "killpeer")]);

    [Test]
    public void Every_point_of_the_list_is_swept()
    {
        using Job job = new(Small);
        (int code, string[] output, string errors) = job.Do("faults", "list", "--json");
        Assert.That(code, Is.Zero, errors);
        JsonElement list = JsonDocument.Parse(output[0]).RootElement;
        IEnumerable<string?> points = list.GetProperty("points").EnumerateArray().Select(p => p.GetString());
        IEnumerable<string> swept = [.. FaultCase.OfCheckpoint.Select(p => p.Point), .. FaultCase.OfRestart.Select(p => p.Point), .. FaultCase.LeftOut.Select(p => p.Point)];
        Assert.That(swept, Is.EquivalentTo(points));
        Assert.That(list.GetProperty("kinds").EnumerateArray().Select(k => k.GetString()), Is.EqualTo(FaultCase.Kinds));
        foreach (JsonElement point in list.GetProperty("kinds_of_points").EnumerateArray())
            Assert.That(point.GetProperty("kinds").EnumerateArray().Select(k => k.GetString()), Is.EqualTo(FaultCase.Kinds.Where(k => FaultCase.Takes(point.GetProperty("point").GetString()!, k))), $"{point}");
    }

    /// <summary>One job, all the faults one after another, a good checkpoint after each.</summary>
    [TestCase("kill"), TestCase("errno"), TestCase("exception"), TestCase("enospc"), TestCase("torn"), TestCase("killpeer")]
    public void A_failed_checkpoint_leaves_the_program(string kind)
    {
        using FaultSweep sweep = new(Small);
        List<FaultCase> never = [];
        try
        {
            foreach (FaultCase fault in FaultCase.Of(FaultCase.OfCheckpoint, kind).Where(f => !f.EndsTheProgram))
                if (!sweep.Checkpoint(fault)) never.Add(fault);
            sweep.Finish();
        }
        finally { TestContext.Out.WriteLine(string.Join('\n', sweep.Report)); }
        Assert.That(never, Is.Empty, "points that were never hit");
    }

    [TestCaseSource(nameof(Ends))]
    public void Death_of_delegator_or_supervisor_leaves_the_last_checkpoint(object fault)
    {
        FaultCase death = (FaultCase)fault;
        using FaultSweep sweep = new(Small);
        bool hit = sweep.Checkpoint(death);
        TestContext.Out.WriteLine(string.Join('\n', sweep.Report));
        Assert.That(hit, Is.True, "never hit");
        sweep.RestartAfter(death);
    }

    [Test]
    public void Death_of_init_ends_the_job_and_leaves_the_last_checkpoint()
    {
        using FaultSweep sweep = new(Small);
        sweep.KillInit();
        sweep.Release();
        sweep.Restart("init");
    }

    [Test]
    public void Death_of_the_supervisor_ends_the_job_and_leaves_the_last_checkpoint()
    {
        using FaultSweep sweep = new(Small);
        sweep.KillSupervisor();
        sweep.Release();
        sweep.Restart("supervisor");
    }

    [Test]
    public void A_failed_restart_leaves_nothing_and_the_next_one_works()
    {
        using FaultSweep sweep = new(Small);
        sweep.Kill();
        List<FaultCase> never = [];
        try
        {
            foreach (FaultCase fault in ((string[])["kill", "errno", "exception"]).SelectMany(kind => FaultCase.Of(FaultCase.OfRestart, kind)))
                if (!sweep.FailRestart(fault)) never.Add(fault);
            sweep.Restart("failed restarts");
        }
        finally { TestContext.Out.WriteLine(string.Join('\n', sweep.Report)); }
        Assert.That(never, Is.Empty, "points that were never hit");
    }
}
