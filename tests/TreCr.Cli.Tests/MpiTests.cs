using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>MPI programs, unmodified, below mpirun of both libraries: checkpointed anywhere, killed, restarted, also under the other library. The programs check themselves.</summary>
[TestFixture("openmpi"), TestFixture("mpich")]
public sealed class MpiTests(string kind)
{
    private Workplace _place = null!;
    private readonly DateTime _begun = DateTime.UtcNow;
    private string _program = "";

    private string Other => kind == "mpich" ? "openmpi" : "mpich";

    private static string LauncherOf(string library) => $"/usr/bin/mpirun.{library}";

    [SetUp]
    public void Enter()
    {
        if (!File.Exists(LauncherOf(kind))) Assert.Ignore($"no mpirun.{kind}");
        if (!File.Exists($"/usr/bin/mpicc.{kind}")) Assert.Ignore($"no mpicc.{kind}");
        _place = new Workplace();
    }

    [TearDown]
    public void Leave() => _place?.Dispose();

    [Test]
    public void EveryFamilyOfCalls_DoesWhatTheStandardSays([Values(1, 2, 4)] int ranks)
    {
        Compile("calls");
        RunningProgram run = Launch(ranks, "2");
        Assert.That(run.WaitForExit(Workplace.Limit), Is.Zero, run.Errors);
        Assert.That(run.Output, Is.EqualTo(new[] { "round 0", "round 1", "ok" }));
    }

    [Test]
    public void CheckpointedTwice_KilledWithEverything_Restarts([Values(2, 3)] int ranks, [Values] bool underTheOther) => CheckpointTwiceKillRestart("calls", ranks, underTheOther, 16);

    [Test]
    public void OneSidedCalls_AreCarriedOutWholeAndOnce([Values] bool underTheOther) => CheckpointTwiceKillRestart("windows", 3, underTheOther, 16);

    /// <summary>Messages, collective calls, windows and files that are given addresses of device memory, among kernels.</summary>
    [Test]
    public void DeviceMemory_IsGivenToEveryFamilyOfCalls() => CheckpointTwiceKillRestart("device", 3, underTheOther: true, 12);

    /// <summary>Memory of several ranks: saved once with each of them, and one memory again after the restart.</summary>
    [Test]
    public void SharedWindows_AreOneMemoryAgain([Values] bool underTheOther)
    {
        CheckpointTwiceKillRestart("shared", 3, underTheOther, 16);
        Assert.That(Directory.GetFiles("/dev/shm", "trecr-window-*").Where(f => File.GetCreationTimeUtc(f) > _begun), Is.Empty);
    }

    [Test]
    public void Files_HaveEachRecordOnce([Values] bool underTheOther)
    {
        Directory.CreateDirectory($"{_place.Root}/d");
        CheckpointTwiceKillRestart("files", 3, underTheOther, 16, $"{_place.Root}/d");
    }

    /// <summary>The library's names are the module's, not the program's. Debian's module is Open MPI's, whatever launches it.</summary>
    [Test]
    public void LibraryOfAPythonModule_IsServed()
    {
        if (!File.Exists(Python) || !Directory.Exists("/usr/lib/python3/dist-packages/mpi4py")) Assert.Ignore("no mpi4py");
        _program = Python;
        CheckpointTwiceKillRestart(2, false, 16, $"{Repository.Root}/tests/programs/mpi/modules.py");
    }

    private const string Python = "/usr/bin/python3";

    /// <summary>The program prints "round N" after each round, and "ok" when everything was right.</summary>
    private void CheckpointTwiceKillRestart(string program, int ranks, bool underTheOther, int rounds, params string[] before)
    {
        Compile(program);
        CheckpointTwiceKillRestart(ranks, underTheOther, rounds, before);
    }

    private void CheckpointTwiceKillRestart(int ranks, bool underTheOther, int rounds, params string[] before)
    {
        if (underTheOther && !File.Exists(LauncherOf(Other))) Assert.Ignore($"no mpirun.{Other}");
        RunningProgram run = Launch(ranks, [.. before, $"{rounds}", "100"]);
        for (int epoch = 1; epoch <= 2; epoch++)
        {
            run.WaitForLine(l => l.Contains($"round {2 * epoch}"), Workplace.Limit);
            (int done, string[] said, string wrong) = _place.Do("checkpoint", "job");
            Assert.That(done, Is.Zero, wrong);
            Assert.That(said, Is.EqualTo(new[] { $"job.{epoch}" }));
        }
        RankTests.KillAll(run);
        Assert.That(run.Output, Has.Length.LessThan(rounds), "it was killed before its end");
        RunningProgram restart = Restart(ranks, underTheOther ? Other : kind);
        AssertWentOn(restart, rounds, after: 4);
    }

    /// <summary>The restarted program ended well, and did the rounds behind the checkpoint and no others.</summary>
    /// <param name="after">so many rounds were done at the checkpoint, at least</param>
    internal static void AssertWentOn(RunningProgram restart, int rounds, int after)
    {
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.Zero, $"{string.Join('\n', restart.Output)}\n{restart.Errors}");
        string[] lines = restart.Output;
        Assert.That(lines[^1], Is.EqualTo("ok"), restart.Errors);
        Assert.That(lines.Length, Is.InRange(2, rounds + 1 - after), "it went on where the checkpoint was, not at the beginning");
        Assert.That(lines[..^1], Is.EqualTo(Enumerable.Range(rounds + 1 - lines.Length, lines.Length - 1).Select(i => $"round {i}")));
    }

    /// <summary>Communicators of two groups; graphs, grids and their neighbours; what MPI 4.0 has and 3.1 has not: checked by the program in every round, cut between two of its calls, gone on with under the other library.</summary>
    [TestCase("inter", 4), TestCase("neighbours", 3), TestCase("large", 2), TestCase("sessions", 3), TestCase("made", 2)]
    public void ObjectsOfEveryKind_AreThereAfterARestartUnderTheOther(string program, int ranks)
    {
        if (program is "large" or "sessions" && kind == "openmpi") Assert.Ignore("Open MPI 4.1 is of MPI 3.1: it has none of these functions");
        Compile(program);
        RestartsUnderTheOther(ranks);
    }

    /// <summary>mpif.h, the modules mpi and mpi_f08: sentinels, operations, attributes and error handlers of Fortran.</summary>
    [TestCase("fortran.F90", "-DMPIF"), TestCase("fortran.F90"), TestCase("fortran08.f90")]
    public void Fortran_IsServed(string source, params string[] more)
    {
        if (!File.Exists("/usr/bin/gfortran")) Assert.Ignore("no gfortran");
        _program = $"{_place.Root}/fortran";
        RunningProgram compiler = _place.Other([$"/usr/bin/mpif90.{kind}", "-O1", "-w", "-ffree-line-length-none", "-fallow-argument-mismatch", .. more, "-J", _place.Root, "-o", _program, Path.Combine(Repository.Root, "tests/programs/mpi", source)]);
        Assert.That(compiler.WaitForExit(Workplace.Limit), Is.Zero, compiler.Errors);
        RestartsUnderTheOther(2);
    }

    /// <summary>One checkpoint, the end of everything, a restart.</summary>
    private void RestartsUnderTheOther(int ranks)
    {
        string under = File.Exists(LauncherOf(Other)) ? Other : kind;
        const int Rounds = 14;
        RunningProgram run = Launch(ranks, $"{Rounds}", "150");
        run.WaitForLine(l => l == "round 1", Workplace.Limit);
        (int done, _, string wrong) = _place.Do("checkpoint", "job");
        Assert.That(done, Is.Zero, wrong);
        RankTests.KillAll(run);
        Assert.That(run.Output, Has.None.EqualTo("ok"), "it was killed before its end");
        RunningProgram restart = Restart(ranks, under);
        AssertWentOn(restart, Rounds, after: 2);
    }

    [TestCase("round 40"), TestCase("after 3"), TestCase("after 4", "alone")]
    public void ThreadsThatAllSend_AndTheTimeAfterFinalize_Restart(string moment, params string[] more)
    {
        Compile("threads");
        RunningProgram run = Launch(2, ["120", .. more]);
        run.WaitForLine(l => l == moment, Workplace.Limit);
        (int done, _, string wrong) = _place.Do("checkpoint", "job");
        Assert.That(done, Is.Zero, wrong);
        RankTests.KillAll(run);
        Assert.That(run.Output, Has.None.EqualTo("ok"));
        RunningProgram restart = Restart(2, kind);
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.Zero, restart.Errors);
        Assert.That(restart.Output[^1], Is.EqualTo("ok"));
        Assert.That(restart.Output, Has.None.EqualTo("round 0").And.None.EqualTo("round 20"));
    }

    [Test]
    public void Stopped_GoesOnLater()
    {
        Compile("calls");
        RunningProgram run = Launch(2, "10", "100");
        run.WaitForLine(l => l.Contains("round 3"), Workplace.Limit);
        (int done, _, string wrong) = _place.Do("checkpoint", "job", "--stop");
        Assert.That(done, Is.Zero, wrong);
        run.WaitForExit(Workplace.Limit);
        Assert.That(run.Errors, Does.Not.Contain("MPI_ABORT").And.Not.Contain("Abort("), "the ranks end in order");
        string[] before = run.Output;
        RunningProgram restart = Restart(2, kind);
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.Zero, restart.Errors);
        Assert.That(before.Concat(restart.Output), Is.EqualTo(Enumerable.Range(0, 10).Select(i => $"round {i}").Append("ok")), "every line once");
    }

    [Test]
    public void DelegatorKilled_EndsTheJobByName()
    {
        Compile("calls");
        RunningProgram run = Launch(2, "1000", "50");
        run.WaitForLine(l => l.Contains("round 1"), Workplace.Limit);
        int[] all = [.. run.Descendants()], delegators = [.. all.Where(p => IsRunning(p, "mpi-delegator"))];
        Assert.That(delegators, Has.Length.EqualTo(2), "one a rank");
        Workplace.Kill(delegators[0]);
        Assert.That(run.WaitForExit(Workplace.Limit), Is.Not.Zero);
        Assert.That(run.Errors, Does.Contain("the MPI delegator ended"));
        foreach (int pid in all.Where(p => !IsRunning(p, "coordinator"))) Workplace.WaitForEnd(pid);
    }

    /// <summary>That is the program's own word: the job is not restarted, and the launcher has its code.</summary>
    [Test]
    public void Abort_IsNoFailure()
    {
        string source = $"{_place.Root}/abort.c";
        File.WriteAllText(source, """
            #include <mpi.h>
            #include <stdio.h>
            #include <unistd.h>
            int main(int c, char **v) { int r; MPI_Init(&c, &v); MPI_Comm_rank(MPI_COMM_WORLD, &r); if (!r) { printf("begun\n"); fflush(stdout); }
                while (access(v[1], F_OK)) usleep(10000); if (r) MPI_Abort(MPI_COMM_WORLD, 5); MPI_Barrier(MPI_COMM_WORLD); return 0; }
            """);
        CompileFile(source, "abort");
        RunningProgram run = _place.StartUnder(Under(kind, 2), Variables(), "run", "--job", "job", "--restart-on-failure", "--", _program, $"{_place.Root}/go");
        run.WaitForLine(l => l == "begun", Workplace.Limit);
        Assert.That(_place.Do("checkpoint", "job").Code, Is.Zero);
        File.WriteAllText($"{_place.Root}/go", "");
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(5), run.Errors);
        Assert.That(run.Errors, Does.Not.Contain("MPI delegator").And.Not.Contain("restarted"));
    }

    [Test]
    public void WhatIsNotSupported_SaysSo()
    {
        string source = $"{_place.Root}/spawn.c";
        File.WriteAllText(source, """
            #include <mpi.h>
            #include <stdio.h>
            int main(int c, char **v) { MPI_Comm w; int x, e; MPI_Init(&c, &v); MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
                e = MPI_Comm_spawn(v[0], MPI_ARGV_NULL, 1, MPI_INFO_NULL, 0, MPI_COMM_WORLD, &w, MPI_ERRCODES_IGNORE); MPI_Error_class(e, &x); printf("%d\n", x == MPI_ERR_UNSUPPORTED_OPERATION); MPI_Finalize(); return 0; }
            """);
        CompileFile(source, "spawn");
        RunningProgram run = Launch(1);
        Assert.That(run.WaitForExit(Workplace.Limit), Is.Zero, run.Errors);
        Assert.That(run.Output, Is.EqualTo(new[] { "1" }));
        Assert.That(run.Errors, Does.Contain("MPI_Comm_spawn is not supported"));
    }

    [Test]
    public void EveryFunctionOfTheLibrary_IsOursOrRefusedByName()
    {
        string library = $"/usr/lib/x86_64-linux-gnu/{(kind == "mpich" ? "libmpich.so.12" : "libmpi.so.40")}";
        if (!File.Exists(library)) Assert.Ignore($"no mpirun.{kind}: no {library}");
        // Null functions and conversions of what there is none of yet may stay the dormant library's; Fortran's names call C's.
        string[] left = [.. Functions(library).Where(n => !n.EndsWith("_FN") && !n.EndsWith("_F90") && !n.Contains("_FN_NULL") && n is not ("MPI_Session_c2f" or "MPI_Session_f2c"))
            .Where(n => !n.All(c => char.IsAsciiLetterUpper(c) || char.IsAsciiDigit(c) || c == '_')).Except(Functions(Path.Combine(Repository.Root, "out/lib/libtrecr-wrapper.so")))];
        Assert.That(left, Is.Empty);
    }

    /// <summary>Names of MPI_ and MPIX_ functions that a library exports with their PMPI_ twins.</summary>
    private HashSet<string> Functions(string library)
    {
        RunningProgram nm = _place.Other("/usr/bin/nm", "-D", "--defined-only", library);
        Assert.That(nm.WaitForExit(Workplace.Limit), Is.Zero, nm.Errors);
        HashSet<string> all = [.. nm.Output.Select(l => l.Split(' ')).Where(w => w.Length == 3 && w[1] is "T" or "W").Select(w => w[2])];
        return [.. all.Where(n => (n.StartsWith("MPI_") || n.StartsWith("MPIX_")) && all.Contains("P" + n))];
    }

    private void Compile(string name) => CompileFile(Path.Combine(Repository.Root, $"tests/programs/mpi/{name}.c"), name);

    private void CompileFile(string source, string name)
    {
        _program = $"{_place.Root}/{name}";
        RunningProgram compiler = _place.Other($"/usr/bin/mpicc.{kind}", "-O1", "-w", "-pthread", "-o", _program, source);
        Assert.That(compiler.WaitForExit(Workplace.Limit), Is.Zero, compiler.Errors);
    }

    private Dictionary<string, string> Variables() => Variables(_place);

    internal static Dictionary<string, string> Variables(Workplace place)
    {
        Directory.CreateDirectory($"{place.Root}/t"); // Open MPI leaves its directories where it is killed
        return new() { ["OMPI_ALLOW_RUN_AS_ROOT"] = "1", ["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1", ["TMPDIR"] = $"{place.Root}/t" };
    }

    internal static string[] Under(string library, int ranks) => library == "openmpi" ? [LauncherOf(library), "--oversubscribe", "--bind-to", "none", "-n", $"{ranks}"] : [LauncherOf(library), "-n", $"{ranks}"];

    private RunningProgram Launch(int ranks, params string[] arguments) => _place.StartUnder(Under(kind, ranks), Variables(), ["run", "--job", "job", "--", _program, .. arguments]);

    private RunningProgram Restart(int ranks, string library) => _place.StartUnder(Under(library, ranks), Variables(), "restart", "job");

    private static bool IsRunning(int pid, string verb)
    {
        try { return File.ReadAllText($"/proc/{pid}/cmdline").Split('\0') is [_, var second, ..] && second == verb; }
        catch (IOException) { return false; }
    }
}
