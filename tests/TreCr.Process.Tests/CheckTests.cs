namespace TreCr.Process.Tests;

/// <summary>What cannot be saved is named before anything is touched, all findings at once, and the program goes on.</summary>
[TestFixture, Parallelizable(ParallelScope.None)]
public sealed class CheckTests
{
    [TestCase("tcp", "TCP socket 127.0.0.1:")]
    [TestCase("unix", "Unix socket")]
    [TestCase("sharedvm", "shares memory with its parent")]
    [TestCase("unshared", "a table of descriptors of its own")]
    [TestCase("timer", "POSIX timer")]
    [TestCase("deleted", "is deleted")]
    [TestCase("shm", "SysV shared memory")]
    [TestCase("signalfd", "signalfd")]
    [TestCase("timerfd", "timerfd")]
    [TestCase("inotify", "inotify")]
    [TestCase("lock", "file lock")]
    [TestCase("pty", "terminal")]
    [TestCase("many", "TCP socket", "POSIX timer", "signalfd")]
    public void Names(string what, params string[] findings)
    {
        Outcome outcome = Runner.Run("check", [Runner.Program("refuse"), what]).Expect(0);
        foreach (string finding in findings) Assert.That(outcome.Output, Does.Contain(finding));
        // A dump is refused, and the program still runs and checks itself.
        outcome = Runner.Run("refused", [Runner.Program("refuse"), what]).Expect(0);
        Assert.That(outcome.Output, Does.Contain("done"));
    }

    [Test]
    public void NothingToSay() => Assert.That(Runner.Run("check", [Runner.Program("counter")]).Expect(7).Output, Does.Not.Contain("finding:"));
}
