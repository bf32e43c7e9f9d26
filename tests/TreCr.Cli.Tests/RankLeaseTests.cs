using NUnit.Framework;
using TreCr.Control;

namespace TreCr.Cli.Tests;

/// <summary>A rank's side of the epochs, and names.</summary>
public sealed class RankLeaseTests
{
    [Test]
    public void SilentCoordinator_ExpiresTheLease()
    {
        RankLease lease = new();
        Assert.That(lease.TryBegin(1, 0), Is.True);
        lease.Heard(5_000);
        Assert.That(lease.Expired(5_000 + ControlWire.LeaseMs - 1), Is.False);
        Assert.That(lease.Expired(5_000 + ControlWire.LeaseMs), Is.True);
    }

    [Test]
    public void AnEpochThatIsOver_IsNeverBegunAgain()
    {
        RankLease lease = new(lastEpoch: 3);
        Assert.That(lease.TryBegin(3, 0), Is.False);
        Assert.That(lease.TryBegin(4, 0), Is.True);
        Assert.That(lease.TryBegin(5, 0), Is.False, "one at a time");
        lease.End(4);
        Assert.That(lease.Holds(4), Is.False);
        Assert.That(lease.TryBegin(4, 0), Is.False);
        Assert.That(lease.TryBegin(5, 0), Is.True);
    }

    [TestCase("heat", true), TestCase("heat-1_B", true), TestCase("", false), TestCase("-x", false), TestCase("a.b", false), TestCase("a/b", false), TestCase("a b", false), TestCase("ä", false)]
    public void JobNames(string name, bool valid) => Assert.That(JobName.IsValid(name), Is.EqualTo(valid));

    [TestCase("/usr/bin/g++", "g__"), TestCase("./a.out", "a_out"), TestCase("...", "program")]
    public void DefaultNames(string program, string stem)
    {
        Assert.That(JobName.FromProgram(program), Is.EqualTo(stem));
        Assert.That(JobName.IsValid($"{stem}-1"), Is.True);
    }

    [Test]
    public void LongestMessage_IsRefused()
    {
        Envelope envelope = new() { Failed = new RankFailed { Reason = new string('x', ControlWire.MaxMessageBytes) } };
        Assert.That(() => ControlWire.Encode(envelope), Throws.ArgumentException);
        Assert.That(ControlWire.Decode([1, 2, 3, 255]), Is.Null);
    }
}
