using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Api.Tests;

/// <summary>C programs of the kind of VELOC's examples on libveloc-client.so: alone and below mpirun, killed at random moments, with what a lost node or a killed helper costs.</summary>
public sealed class VelocProgramTests
{
    private const int Seed = 20261122;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private Place _place = null!;

    [SetUp]
    public void Enter()
    {
        _place = new Place();
        Directory.CreateDirectory($"{_place.Root}/files");
        Directory.CreateDirectory($"{_place.Root}/t");
    }

    [TearDown]
    public void Leave()
    {
        WaitForHelper();
        _place.Dispose();
    }

    [Test]
    public void WrongCalls_FailAndLoseNothing([Values("sync", "async")] string mode)
    {
        string program = Compile("gcc", "misuse");
        RunningProgram run = Start(program, _place.Configure($"mode = {mode}"));
        Assert.That(run.WaitForExit(s_limit), Is.Zero, string.Join('\n', run.Output));
        Assert.That(run.Output, Is.EqualTo(new[] { "ok" }));
    }

    [TestCase("mode = neither", "mode is 'sync' or 'async'")]
    [TestCase("nonsense", "neither 'key = value' nor a comment")]
    [TestCase("mode = sync\nmax_versions = many", "max_versions is a number")]
    [TestCase("", "'mode' is missing")]
    public void AConfigurationThatIsNone_IsNamed(string lines, string message)
    {
        RunningProgram run = Start(Compile("gcc", "heat", "-DVELOC_WITHOUT_MPI"), "mem", _place.Configure(lines), "1", "1");
        Assert.That(run.WaitForExit(s_limit), Is.EqualTo(3));
        Assert.That(run.Output, Is.EqualTo(new[] { "failed: init" }));
        Assert.That(run.Errors, Does.Contain("VELOC_Init_single: configuration").And.Contain(message));
    }

    [Test]
    public void TheEnvironment_OverridesTheFile()
    {
        string program = Compile("gcc", "heat", "-DVELOC_WITHOUT_MPI");
        RunningProgram run = new(program, ["mem", "", "4", "2"], new Dictionary<string, string>(Variables()) { ["VELOC_MODE"] = "sync", ["VELOC_SCRATCH"] = $"{_place.Root}/other" });
        Assert.That(run.WaitForExit(s_limit), Is.Zero, run.Errors);
        Assert.That(Directory.GetFiles($"{_place.Root}/other").Select(Path.GetFileName).Order(), Is.EqualTo(new[] { "heat-0-2.dat", "heat-0-4.dat" }));
    }

    /// <summary>Killed again and again at moments that follow from a seed, until it comes to its end; what it had said to be saved is never lost.</summary>
    [TestCase("mem", "sync", false), TestCase("mem", "async", true), TestCase("file", "sync", true), TestCase("file", "async", false)]
    public void Killed_ItAlwaysEndsWithTheRightBytes(string kind, string mode, bool loseNode)
    {
        const int Steps = 250, Every = 8, Kills = 4;
        string program = Compile("gcc", "heat", "-DVELOC_WITHOUT_MPI");
        string[] arguments = [kind, _place.Configure($"mode = {mode}", "max_versions = 2", "scratch_versions = 2"), $"{Steps}", $"{Every}", "512"];
        string whole = Whole(program, arguments);
        Random random = new(Seed + HashCode.Combine(kind.Length, mode.Length, loseNode));
        int safe = -1, kills = 0;
        while (true)
        {
            RunningProgram run = Start(program, arguments);
            if (kills == Kills)
            {
                Assert.That(run.WaitForExit(s_limit), Is.Zero, $"{string.Join('\n', run.Output.TakeLast(3))}\n{run.Errors}");
                Assert.That(run.Output[^1], Is.EqualTo(whole));
                Assert.That(Restarted(run), Is.GreaterThanOrEqualTo(safe).And.GreaterThan(0));
                return;
            }
            int first = Math.Max(safe, 0) + random.Next(1, 3 * Every);
            run.WaitForLine(l => Number(l, "step") >= first || l.StartsWith("sum"), s_limit);
            if (++kills == Kills) run.WaitForLine(l => Number(l, loseNode ? "saved" : "taken") > 0 || l.StartsWith("sum"), s_limit); // else nothing may be there to go on from
            Thread.SpinWait(random.Next(200_000)); // somewhere in a step, a checkpoint or a flush
            run.Kill();
            Assert.That(Restarted(run), Is.GreaterThanOrEqualTo(safe), run.Errors);
            int said = run.Output.Select(l => Number(l, loseNode ? "saved" : "taken")).DefaultIfEmpty(-1).Max();
            safe = Math.Max(safe, said);
            if (!loseNode) continue;
            WaitForHelper();
            _place.LoseScratch();
        }
    }

    /// <summary>The helper is killed while it flushes: the next one does what it left.</summary>
    [Test]
    public void AKilledHelper_LosesNothing()
    {
        string program = Compile("gcc", "heat", "-DVELOC_WITHOUT_MPI");
        string[] arguments = ["mem", _place.Configure("mode = async"), "60", "5", "512"];
        string whole = Whole(program, arguments);
        RunningProgram run = Start(program, arguments);
        Random random = new(Seed);
        for (int version = 5; version <= 40; version += 5)
        {
            run.WaitForLine(l => Number(l, "taken") >= version, s_limit);
            Thread.SpinWait(random.Next(100_000));
            foreach (int pid in Helpers()) Linux.Sys.Kill(pid, Linux.Sys.SIGKILL);
            Thread.Sleep(50); // a program that is ahead of us would have each of its attempts to start another one killed
        }
        Assert.That(run.WaitForExit(s_limit), Is.Zero, run.Errors);
        Assert.That(run.Output[^1], Is.EqualTo(whole));
        Assert.That(Directory.GetFiles(_place.Persistent).Length, Is.EqualTo(12), "each version is in the persistent directory");
    }

    /// <summary>The program ends without waiting: the helper goes on alone, and ends.</summary>
    [Test]
    public void TheHelper_OutlivesTheProgram()
    {
        string program = Compile("gcc", "heat", "-DVELOC_WITHOUT_MPI");
        RunningProgram run = Start(program, "mem", _place.Configure("mode = async"), "1000000", "1", "2048");
        run.WaitForLine(l => l == "taken 1", s_limit);
        run.Kill();
        WaitForHelper();
        Assert.That(File.Exists($"{_place.Persistent}/heat-0-1.dat"));
        _place.LoseScratch();
        run = Start(program, "mem", _place.Configure("mode = async"), "1000000", "1", "2048");
        run.WaitForLine(l => Number(l, "restart") >= 1, s_limit);
        run.Kill();
    }

    [TestCase("openmpi", "mem", "async"), TestCase("mpich", "file", "sync")]
    public void BelowMpirun_RanksKilledApart_AgreeOnAVersion(string library, string kind, string mode)
    {
        if (!File.Exists($"/usr/bin/mpicc.{library}")) Assert.Ignore($"no mpicc.{library}");
        if (!File.Exists($"/usr/bin/mpirun.{library}")) Assert.Ignore($"no mpirun.{library}");
        const int Ranks = 3, Steps = 90, Every = 6;
        string program = Compile($"mpicc.{library}", "heat");
        string[] launch = [.. library == "openmpi" ? ["--oversubscribe", "--bind-to", "none"] : Array.Empty<string>(), "-n", $"{Ranks}"];
        string[] arguments = [.. launch, program, kind, _place.Configure($"mode = {mode}", "max_versions = 1", "scratch_versions = 1"), $"{Steps}", $"{Every}", "96"];
        string mpirun = $"/usr/bin/mpirun.{library}", whole = Whole(mpirun, arguments);
        Random random = new(Seed + library.Length + kind.Length);
        int last = 0;
        for (int kills = 0; kills < 2; kills++)
        {
            RunningProgram run = Start(mpirun, arguments);
            int first = last + random.Next(Every, 3 * Every);
            run.WaitForLine(l => Number(l, "step") >= first, s_limit);
            int[] ranks = [.. run.Descendants().Where(p => NameOf(p) == "heat")];
            Linux.Sys.Kill(ranks[random.Next(ranks.Length)], Linux.Sys.SIGKILL); // one of them: mpirun ends the others, each wherever it is
            Assert.That(run.WaitForExit(s_limit), Is.Not.Zero);
            Assert.That(Restarted(run), kills == 0 ? Is.EqualTo(-1) : Is.GreaterThan(0));
            last = Math.Max(last, Restarted(run));
            if (kills == 0) continue;
            WaitForHelper();
            _place.LoseScratch();
        }
        RunningProgram end = Start(mpirun, arguments);
        Assert.That(end.WaitForExit(s_limit), Is.Zero, end.Errors);
        Assert.That(Restarted(end), Is.GreaterThan(0));
        Assert.That(end.Output[^1], Is.EqualTo(whole));
    }

    /// <summary>Below `trecr run`, on its device: two device regions and a host region in one checkpoint, brought back by the same process and by another.</summary>
    [Test]
    public void DeviceMemory_ComesBack()
    {
        string program = Compile("gcc", "device", $"{Repository.Root}/out/lib/libcuda.so.1"), configuration = _place.Configure("mode = async");
        foreach (string[] again in (string[][])[[], ["again"]])
        {
            Dictionary<string, string> variables = new(Variables()) { ["TRECR_SESSION"] = "", ["XDG_RUNTIME_DIR"] = $"{_place.Root}/t", ["TRECR_STORE"] = $"{_place.Root}/jobs" };
            RunningProgram run = new($"{Repository.Root}/out/trecr", ["run", "--job", "veloc", "--", program, configuration, .. again], variables);
            Assert.That(run.WaitForExit(s_limit), Is.Zero, $"{string.Join('\n', run.Output)}\n{run.Errors}");
            Assert.That(run.Output, Is.EqualTo(new[] { "ok" }));
        }
    }

    private static int Number(string line, string word) => line.StartsWith(word + " ", StringComparison.Ordinal) && int.TryParse(line.AsSpan(word.Length + 1), out int number) ? number : -1;

    private static int Restarted(RunningProgram run) => run.Output.Select(l => Number(l, "restart")).DefaultIfEmpty(int.MaxValue).First();

    private string Compile(string compiler, string name, params string[] options)
    {
        string program = $"{_place.Root}/{name}", libraries = $"{Repository.Root}/out/lib";
        RunningProgram run = new($"/usr/bin/{compiler}",
            ["-O2", "-Wall", "-Werror", "-I", $"{Repository.Root}/out/include", "-o", program, $"{Repository.Root}/tests/programs/veloc/{name}.c", .. options, "-L", libraries, "-lveloc-client", "-lm", $"-Wl,-rpath,{libraries}"], Variables());
        Assert.That(run.WaitForExit(s_limit), Is.Zero, run.Errors);
        return program;
    }

    private Dictionary<string, string> Variables() => new()
    {
        ["HEAT_FILES"] = $"{_place.Root}/files", ["TMPDIR"] = $"{_place.Root}/t", ["OMPI_ALLOW_RUN_AS_ROOT"] = "1", ["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1",
    };

    private RunningProgram Start(string program, params string[] arguments) => new(program, arguments, Variables());

    /// <summary>The last line of a run that nobody disturbs, and that leaves nothing behind.</summary>
    private string Whole(string program, string[] arguments)
    {
        RunningProgram run = Start(program, arguments);
        Assert.That(run.WaitForExit(s_limit), Is.Zero, run.Errors);
        WaitForHelper();
        foreach (string directory in (string[])[_place.Scratch, _place.Persistent, $"{_place.Root}/files"]) Directory.Delete(directory, recursive: true);
        Directory.CreateDirectory($"{_place.Root}/files");
        return run.Output[^1];
    }

    private int[] Helpers() => [.. Directory.GetDirectories("/proc").Select(d => int.TryParse(Path.GetFileName(d), out int pid) ? pid : 0).Where(p => p > 0 && IsHelper(p))];

    private bool IsHelper(int pid)
    {
        try { return File.ReadAllText($"/proc/{pid}/cmdline").Split('\0') is [var program, _, var scratch, ..] && program.EndsWith("veloc-backend") && scratch == _place.Scratch; }
        catch (IOException) { return false; }
    }

    private static string NameOf(int pid)
    {
        try { return File.ReadAllText($"/proc/{pid}/comm").TrimEnd(); }
        catch (IOException) { return ""; }
    }

    private void WaitForHelper()
    {
        foreach (int pid in Helpers())
        {
            int fd = Linux.Sys.PidfdOpen(pid);
            if (fd < 0) continue;
            Linux.PollEntry[] entry = [new() { Fd = fd, Events = Linux.Sys.POLLIN }];
            Assert.That(Linux.Sys.Poll(entry, (int)s_limit.TotalMilliseconds), Is.EqualTo(1), "the helper does not end");
            Linux.Sys.Close(fd);
        }
    }
}
