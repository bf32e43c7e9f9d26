using System.Text.Json;
using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>Every fault point once, in each process that comes by; the whole sweep is <c>./build.sh soak faults</c>.</summary>
public sealed class FaultSweepTests
{
    /// <summary>Small, so that a job takes little more than its start.</summary>
    internal static readonly Sample Small = new("heat2d", ["--size", "128", "--steps", "40", "--every", "4"], "heat2d: field ", 41);

    private static IEnumerable<FaultCase> Ends => FaultCase.Of(FaultCase.OfCheckpoint, "kill").Where(f => f.EndsTheProgram);

    [Test]
    public void Every_point_of_the_list_is_swept()
    {
        using Job job = new(Small);
        (int code, string[] output, string errors) = job.Do("faults", "list", "--json");
        Assert.That(code, Is.Zero, errors);
        IEnumerable<string?> points = JsonDocument.Parse(output[0]).RootElement.GetProperty("points").EnumerateArray().Select(p => p.GetString());
        IEnumerable<string> swept = [.. FaultCase.OfCheckpoint.Select(p => p.Point), .. FaultCase.OfRestart.Select(p => p.Point), .. FaultCase.LeftOut.Select(p => p.Point)];
        Assert.That(swept, Is.EquivalentTo(points));
    }

    /// <summary>One job, all the faults one after another, a good checkpoint after each.</summary>
    [TestCase("kill"), TestCase("errno")]
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
    public void A_failed_restart_leaves_nothing_and_the_next_one_works()
    {
        using FaultSweep sweep = new(Small);
        sweep.Kill();
        List<FaultCase> never = [];
        try
        {
            foreach (FaultCase fault in FaultCase.Of(FaultCase.OfRestart, "kill").Concat(FaultCase.Of(FaultCase.OfRestart, "errno")))
                if (!sweep.FailRestart(fault)) never.Add(fault);
            sweep.Restart("failed restarts");
        }
        finally { TestContext.Out.WriteLine(string.Join('\n', sweep.Report)); }
        Assert.That(never, Is.Empty, "points that were never hit");
    }
}
