using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Api.Tests;

/// <summary>Programs with the calls of GPI_CP's examples and tests on libgpi_cp.so: several processes of this host below gaspi_run, mpirun and trecr run, killed in calls and at random moments, with spares.</summary>
public sealed class GpiProgramTests
{
    private const int Seed = 20261123;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private Place _place = null!;

    [SetUp]
    public void Enter()
    {
        _place = new Place();
        Directory.CreateDirectory(Runtime);
    }

    [TearDown]
    public void Leave()
    {
        try
        {
            // The agent ends with its last rank, and takes its socket along.
            Assert.That(() => Directory.Exists($"{Runtime}/trecr") ? Directory.GetFiles($"{Runtime}/trecr", "gpi-*") : [], Is.Empty.After((int)s_limit.TotalMilliseconds, 20));
        }
        finally { _place.Dispose(); }
    }

    private string Runtime => $"{_place.Root}/r";

    [Test]
    public void WrongCalls_GiveTheirCodes([Values("gcc", "clang++-19")] string compiler)
    {
        using RunningProgram run = Start(2, Compile(compiler, "misuse"));
        Assert.That(run.WaitForExit(s_limit), Is.Zero, string.Join('\n', run.Output));
        Assert.That(run.Output, Is.EqualTo(new[] { "ok", "ok" }));
    }

    /// <summary>The program makes the new group; every policy, any spare for any rank.</summary>
    [TestCase(1, 4, 3), TestCase(2, 0, 3), TestCase(3, 2, 0), TestCase(4, 1, 4)]
    public void ASpareTakesTheDeadRanksPlace(int policy, int spare, int victim)
    {
        using RunningProgram run = Start(5, Compile("gcc", "buddy"), $"{policy}", $"{spare}", $"{victim}");
        Assert.That(run.WaitForExit(s_limit), Is.Zero, $"{string.Join('\n', run.Output)}\n{run.Errors}");
        Assert.That(run.Output, Is.EquivalentTo(new[] { "ok 0", "ok 1", "ok 2", "ok 3" }));
    }

    /// <summary>Deaths right after start, inside commit and inside restore, of neighbours, of several at once, and of spares that had just taken over.</summary>
    [TestCase("2:start:10"), TestCase("0:commit:20"), TestCase("3:commit:10 4:restore:10"), TestCase("1:start:10 2:start:20 4:commit:30"), TestCase("1:commit:10 2:commit:10 3:restore:10")]
    public void KilledInACall_ItEndsWithTheRightBytes(string deaths)
    {
        string program = Compile("gcc", "heat");
        string[] arguments = ["4", "40", "10", "32"];
        using RunningProgram run = Start(8, program, [.. arguments, .. deaths.Split(' ')]);
        Assert.That(run.WaitForExit(s_limit), Is.Zero, run.Errors);
        Assert.That(run.Output, Does.Contain(Whole(program, arguments)));
        Assert.That(run.Output.Count(l => l.StartsWith("restored")), Is.GreaterThan(0));
    }

    /// <summary>Killed at moments that follow from a seed. What had been said to be taken is never lost.</summary>
    [Test]
    public void KilledAnywhere_ItEndsWithTheRightBytes()
    {
        const int Active = 4, Kills = 6, Every = 7;
        string program = Compile("gcc", "heat");
        string[] arguments = [$"{Active}", "400", $"{Every}", "256"];
        using RunningProgram run = Start(Active + Kills, program, arguments);
        Random random = new(Seed);
        List<int> active = [.. Enumerable.Range(0, Active)];
        for (int kills = 0; kills < Kills; kills++)
        {
            int restored = kills;
            run.WaitForLine(l => l.StartsWith("taken") && run.Output.Count(o => o.StartsWith("restored")) >= restored, s_limit);
            int first = Last(run, "step") + random.Next(3 * Every);
            run.WaitForLine(l => Number(l, "step") >= first || l.StartsWith("sum"), s_limit);
            Thread.SpinWait(random.Next(200_000)); // somewhere in a step, a start or a commit
            int victim = active[random.Next(Active)], safe = Last(run, "taken");
            Linux.Sys.Kill(Pid(run, victim), Linux.Sys.SIGKILL);
            active.Remove(victim);
            active.Add(Active + kills);
            run.WaitForLine(_ => run.Output.Count(o => o.StartsWith("restored")) > restored, s_limit);
            Assert.That(Last(run, "restored"), Is.GreaterThanOrEqualTo(safe), "what was said to be taken is there");
        }
        Assert.That(run.WaitForExit(s_limit), Is.Zero, run.Errors);
        Assert.That(run.Output, Does.Contain(Whole(program, arguments)));
    }

    /// <summary>More deaths than spares: the survivors are told, and nobody waits for ever.</summary>
    [Test]
    public void WithoutASpare_TheSurvivorsAreTold()
    {
        using RunningProgram run = Start(4, Compile("gcc", "heat"), "4", "40", "10", "32", "2:start:10");
        Assert.That(run.WaitForExit(s_limit), Is.EqualTo(3));
        Assert.That(run.Output.Count(l => l == "no takeover"), Is.EqualTo(3));
        Assert.That(run.Errors, Does.Contain("no spare is left for a rank that is dead"));
    }

    /// <summary>Without the agent no call can end well; none hangs.</summary>
    [Test]
    public void AKilledAgent_FailsAllCalls()
    {
        using RunningProgram run = Start(3, Compile("gcc", "heat"), "2", "100000000", "10", "32");
        run.WaitForLine(l => l.StartsWith("taken"), s_limit);
        foreach (string process in Directory.GetDirectories("/proc").Where(d => int.TryParse(Path.GetFileName(d), out _)))
            if (IsOurAgent(process)) Linux.Sys.Kill(int.Parse(Path.GetFileName(process)), Linux.Sys.SIGKILL);
        Assert.That(run.WaitForExit(s_limit), Is.EqualTo(3));
        Assert.That(run.Errors, Does.Contain("gpi_cp-agent has ended"));
        foreach (string left in Directory.GetFiles($"{Runtime}/trecr", "gpi-*")) File.Delete(left); // nobody was there to do it
    }

    /// <summary>A program of MPI, each rank below trecr run or not.</summary>
    [TestCase("openmpi", false), TestCase("mpich", false), TestCase("openmpi", true)]
    public void BelowMpirun_TheRanksFindEachOther(string library, bool belowTrecr)
    {
        foreach (string needed in (string[])[$"/usr/bin/mpicc.{library}", $"/usr/bin/mpirun.{library}"])
            if (!File.Exists(needed)) Assert.Ignore($"no {needed}");
        string[] arguments = ["3", "30", "10", "32"], words = library == "openmpi" ? ["--oversubscribe", "--bind-to", "none", "-n", "4"] : ["-n", "4"];
        if (belowTrecr) words = [.. words, Trecr, "run", "--"];
        using RunningProgram run = new($"/usr/bin/mpirun.{library}", [.. words, Compile($"mpicc.{library}", "heat", "-DHEAT_MPI"), .. arguments], Variables());
        Assert.That(run.WaitForExit(s_limit), Is.Zero, run.Errors);
        Assert.That(run.Output, Does.Contain(Whole(Compile("gcc", "heat"), arguments)));
    }

    /// <summary>All ranks as one program of trecr's.</summary>
    [Test]
    public void BelowTrecrRun_SparesTakeOver()
    {
        string program = Compile("gcc", "heat");
        string[] arguments = ["3", "30", "10", "32"];
        using RunningProgram run = new(Trecr, ["run", "--job", "gpi", "--", Launcher, "-n", "4", program, .. arguments, "1:start:10"], Variables());
        Assert.That(run.WaitForExit(s_limit), Is.Zero, run.Errors);
        Assert.That(run.Output, Does.Contain("restored 0").And.Contain(Whole(program, arguments)));
    }

    private static string Trecr => $"{Repository.Root}/out/trecr";

    private static string Launcher => $"{Repository.Root}/out/bin/gaspi_run";

    private static int Number(string line, string word) => line.StartsWith(word + " ", StringComparison.Ordinal) && int.TryParse(line.AsSpan(word.Length + 1), out int number) ? number : -1;

    private static int Last(RunningProgram run, string word) => run.Output.Select(l => Number(l, word)).LastOrDefault(n => n >= 0, -1);

    private static int Pid(RunningProgram run, int rank)
    {
        string words = $"rank {rank} pid ";
        return int.Parse(run.Output.First(l => l.StartsWith(words, StringComparison.Ordinal)).AsSpan(words.Length));
    }

    private bool IsOurAgent(string process)
    {
        try { return File.ReadAllText($"{process}/cmdline").StartsWith("gpi_cp-agent\0") && File.ReadAllText($"{process}/environ").Contains($"XDG_RUNTIME_DIR={Runtime}\0"); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return false; }
    }

    /// <summary>The sum of a run that nobody disturbs.</summary>
    private string Whole(string program, string[] arguments)
    {
        using RunningProgram run = Start(int.Parse(arguments[0]), program, arguments);
        Assert.That(run.WaitForExit(s_limit), Is.Zero, run.Errors);
        return run.Output[^1];
    }

    private RunningProgram Start(int ranks, string program, params string[] arguments) => new(Launcher, ["-n", $"{ranks}", program, .. arguments], Variables());

    private Dictionary<string, string> Variables() => new()
    {
        ["TMPDIR"] = _place.Root, ["XDG_RUNTIME_DIR"] = Runtime, ["TRECR_STORE"] = _place.Store, ["TRECR_SESSION"] = "", ["OMPI_ALLOW_RUN_AS_ROOT"] = "1", ["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1",
    };

    private string Compile(string compiler, string name, params string[] options)
    {
        string program = $"{_place.Root}/{name}", libraries = $"{Repository.Root}/out/lib";
        string[] language = compiler.Contains("++") ? ["-x", "c++"] : ["-x", "c"];
        using RunningProgram run = new($"/usr/bin/{compiler}",
            ["-O2", "-Wall", "-Werror", "-I", $"{Repository.Root}/out/include", "-o", program, .. options, .. language, $"{Repository.Root}/tests/programs/gpi_cp/{name}.c", "-L", libraries, "-lgpi_cp", "-pthread", $"-Wl,-rpath,{libraries}"], Variables());
        Assert.That(run.WaitForExit(s_limit), Is.Zero, run.Errors);
        return program;
    }
}
