namespace TreCr.Process.Tests;

/// <summary>Programs whose processes, threads and descriptors come and go all the time, looked at while they run and stopped at any moment of that.</summary>
[TestFixture, Parallelizable(ParallelScope.Self)]
public sealed class ChangingTests
{
    /// <summary>What a check reads may be gone at the next reading; it finds nothing that would be in the way.</summary>
    [TestCase("forker", false), TestCase("pipeline.sh", false), TestCase("parent.py", true), TestCase("churn", true), TestCase("execer", false)]
    public void ChecksFindNothing(string program, bool unprivileged)
        => Assert.That(Runner.Run(string.Join(' ', Enumerable.Repeat("check", 25)), [Runner.Program(program)], unprivileged).Expect(0).ExpectSameRun().Output, Does.Not.Contain("finding:"));

    /// <summary>Threads that begin and end while they are being stopped; a thread that executes another program, which ends the others and takes the first one's number.</summary>
    /// <remarks>Processes that others kill meanwhile: <c>soak process</c>, with the program killer.</remarks>
    [TestCase("churn", false), TestCase("execer", false), TestCase("execer", true)]
    public void StopsAnywhere(string program, bool unprivileged)
        => Runner.Run("go:10 cycle:2 pre:2 restorepre:1 fresh:1 cycle:1", [Runner.Program(program)], unprivileged, seed: Random.Shared.Next(1, 1_000_000)).Expect(0).ExpectSameRun();

    /// <summary>Each file or directory of /proc is open for a moment only; with some checkpoint one always is, and none is refused.</summary>
    [TestCase("go:30 pre:2 cycle:2 check", false), TestCase("go:8 fresh:1 check", true)]
    public void ReadersOfProc(string scenario, bool unprivileged)
        => Assert.That(Runner.Run(scenario, [Runner.Program("procfs")], unprivileged, seed: Random.Shared.Next(1, 1_000_000)).Expect(0).ExpectSameRun().Output, Does.Not.Contain("finding:"));

    /// <summary>At most moments some connection has been made, and sent to, that its server has not accepted: servers run on until they have, while their clients stand still.</summary>
    [TestCase("go:8 cycle:4 pre:1 check", false), TestCase("go:4 fresh:1 cycle:3 check", true)]
    public void ConnectionsAllTheTime(string scenario, bool unprivileged)
    {
        lock (Runner.Ports) Assert.That(Runner.Run(scenario, [Runner.Program("connector")], unprivileged, seed: Random.Shared.Next(1, 1_000_000)).Expect(0).ExpectSameRun().Output, Does.Not.Contain("finding:"));
    }
}
