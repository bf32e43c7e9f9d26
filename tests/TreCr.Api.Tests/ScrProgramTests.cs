using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Api.Tests;

/// <summary>Programs with the calls of SCR's examples on libscr.so, in C and Fortran: alone and below mpirun on nodes that are directories, killed at random moments, with lost nodes, and SCR's commands around them.</summary>
public sealed class ScrProgramTests
{
    private const int Seed = 20261123;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private Place _place = null!;

    [SetUp]
    public void Enter()
    {
        _place = new Place();
        Directory.CreateDirectory(Prefix);
        Directory.CreateDirectory($"{_place.Root}/t");
    }

    [TearDown]
    public void Leave() => _place.Dispose();

    private string Prefix => $"{_place.Root}/prefix";

    private string Cache => $"{_place.Root}/cache";

    [Test]
    public void WrongCalls_FailAndLoseNothing([Values("c", "c++")] string language)
    {
        using RunningProgram run = Start(language == "c" ? Compile("gcc", "misuse.c") : Compile("clang++-19", "misuse.c", "-Wno-deprecated"));
        Assert.That(run.WaitForExit(s_limit), Is.Zero, string.Join('\n', run.Output));
        Assert.That(run.Output, Is.EqualTo(new[] { "ok" }));
        Assert.That(run.Errors, Does.Contain("given no redundancy for 1 of 1 ranks (1 node)"));
    }

    [Test]
    public void FortranPrograms_ComeBack()
    {
        if (!File.Exists("/usr/bin/gfortran")) Assert.Ignore("no gfortran");
        string program = Compile("gfortran", "test_ckpt.f90");
        for (int step = 0; step < 3; step++)
        {
            using RunningProgram run = Start(program);
            Assert.That(run.WaitForExit(s_limit), Is.Zero, run.Errors);
            Assert.That(run.Output, Is.EqualTo(new[] { $"restart {step}", "ok" }));
        }
    }

    [TestCase("SCR_SET_SIZE=many", "SET_SIZE is a number, not 'many'")]
    [TestCase("SCR_COPY_TYPE=TWICE", "copy type 'TWICE'")]
    [TestCase("SCR_CONF_FILE=/nowhere", "/nowhere cannot be read")]
    [TestCase("SCR_CURRENT=nothing", "no dataset is named 'nothing'")]
    [TestCase("SCR_PREFIX=/proc", "/proc/.scr: cannot be made")]
    public void AConfigurationThatIsNone_IsNamed(string setting, string message)
    {
        using RunningProgram run = Start(Compile("gcc", "heat.c", "-DHEAT_ALONE"), [setting], "2", "1");
        Assert.That(run.WaitForExit(s_limit), Is.EqualTo(3));
        Assert.That(run.Output, Is.EqualTo(new[] { "failed: init" }));
        Assert.That(run.Errors, Does.Contain("SCR_Init: ").And.Contain(message));
    }

    /// <summary>Two programs at once in one prefix directory would number their datasets alike: the second one waits a while, and is refused. A killed one leaves no lock.</summary>
    [Test]
    public void APrefixDirectoryInUse_IsRefused()
    {
        string program = Compile("gcc", "heat.c", "-DHEAT_ALONE");
        using RunningProgram first = Start(program, ["SCR_FLUSH=0"], "100000000", "1000", "64");
        first.WaitForLine(l => l.StartsWith("taken"), s_limit);
        using RunningProgram second = Start(program, ["SCR_FLUSH=0"], "2", "1", "64");
        Assert.That(second.WaitForExit(s_limit), Is.EqualTo(3));
        Assert.That(second.Errors, Does.Contain("another program that runs keeps its datasets here"));
        first.Kill();
        using RunningProgram third = Start(program, ["SCR_FLUSH=0"], "2", "1", "64");
        Assert.That(third.WaitForExit(s_limit), Is.Zero, third.Errors);
        Assert.That(Restarted(third), Is.GreaterThanOrEqualTo(1000));
    }

    /// <summary>SCR_ENABLE=0: every call fails, and the program goes on with its own paths.</summary>
    [Test]
    public void SwitchedOff_NothingIsThere()
    {
        using RunningProgram run = Start(Compile("gcc", "heat.c", "-DHEAT_ALONE"), ["SCR_ENABLE=0"], "2", "1");
        Assert.That(run.WaitForExit(s_limit), Is.EqualTo(3));
        Assert.That(Directory.Exists($"{Prefix}/.scr"), Is.False);
    }

    /// <summary>Killed again and again at moments that follow from a seed: while it computes, writes, encodes, flushes or starts. What it had said to be taken is never lost.</summary>
    [TestCase("SCR_FLUSH=3"), TestCase("SCR_FLUSH=2;SCR_FLUSH_ASYNC=1"), TestCase("SCR_CACHE_BYPASS=1;SCR_FLUSH=1")]
    public void Killed_ItAlwaysEndsWithTheRightBytes(string settings)
    {
        const int Steps = 250, Every = 8, Kills = 5;
        string program = Compile("gcc", "heat.c", "-DHEAT_ALONE");
        string[] variables = settings.Split(';'), arguments = [$"{Steps}", $"{Every}", "512"];
        string whole = Whole(program, variables, arguments);
        Random random = new(Seed + settings.Length);
        int safe = -1;
        for (int kills = 0; kills < Kills; kills++)
        {
            using RunningProgram run = Start(program, variables, arguments);
            int first = Math.Max(safe, 0) + random.Next(1, 3 * Every);
            run.WaitForLine(l => Number(l, "step") >= first || l.StartsWith("sum"), s_limit);
            Thread.SpinWait(random.Next(200_000)); // somewhere in a step, a checkpoint or a flush
            run.Kill();
            Assert.That(Restarted(run), Is.GreaterThanOrEqualTo(safe), run.Errors);
            safe = Math.Max(safe, run.Output.Select(l => Number(l, "taken")).DefaultIfEmpty(-1).Max());
        }
        using RunningProgram end = Start(program, variables, arguments);
        Assert.That(end.WaitForExit(s_limit), Is.Zero, end.Errors);
        Assert.That(end.Output[^1], Is.EqualTo(whole));
        Assert.That(Restarted(end), Is.GreaterThanOrEqualTo(safe).And.GreaterThan(0));
    }

    /// <summary>Four ranks on four nodes: one rank is killed somewhere, mpirun ends the others, a node's directory goes with it; every scheme brings everything back.</summary>
    [TestCase("openmpi", "XOR"), TestCase("mpich", "RS"), TestCase("openmpi", "PARTNER")]
    public void BelowMpirun_ALostNodeIsComputed(string library, string type)
    {
        if (!File.Exists($"/usr/bin/mpicc.{library}")) Assert.Ignore($"no mpicc.{library}");
        if (!File.Exists($"/usr/bin/mpirun.{library}")) Assert.Ignore($"no mpirun.{library}");
        const int Ranks = 4, Steps = 60, Every = 6;
        string program = Compile($"mpicc.{library}", "heat.c");
        string[] settings = [$"SCR_COPY_TYPE={type}", "SCR_FLUSH=0", "SCR_CACHE_SIZE=2"], arguments = [.. OnNodes(library, Ranks), program, $"{Steps}", $"{Every}", "96"];
        string mpirun = $"/usr/bin/mpirun.{library}", whole = Whole(mpirun, settings, arguments);
        Random random = new(Seed + library.Length + type.Length);
        int safe = -1;
        for (int kills = 0; kills < 2; kills++)
        {
            using RunningProgram run = Start(mpirun, settings, arguments);
            int first = Math.Max(0, safe) + random.Next(Every + 1, 3 * Every);
            run.WaitForLine(l => Number(l, "step") >= first, s_limit);
            Thread.SpinWait(random.Next(200_000));
            int[] ranks = [.. run.Descendants().Where(p => NameOf(p) == "heat")];
            Linux.Sys.Kill(ranks[random.Next(ranks.Length)], Linux.Sys.SIGKILL);
            Assert.That(run.WaitForExit(s_limit), Is.Not.Zero);
            if (kills > 0) Assert.That(run.Errors, Does.Contain("computed from " + type));
            Assert.That(Restarted(run), kills == 0 ? Is.EqualTo(-1) : Is.GreaterThanOrEqualTo(safe), run.Errors);
            safe = Math.Max(safe, run.Output.Select(l => Number(l, "taken")).Max());
            Directory.Delete($"{Cache}/node.n{random.Next(Ranks)}", recursive: true);
        }
        using RunningProgram end = Start(mpirun, settings, arguments);
        Assert.That(end.WaitForExit(s_limit), Is.Zero, end.Errors);
        Assert.That(Restarted(end), Is.GreaterThanOrEqualTo(safe));
        Assert.That(end.Output[^1], Is.EqualTo(whole));
        Assert.That(end.Errors, Does.Contain($"asked for {type} over NODE").And.Contain($"given {type} in 1 sets of 4"));
    }

    /// <summary>scr_run starts a job again that fails, brings its last checkpoint out of the caches, and the commands tell of it.</summary>
    [Test]
    public void TheCommands_RunAndTellAndHalt()
    {
        string program = Compile("gcc", "heat.c", "-DHEAT_ALONE");
        // Ends with a failure once it has come to step 20, the first time.
        string script = $"{_place.Root}/job";
        File.WriteAllText(script, $$"""
            #!/bin/bash
            [ -e {{_place.Root}}/failed ] && exec {{program}} 60 6 64
            {{program}} 1000000 6 64 | while read -r word number _; do [ "$word $number" = "taken 18" ] && { touch {{_place.Root}}/failed; pkill -9 -P $$ -x heat; }; done
            exit 9
            """);
        File.SetUnixFileMode(script, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        string[] settings = ["SCR_FLUSH=0", "SCR_RUNS=3"];
        using RunningProgram job = Start(Command("scr_run"), settings, script);
        Assert.That(job.WaitForExit(s_limit), Is.Zero, job.Errors);
        Assert.That(job.Errors, Does.Contain("run 2 of 3").And.Contain("brought to"));
        Assert.That(job.Output[0], Does.StartWith("restart ").And.Not.EqualTo("restart -1"), "the second run goes on");

        string[] index = Said("scr_index", settings, 0, "--list");
        Assert.That(index[0], Does.StartWith("DSET VALID FLUSHED"));
        string current = index.Single(l => l.Contains('*')).Split(' ', StringSplitOptions.RemoveEmptyEntries)[^1];
        Assert.That(current, Is.EqualTo("timestep.60"));
        Assert.That(Said("scr_prefix", settings, 0), Is.EqualTo(new[] { Prefix }));
        Assert.That(Said("scr_flush_file", settings, 0, "--dir", Prefix, "--list-ckpt"), Is.Not.Empty);
        Assert.That(Said("scr_list_down_nodes", settings, 0), Is.Empty);
        Assert.That(Said("scr_list_down_nodes", [.. settings, "SCR_NODELIST=a[1-2],b", "SCR_EXCLUDE_NODES=b,a1,a2"], 1), Is.EqualTo(new[] { "a1,a2,b" }));
        Assert.That(Said("scr_print", settings, 0, $"{Prefix}/.scr/index.scr"), Does.Contain("CURRENT"));

        // Halted after one more checkpoint.
        Said("scr_halt", settings, 0, "--unset-reason", "-c", "1", Prefix);
        using RunningProgram halted = Start(program, settings, "1000000", "6", "64");
        Assert.That(halted.WaitForExit(s_limit), Is.Zero, halted.Errors);
        Assert.That(halted.Output[^1], Does.StartWith("halted"));
        Assert.That(halted.Output.Count(l => l.StartsWith("taken")), Is.EqualTo(1));
        Assert.That(Said("scr_index", settings, 0)[1], Does.Contain("*").And.Contain("timestep.66"), "a halt brings the last checkpoint to the prefix directory");
        Said("scr_should_exit", settings, 0);
        Assert.That(Said("scr_halt", settings, 0, "-l", Prefix), Does.Contain("CheckpointsLeft: 0"));
        Said("scr_halt", settings, 0, "-r", Prefix);
        Said("scr_should_exit", settings, 1);
        Said("scr_index", settings, 1, "--drop=unknown");
        Said("scr_index", settings, 0, "--drop=timestep.66");
        Assert.That(Said("scr_index", settings, 0)[1], Does.Contain("*").And.Contain("timestep.60"));
    }

    private static string Command(string name) => $"{Repository.Root}/out/bin/{name}";

    private string[] Said(string command, string[] settings, int code, params string[] arguments)
    {
        using RunningProgram run = Start(Command(command), settings, arguments);
        Assert.That(run.WaitForExit(s_limit), Is.EqualTo(code), $"{command} {string.Join(' ', arguments)}: {run.Errors}");
        return run.Output;
    }

    /// <summary>Words of a launcher before the program: a node for each rank.</summary>
    private string[] OnNodes(string library, int ranks)
    {
        string script = $"{_place.Root}/node";
        File.WriteAllText(script, "#!/bin/sh\nexport SCR_NODE_NAME=n${OMPI_COMM_WORLD_RANK:-$PMI_RANK}\nexec \"$@\"\n");
        File.SetUnixFileMode(script, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        return [.. library == "openmpi" ? ["--oversubscribe", "--bind-to", "none"] : Array.Empty<string>(), "-n", $"{ranks}", script];
    }

    private static int Number(string line, string word) => line.Split(' ') is [var first, var number, ..] && first == word && int.TryParse(number, out int value) ? value : -1;

    private static int Restarted(RunningProgram run) => run.Output.Where(l => l.StartsWith("restart ")).Select(l => Number(l, "restart")).DefaultIfEmpty(int.MaxValue).First();

    private string Compile(string compiler, string name, params string[] options)
    {
        string program = $"{_place.Root}/{Path.GetFileNameWithoutExtension(name)}", libraries = $"{Repository.Root}/out/lib";
        using RunningProgram run = new($"/usr/bin/{compiler}",
            ["-O2", "-Wall", "-Werror", "-I", $"{Repository.Root}/out/include", "-o", program, $"{Repository.Root}/tests/programs/scr/{name}", .. options, "-L", libraries, "-lscr", "-lm", $"-Wl,-rpath,{libraries}"], Variables([]));
        Assert.That(run.WaitForExit(s_limit), Is.Zero, run.Errors);
        return program;
    }

    private Dictionary<string, string> Variables(string[] settings)
    {
        string conf = $"{_place.Root}/scr.conf";
        if (!File.Exists(conf)) File.WriteAllText(conf, $"SCR_CACHE_BASE={Cache} # of all nodes\nSTORE=$SCR_CACHE_BASE COUNT=$SCR_CACHE_SIZE VIEW=GLOBAL\n");
        Dictionary<string, string> variables = new()
        {
            ["SCR_PREFIX"] = Prefix, ["SCR_CONF_FILE"] = conf, ["SCR_CACHE_BYPASS"] = "0", ["SCR_JOB_ID"] = "1", ["TMPDIR"] = $"{_place.Root}/t", ["OMPI_ALLOW_RUN_AS_ROOT"] = "1", ["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1",
        };
        foreach (string setting in settings) variables[setting.Split('=')[0]] = setting.Split('=', 2)[1];
        return variables;
    }

    /// <summary>The programs name their files below the working directory, which is not SCR_PREFIX for a child of the tests: env changes it.</summary>
    private RunningProgram Start(string program, string[] settings, params string[] arguments) => new("/usr/bin/env", ["-C", Prefix, program, .. arguments], Variables(settings));

    private RunningProgram Start(string program) => Start(program, []);

    /// <summary>The last line of a run that nobody disturbs, and that leaves nothing behind.</summary>
    private string Whole(string program, string[] settings, string[] arguments)
    {
        using RunningProgram run = Start(program, settings, arguments);
        Assert.That(run.WaitForExit(s_limit), Is.Zero, run.Errors);
        foreach (string directory in (string[])[Cache, Prefix])
            if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
        Directory.CreateDirectory(Prefix);
        return run.Output[^1];
    }

    private static string NameOf(int pid)
    {
        try { return File.ReadAllText($"/proc/{pid}/comm").TrimEnd(); }
        catch (IOException) { return ""; }
    }
}
