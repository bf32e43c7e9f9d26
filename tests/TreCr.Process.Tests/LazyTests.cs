namespace TreCr.Process.Tests;

/// <summary>Programs that run before their memory is there. Each checks all of it itself, at once and at the end.</summary>
[TestFixture, Parallelizable(ParallelScope.Self)]
public sealed class LazyTests
{
    /// <remarks>memory reads its own smaps, which say which areas have a userfaultfd: <c>check</c> waits until none has.</remarks>
    [TestCase("pages", "lazy:4"), TestCase("writer", "lazy:2 cycle:1 lazy:1"), TestCase("memory", "lazy:2 check"), TestCase("many", "lazy:2"), TestCase("Runtime.java", "lazy:2"), TestCase("workload", "lazy:2")]
    public void RunsOn(string program, string scenario)
        => Runner.Run(scenario, program == "workload" ? Runner.Workload : [Runner.Program(program)], seed: 11).Expect(0).ExpectSameRun();

    /// <summary>Prepared and frozen at once, while pages are missing; what is saved is compared with a full dump.</summary>
    [TestCase("pages"), TestCase("writer")]
    public void ACheckpointMeanwhileIsWhole(string program) => Runner.Run("lazypre:3 lazy:1", [Runner.Program(program)], seed: 12).Expect(0).ExpectSameRun();

    /// <summary>The engine is killed while pages are missing: what needs one waits for the next engine, and nothing is lost.</summary>
    [TestCase("pages"), TestCase("writer")]
    public void AnotherEngineGoesOn(string program) => Runner.Run("lazykill:4", [Runner.Program(program)], seed: 13).Expect(0).ExpectSameRun();

    /// <summary>
    /// The engine dies at each point of serving: while pages are missing, when none is, when a part of the areas is the kernel's again. Only an event that was read and not noted ends the program, and
    /// a child that was forked while pages are missing: pages has children.
    /// </summary>
    [TestCase("writer"), TestCase("pages")]
    public void EngineDies(string program)
    {
        string error = Runner.Run("lazyfault:LazyCopied:kill lazyfault:LazyCopied:9:kill lazyfault:LazyFilled:kill lazyfault:LazyUnregister:kill lazyfault:LazyUnregister:2:kill lazyfault:LazyEvent:kill", [Runner.Program(program)],
            seed: 15).Expect(0).ExpectSameRun().Error;
        Assert.That(error.Split("host: nobody can go on (LazyEvent:kill)"), Has.Length.EqualTo(2));
        if (program == "writer") Assert.That(error.Split("host: nobody can go on"), Has.Length.EqualTo(2));
    }

    /// <summary>
    /// The engine dies as it hears of a child, whose userfaultfd nobody else has: the child must not see zeroes in place of the pages that it misses (before there was a keeper of descriptors it did, and
    /// the program ended by itself).
    /// </summary>
    [Test]
    public void EngineDiesAtAFork()
        => Assert.That(Runner.Run("lazyfault:LazyEvent:kill lazyfault:LazyEvent:2:kill lazyfault:LazyEvent:3:kill", [Runner.Program("forks")], seed: 16).Expect(0).ExpectSameRun().Error.Split("host: nobody can go on (LazyEvent"),
            Has.Length.EqualTo(4));

    /// <summary>Page faults of system calls cannot be served by an ordinary user: the memory comes first, and it is said.</summary>
    [Test]
    public void WithoutPrivilegeMemoryComesFirst()
    {
        Outcome run = Runner.Run("lazy:2", [Runner.Program("writer")], unprivileged: true, seed: 14).Expect(0).ExpectSameRun();
        Assert.That(run.Error, Does.Contain("not lazy: page faults of system calls"));
    }
}
