namespace TreCr.Process.Tests;

/// <summary>Each program plain, dumped while it runs, and dumped, killed and restored again and again; as root and as an ordinary user.</summary>
[TestFixture, Parallelizable(ParallelScope.Self)]
public sealed class DumpRestoreTests
{
    private static readonly (string Name, int Exit)[] s_programs =
    [
        ("counter", 7), ("static", 7), ("threads", 0), ("blocking", 0), ("calls", 0), ("many", 0), ("memory", 0), ("pages", 0), ("clocks", 0), ("append", 0), ("rare", 0), ("limits", 0), ("coroutines", 0), ("tree", 0), ("forker", 0), ("pipeline.sh", 0), ("parent.py", 0), ("Runtime.java", 0), ("runtime.js", 0),
        ("workload", 0),
    ];

    private static readonly string[] s_scenarios = ["go:5", "cycle:6", "fresh:2 cycle:2 go:1 cycle:1", "ahead fresh:2", "pre:2 restorepre:2 cycle:1", "lazy:2 check cycle:1"];

    /// <summary>TRECR_SEED repeats a run; `./build.sh soak process` takes all.</summary>
    private static readonly int s_seed = int.TryParse(Environment.GetEnvironmentVariable("TRECR_SEED"), out int seed) ? seed : Random.Shared.Next(1, 1_000_000);

    /// <summary>Each program undisturbed, three cycles of dump, kill and restore, and as each kind of user one scenario that the seed picks.</summary>
    private static IEnumerable<TestCaseData> Cases()
    {
        Random random = new(s_seed);
        foreach (var (name, exit) in s_programs)
            foreach (bool unprivileged in (bool[])[false, true])
                foreach (string scenario in (string[])["", unprivileged ? "" : "cycle:3", s_scenarios[random.Next(s_scenarios.Length)]])
                    if (scenario.Length > 0 || !unprivileged) yield return new TestCaseData(name, exit, scenario, unprivileged).SetArgDisplayNames(name, scenario.Length == 0 ? "plain" : scenario, unprivileged ? "user" : "root");
    }

    [OneTimeSetUp]
    public void SaySeed() => TestContext.Progress.WriteLine($"TRECR_SEED={s_seed}");

    [TestCaseSource(nameof(Cases))]
    public void Runs(string program, int exit, string scenario, bool unprivileged)
        => Runner.Run(scenario, program == "workload" ? Runner.Workload : [Runner.Program(program)], unprivileged, s_seed).Expect(exit).ExpectSameRun();

    [Test]
    public void ExitCodesOfBadCommands()
    {
        Runner.Run("", ["/nonexistent/program"]).Expect(127);
        Runner.Run("", ["/etc/passwd"]).Expect(126);
        Runner.Run("", ["/tmp"]).Expect(126);
    }

    /// <summary>From a processor with more features: refused by name before anything is made, and what is there restores.</summary>
    [TestCase(false), TestCase(true)]
    public void ProcessorWithFewerFeatures(bool unprivileged) => Runner.Run("othercpu", [Runner.Program("threads")], unprivileged).Expect(0).ExpectSameRun();

    /// <summary>Values that are in registers only; of AMX also the permission to use it.</summary>
    [Test]
    public void RegistersOfAllKinds([Values("ymm", "zmm", "tile")] string kind, [Values("go:3 cycle:3", "fresh:1 lazy:1")] string scenario, [Values] bool unprivileged)
    {
        string feature = kind switch { "zmm" => "avx512bw", "tile" => "amx_tile", _ => "avx2" };
        if (!File.ReadLines("/proc/cpuinfo").First(l => l.StartsWith("flags")).Split(' ').Contains(feature)) Assert.Ignore($"this processor has no {feature}");
        Runner.Run(scenario, [Runner.Program("vector"), kind], unprivileged).Expect(0).ExpectSameRun();
    }

    [Test]
    public void HugePagesAreHugeAgain() => Runner.Run("cycle:2 fresh:1", [Runner.Program("rare")], environment: new() { ["WANT_HUGE"] = "1" }).Expect(0).ExpectSameRun();

    /// <summary>Nor by the tests themselves, however they end.</summary>
    [TestCase("closens", "threads", 0), TestCase("refused", "threads", 98), TestCase("", "missing", 127), TestCase("cycle:1", "threads", 0)]
    public void NothingIsLeftWhenTheNamespaceCloses(string scenario, string program, int exit)
    {
        string directory = Directory.CreateTempSubdirectory("trecr-left-").FullName;
        try
        {
            Runner.Run(scenario, [Runner.Program(program)], environment: new() { ["TMPDIR"] = directory }).Expect(exit);
            Assert.That(Directory.GetFileSystemEntries(directory), Is.Empty);
        }
        finally { Directory.Delete(directory, true); }
    }

    [Test]
    public void EndBySignalReachesTheSupervisor() => Runner.Run("go:1", [Runner.Program("refuse"), "abort"]).Expect(128 + 6);
}
