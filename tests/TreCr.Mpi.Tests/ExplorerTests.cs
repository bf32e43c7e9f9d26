using NUnit.Framework;
using TreCr.Ring;

namespace TreCr.Mpi.Tests;

/// <summary>The protocol between ranks under schedules that no real machine would choose: nothing is lost, nothing comes twice or in another order, nothing waits for ever, and a cut finds the network empty.</summary>
public sealed class ExplorerTests
{
    [TestCase(2, 0, 2, 6), TestCase(2, 1, 2, 5), TestCase(3, 1, 1, 3), TestCase(3, 0, 1, 5), TestCase(2, 2, 1, 9)]
    public void AllSchedulesWithFewDelays_AreRight(int ranks, int what, int delays, int stride)
    {
        using Explorer explorer = new(ranks);
        explorer.Explore(what, delays, stride);
        TestContext.Out.WriteLine($"{explorer.Runs} runs, {explorer.BusyCuts} with messages under way at the checkpoint");
        Assert.That(explorer.BusyCuts, Is.GreaterThan(explorer.Runs / 5), "checkpoints fall where messages are under way");
    }

    [Test]
    public void RandomRuns_AreRight([Values(2, 3, 4)] int ranks)
    {
        using Explorer explorer = new(ranks);
        for (int seed = 0; seed < 60; seed++) explorer.RunRandomly(1000 * ranks + seed);
    }

    [Test]
    public void EveryMistake_IsFound([Values] ProtocolBug bug)
    {
        using Explorer explorer = new(3, bug);
        ProtocolViolation? found = null;
        try
        {
            for (int seed = 0; seed < 150; seed++) explorer.RunRandomly(seed);
        }
        catch (ProtocolViolation e) { found = e; }
        TestContext.Out.WriteLine($"run {explorer.Runs}: {found?.Message}");
        Assert.That(found, bug == ProtocolBug.None ? Is.Null : Is.Not.Null);
    }
}
