using NUnit.Framework;
using TreCr.Linux;

namespace TreCr.Ring.Tests;

/// <summary>A seeded sample of <c>soak ring</c>.</summary>
public unsafe class RingSoakTests
{
    [TestCase(1), TestCase(2), TestCase(3)]
    public void RandomFreezesKeepOrderAndCount(int seed)
    {
        RingSoak.Result result = RingSoak.Run(150, seed, processes: false);
        TestContext.Out.WriteLine(result);
        Assert.That(result.Records, Is.GreaterThan(100));
        Assert.That(result.Replaced, Is.GreaterThan(10));
    }

    [Test]
    public void ADelegatorProcessIsKilledAndReplaced()
    {
        RingSoak.Result result = RingSoak.Run(60, 4, processes: true);
        TestContext.Out.WriteLine(result);
        Assert.That(result.Replaced, Is.GreaterThan(0));
    }

    [Test]
    public void ADelegatorKilledWithoutGateEndsAllWaits()
    {
        (Segment segment, int segmentFd) = Segment.Create(1);
        int stateFd = Sys.MemfdCreate("model-state");
        Sys.Ftruncate(stateFd, 4096);
        ModelState* state = ModelState.Map(stateFd);
        (int connection, int other) = Sys.SocketPair();
        ProcessPeer peer = new(segmentFd, stateFd);
        using ModelProgram program = new(segment, state, connection, 5);
        Assert.That(SpinWait.SpinUntil(() => program.Published > 1000, 60_000));
        peer.Kill();
        Sys.Close(other); // what the kernel does with the delegator's end
        // A thread notices when it waits or its ring is full.
        Assert.That(SpinWait.SpinUntil(() => program.SessionsLost == ModelState.Threads, 60_000), $"{program.SessionsLost} of {ModelState.Threads} noticed");
    }
}
