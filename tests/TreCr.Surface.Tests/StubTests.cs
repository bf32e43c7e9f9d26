using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Surface.Tests;

/// <summary>A sample of <c>soak stubs</c>: functions replaced by "return success, do nothing" turn a case red.</summary>
public sealed class StubTests
{
    [Test]
    public void A_function_that_does_nothing_is_noticed()
    {
        int seed = Environment.TickCount;
        TestContext.Out.WriteLine($"seed {seed}");
        string[] sample = [.. SurfaceProgram.Functions];
        new Random(seed).Shuffle(sample);
        sample = [.. sample.Take(12)];
        Dictionary<string, (string Case, string Reason)> caught = SurfaceProgram.Stub(sample, SurfaceProgram.Limit);
        Assert.That(caught.Keys, Is.EquivalentTo(sample), $"seed {seed}");
        Assert.That(caught.Where(c => c.Value.Case.Length == 0).Select(c => c.Key), Is.Empty, $"seed {seed}");
    }
}
