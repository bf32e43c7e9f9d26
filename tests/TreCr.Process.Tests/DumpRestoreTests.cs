namespace TreCr.Process.Tests;

/// <summary>Each program plain, dumped while it runs, and dumped, killed and restored again and again; as root and as an ordinary user.</summary>
[TestFixture, Parallelizable(ParallelScope.None)]
public sealed class DumpRestoreTests
{
    private static readonly (string Name, int Exit)[] s_programs = [("counter", 7), ("threads", 0), ("blocking", 0), ("append", 0), ("tree", 0), ("forker", 0), ("pipeline.sh", 0), ("parent.py", 0)];

    private static IEnumerable<TestCaseData> Cases()
    {
        foreach (var (name, exit) in s_programs)
            foreach (bool unprivileged in (bool[])[false, true])
                foreach (string scenario in (string[])["", "go:10", "cycle:12", "fresh:2 cycle:2 go:1 cycle:1"])
                    yield return new TestCaseData(name, exit, scenario, unprivileged).SetArgDisplayNames(name, scenario.Length == 0 ? "plain" : scenario, unprivileged ? "user" : "root");
    }

    [TestCaseSource(nameof(Cases))]
    public void Runs(string program, int exit, string scenario, bool unprivileged)
        => Runner.Run(scenario, [Runner.Program(program)], unprivileged).Expect(exit).ExpectSameRun();

    [Test]
    public void ExitCodesOfBadCommands()
    {
        Runner.Run("", ["/nonexistent/program"]).Expect(127);
        Runner.Run("", ["/etc/passwd"]).Expect(126);
        Runner.Run("", ["/tmp"]).Expect(126);
    }

    [Test]
    public void NothingIsLeftWhenTheNamespaceCloses() => Runner.Run("closens", [Runner.Program("threads")]).Expect(0);

    [Test]
    public void EndBySignalReachesTheSupervisor() => Runner.Run("go:1", [Runner.Program("refuse"), "abort"]).Expect(128 + 6);
}
