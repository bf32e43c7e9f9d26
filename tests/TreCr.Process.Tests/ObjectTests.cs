namespace TreCr.Process.Tests;

/// <summary>Kinds of kernel objects, one program each: plain, with checkpoints, killed and restored; as root and as an ordinary user. Started once, whatever happens to it.</summary>
[TestFixture, Parallelizable(ParallelScope.None)]
public sealed class ObjectTests
{
    private const string Python = "/usr/bin/python3";

    private static readonly string[] s_cases = ["files", "deleted", "memory", "fifo", "locks", "notify", "queued", "epoll", "timers", "unix", "passing", "tcp", "udp", "terminal", "ipc"];

    private static IEnumerable<TestCaseData> Cases()
    {
        foreach (string name in s_cases)
            foreach (var (scenario, unprivileged) in ((string, bool)[])[("", false), ("go:2 cycle:3", false), ("fresh:1 go:1 cycle:2", true)])
                yield return new TestCaseData(name, scenario, unprivileged).SetArgDisplayNames(name, scenario.Length == 0 ? "plain" : scenario, unprivileged ? "user" : "root");
    }

    [TestCaseSource(nameof(Cases))]
    public void Survives(string name, string scenario, bool unprivileged) => Run(name, scenario, unprivileged);

    private static Outcome Run(string name, string scenario, bool unprivileged)
    {
        if (!File.Exists(Python)) Assert.Ignore("no /usr/bin/python3");
        string starts = Path.GetTempFileName();
        try
        {
            File.SetUnixFileMode(starts, (UnixFileMode)0x1b6);
            Outcome outcome = Runner.Run(scenario, [Python, Runner.Source("objects.py"), name], unprivileged, environment: new() { ["TRECR_STARTS"] = starts }).Expect(0).ExpectSameRun();
            Assert.That(new FileInfo(starts).Length, Is.EqualTo(1), "number of starts");
            return outcome;
        }
        finally { File.Delete(starts); }
    }
}
