namespace TreCr.Process.Tests;

/// <summary>Pre-copy while the program writes, captures that keep clean frames, aborted epochs in between; each compared with a full dump of the same freeze.</summary>
[TestFixture, Parallelizable(ParallelScope.Self)]
public sealed class TrackingTests
{
    /// <remarks>The writer with 16 MiB; <c>soak process</c> gives it 64.</remarks>
    private static readonly Dictionary<string, string> s_small = new() { ["WRITER_PAGES"] = "4096" };

    [TestCase("writer", 0, false, 1), TestCase("writer", 0, true, 2), TestCase("threads", 0, false, 3), TestCase("counter", 7, false, 4), TestCase("blocking", 0, true, 5)]
    public void EqualsFullDump(string program, int exit, bool unprivileged, int seed)
        => Runner.Run("pre:8", [Runner.Program(program)], unprivileged, seed, environment: s_small).Expect(exit).ExpectSameRun();

    /// <summary>Pages from /proc/PID/pagemap instead of PAGEMAP_SCAN: nothing is missing after restores.</summary>
    [TestCase("writer", false), TestCase("threads", false), TestCase("tree", false), TestCase("writer", true)]
    public void WithoutPagemapScan(string program, bool unprivileged)
        => Runner.Run("go:2 cycle:2 fresh:1", [Runner.Program(program)], unprivileged, seed: 7, environment: new(s_small) { ["TRECR_NO_PAGEMAP_SCAN"] = "1" }).Expect(0).ExpectSameRun();

    [TestCase("writer", false), TestCase("tree", false), TestCase("forker", false), TestCase("parent.py", true)]
    public void IncrementalImageRestores(string program, bool unprivileged) => Runner.Run("pre:3 restorepre:3", [Runner.Program(program)], unprivileged, seed: 6, environment: s_small).Expect(0).ExpectSameRun();
}
