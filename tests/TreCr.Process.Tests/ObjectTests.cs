namespace TreCr.Process.Tests;

/// <summary>Kinds of kernel objects, one program each: plain, with checkpoints, killed and restored; as root and as an ordinary user. Started once, whatever happens to it.</summary>
[TestFixture, Parallelizable(ParallelScope.Self)]
public sealed class ObjectTests
{
    private const string Python = "/usr/bin/python3";

    private static readonly string[] s_cases = ["files", "deleted", "memory", "fifo", "locks", "notify", "queued", "epoll", "timers", "unix", "passing", "tcp", "moments", "udp", "terminal", "ipc", "posixtimers", "family", "users"];

    private static IEnumerable<TestCaseData> Cases()
    {
        foreach (string name in s_cases)
            foreach (var (scenario, unprivileged) in ((string, bool)[])[("", false), ("go:2 cycle:3", false), ("fresh:1 go:1 cycle:2", true)])
                yield return new TestCaseData(name, scenario, unprivileged).SetArgDisplayNames(name, scenario.Length == 0 ? "plain" : scenario, unprivileged ? "user" : "root");
    }

    [TestCaseSource(nameof(Cases))]
    public void Survives(string name, string scenario, bool unprivileged) => Run(name, scenario, unprivileged);

    /// <summary>Other programs have the numbers of its terminals by the time of the restart: it gets a devpts of its own, is checkpointed there, and goes on, also where the numbers are taken once more.</summary>
    [TestCase(false), TestCase(true)]
    public void TerminalsWhoseNumbersAreTaken(bool unprivileged) => Run("terminal", "taken:6 go:1 cycle:1 taken:6 fresh:1", unprivileged);

    [TestCase("go:2 cycle:3", false), TestCase("fresh:1 go:1 cycle:2", true)]
    public void NodeServer(string scenario, bool unprivileged)
    {
        const string Node = "/usr/bin/node";
        if (!File.Exists(Node)) Assert.Ignore("no /usr/bin/node");
        lock (Runner.Ports) Runner.Run(scenario, [Node, Runner.Source("server.js")], unprivileged).Expect(0).ExpectSameRun();
    }

    /// <summary>By the time of the restart other programs have connections from the ports that its own came from, to somebody else.</summary>
    [TestCase(false), TestCase(true)]
    public void PortsThatOthersConnectFrom(bool unprivileged)
    {
        lock (Runner.Ports) Assert.That(Changed("tcp", $"{Python} {Runner.Source("connect-from.py")} DIR/*/ports", null, unprivileged).Expect(0).ExpectSameRun().Error, Does.Not.Contain("connect-from"));
    }

    /// <summary>While the program is away somebody appends to its log and writes over its beginning: the log is again as at the checkpoint.</summary>
    [Test]
    public void FileChangedMeanwhileIsPutBack() => Changed("files", "for f in DIR/*/log; do echo junk >> $f; printf JUNK | dd of=$f conv=notrunc bs=1 2>/dev/null; done", null).Expect(0).ExpectSameRun();

    /// <summary>A file of another user that was removed is made again as that user's.</summary>
    [Test]
    public void RemovedFileIsMadeAgainAsItsOwners() => Changed("users", "rm DIR/*/theirs", null).Expect(0).ExpectSameRun();

    /// <summary>A file that was too large to be saved and was changed refuses the restart, by name.</summary>
    [Test]
    public void LargeFileChangedMeanwhileIsNamed()
        => Assert.That(Changed("locks", "for f in DIR/*/file; do printf JUNK | dd of=$f conv=notrunc bs=1 2>/dev/null; done", "10").Expect(98).Error, Does.Contain("/file, which the program writes, was changed since the checkpoint"));

    private static Outcome Changed(string name, string command, string? saveBelow, bool unprivileged = false)
    {
        if (!File.Exists(Python)) Assert.Ignore("no /usr/bin/python3");
        string directory = Directory.CreateTempSubdirectory("trecr-changed-").FullName;
        File.SetUnixFileMode(directory, (UnixFileMode)0x1ff);
        try
        {
            Dictionary<string, string> environment = new() { ["TMPDIR"] = directory, ["TRECR_TEST_BETWEEN"] = command.Replace("DIR", directory) };
            if (saveBelow is not null) environment["TRECR_TEST_SAVE_BELOW"] = saveBelow;
            return Runner.Run("cycle:1", [Python, Runner.Source("objects.py"), name], unprivileged, environment: environment);
        }
        finally { Directory.Delete(directory, true); }
    }

    private static Outcome Run(string name, string scenario, bool unprivileged)
    {
        if (!File.Exists(Python)) Assert.Ignore("no /usr/bin/python3");
        string starts = Path.GetTempFileName();
        try
        {
            File.SetUnixFileMode(starts, (UnixFileMode)0x1b6);
            Outcome outcome;
            lock (Runner.Ports) outcome = Runner.Run(scenario, [Python, Runner.Source("objects.py"), name], unprivileged, environment: new() { ["TRECR_STARTS"] = starts }).Expect(0).ExpectSameRun();
            Assert.That(new FileInfo(starts).Length, Is.EqualTo(1), "number of starts");
            return outcome;
        }
        finally { File.Delete(starts); }
    }
}
