using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>MPI jobs on two hosts that share nothing but a file system: one coordinator, found through the store.</summary>
public sealed class HostTests
{
    private const int Rounds = 20;
    private Workplace _place = null!;
    private Hosts _hosts = null!;

    [SetUp]
    public void Enter()
    {
        if (!File.Exists("/usr/bin/mpirun.openmpi") || !File.Exists("/usr/bin/mpicc.openmpi")) Assert.Ignore("no mpirun.openmpi");
        _place = new Workplace();
        _hosts = new Hosts(_place);
        _hosts.WorkOn(Hosts.A);
    }

    [TearDown]
    public void Leave()
    {
        _hosts?.Dispose();
        _place?.Dispose();
    }

    /// <summary>Saved by commands on either host, also after the coordinator was killed; then a host is lost, and the job goes on with other numbers of ranks on each, and below another library on one.</summary>
    [Test]
    public void AHostIsLost_TheJobGoesOnElsewhere([Values] bool underTheOtherOnOne)
    {
        if (underTheOtherOnOne && !File.Exists("/usr/bin/mpirun.mpich")) Assert.Ignore("no mpirun.mpich");
        File.WriteAllText(Hold, "");
        RunningProgram run = Launch("calls", (Hosts.A, 1), (Hosts.B, 2));
        run.WaitForLine(l => l == "round 1", Workplace.Limit);
        Checkpoint(1);
        _hosts.WorkOn(Hosts.B);
        Checkpoint(2);
        (int code, string[] lines, string errors) = Do("status", "job");
        Assert.That(code, Is.Zero, errors);
        Assert.That(lines.Skip(1).Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..3]), Is.EqualTo(new[] { new[] { "0/3", Hosts.A }, ["1/3", Hosts.B], ["2/3", Hosts.B] }));
        Assert.That(File.Exists($"{_place.Root}/run.{Hosts.B}/trecr/coordinator.log"), Is.False, "one coordinator serves the job");
        _hosts.WorkOn(Hosts.C);
        RunningProgram second = _place.StartUnder(_hosts.OpenMpi((Hosts.C, 3)), Variables, "restart", "job.2");
        Assert.That(second.WaitForExit(Workplace.Limit), Is.Not.Zero);
        Assert.That(second.Errors, Does.Contain("TRECR-0302").And.Contain($", with its coordinator on {Hosts.A}"));

        _hosts.WorkOn(Hosts.A);
        using (RunningProgram killer = _place.Other("/usr/bin/pkill", "-KILL", "-f", "^trecr coordinator")) Assert.That(killer.WaitForExit(Workplace.Limit), Is.Zero, killer.Errors);
        Checkpoint(3);

        _hosts.Lose(Hosts.B);
        Assert.That(run.Output, Has.None.EqualTo("ok"));
        _hosts.StartAgain(); // and with it the other
        run.WaitForExit(Workplace.Limit);
        File.Delete(Hold);
        _hosts.WorkOn(Hosts.B);
        RunningProgram restart = _place.StartUnder(underTheOtherOnOne ? ["/usr/bin/mpirun.mpich", "-n", "3"] : _hosts.OpenMpi((Hosts.B, 1), (Hosts.A, 2)), Variables, "restart", "job");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.Zero, restart.Errors);
        lines = restart.Output;
        Assert.That(lines.Length, Is.InRange(2, Rounds - 1), restart.Errors);
        Assert.That(lines, Is.EqualTo(Enumerable.Range(Rounds + 1 - lines.Length, lines.Length - 1).Select(i => $"round {i}").Append("ok")), "it went on where the checkpoint was");
        // The coordinator hears of the last rank's end a moment later than we do.
        if (!underTheOtherOnOne) Assert.That(() => Directory.GetFiles($"{_place.StorePath}/coordinators"), Is.Empty.After((int)Workplace.Limit.TotalMilliseconds, 20), "the note goes with the job");
    }

    /// <summary>--restart-on-failure: the coordinator is where the launcher is, and runs it again, for all hosts.</summary>
    [Test]
    public void AFailureOnOneHost_BringsTheJobBackOnBoth()
    {
        File.WriteAllText(Hold, "");
        RunningProgram run = Launch("calls", ["--restart-on-failure"], (Hosts.A, 1), (Hosts.B, 1));
        run.WaitForLine(l => l == "round 1", Workplace.Limit);
        Checkpoint(1);
        _hosts.WorkOn(Hosts.B);
        using (RunningProgram killer = _place.Other("/usr/bin/pkill", "-KILL", "-x", "calls")) Assert.That(killer.WaitForExit(Workplace.Limit), Is.Zero, killer.Errors);
        run.WaitForError("it is restarted from its newest checkpoint", Workplace.Limit);
        File.Delete(Hold);
        run.WaitForLine(l => l == "ok", Workplace.Limit);
        Assert.That(run.Output.Count(l => l == "round 0"), Is.EqualTo(1), "it did not begin again");
    }

    /// <summary>A job of one host leaves no note of a coordinator; its lock in the store says that it runs, until it does not.</summary>
    [Test]
    public void AJobOfOneHost_RunsOnceForAStore()
    {
        string counter = _place.CompileCounter();
        RunningProgram run = _place.Start(Variables, "run", "--job", "job", "--", counter, $"{_place.Root}/starts", "100", Hold);
        run.WaitForLine(l => l.Length > 0, Workplace.Limit);
        Checkpoint(1);
        _hosts.WorkOn(Hosts.C);
        (int code, _, string errors) = Do("restart", "job.1");
        Assert.That((code, errors), Is.EqualTo((4, $"trecr: cannot restart job.1: job job is running on {Hosts.A}; stop it first: `trecr stop JOB` (TRECR-0302)")));
        (code, _, errors) = Do("run", "--job", "job", "--", "/usr/bin/true");
        Assert.That((code, errors), Is.EqualTo((125, $"trecr: cannot run as job job: a job that runs on {Hosts.A} has this name; choose another --job, or stop that job (TRECR-0105)")));
        _hosts.Lose(Hosts.A);
        run.WaitForExit(Workplace.Limit);
        RunningProgram restart = _place.Start(Variables, "restart", "job.1");
        File.WriteAllText(Hold, "");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
    }

    /// <summary>Memory that ranks share is refused where they cannot share it: when it is made, and when they are restarted apart.</summary>
    [Test]
    public void SharedWindows_AreOfOneHost()
    {
        File.WriteAllText($"{_place.Root}/apart.c", """
            #include <mpi.h>
            #include <stdio.h>
            int main(int argc, char **argv)
            {
                MPI_Win w; int *p, rank, class; MPI_Init(&argc, &argv); MPI_Comm_rank(MPI_COMM_WORLD, &rank); MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
                MPI_Error_class(MPI_Win_allocate_shared(64, 4, MPI_INFO_NULL, MPI_COMM_WORLD, &p, &w), &class);
                int both = class == MPI_ERR_RMA_SHARED, all; MPI_Allreduce(&both, &all, 1, MPI_INT, MPI_LAND, MPI_COMM_WORLD); if (!rank) puts(all ? "refused" : "not refused"); MPI_Finalize(); return 0;
            }
            """);
        RunningProgram apart = Launch($"{_place.Root}/apart.c", (Hosts.A, 1), (Hosts.B, 1));
        Assert.That(apart.WaitForExit(Workplace.Limit), Is.Zero, apart.Errors);
        Assert.That(apart.Output, Is.EqualTo(new[] { "refused" }));

        RunningProgram run = Launch("shared", (Hosts.A, 2));
        run.WaitForLine(l => l == "round 1", Workplace.Limit);
        Checkpoint(1);
        (int code, _, string errors) = Do("stop", "job", "--grace", "0");
        Assert.That(code, Is.Zero, errors);
        run.WaitForExit(Workplace.Limit);
        RunningProgram restart = _place.StartUnder(_hosts.OpenMpi((Hosts.A, 1), (Hosts.B, 1)), Variables, "restart", "job");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.Not.Zero);
        Assert.That(restart.Errors, Does.Contain("TRECR-0307").And.Contain("MPI_Win_allocate_shared"));
        Assert.That(restart.Output, Is.Empty, "it did not run");
    }

    /// <summary>Communicators of several hosts are not there yet: refused by name, at once.</summary>
    [Test]
    public void NcclCommunicators_AreOfOneHost()
    {
        RunningProgram run = _place.StartUnder(_hosts.OpenMpi((Hosts.A, 1), (Hosts.B, 1)), Variables, "run", "--job", "job", "--device", "soft", "--", "/usr/bin/env", "NCCL_DEBUG=WARN", Path.Combine(Repository.Root, "out/samples/allreduce"), "--id", $"{_place.Root}/id");
        Assert.That(run.WaitForExit(Workplace.Limit), Is.Not.Zero);
        Assert.That(run.Errors + string.Join('\n', run.Output), Does.Contain("made on another host: communicators of several hosts are not supported"));
    }

    /// <summary>The program waits half way as long as it exists.</summary>
    private string Hold => $"{_place.Root}/hold";

    private Dictionary<string, string> Variables => new(_hosts.Variables);

    private (int Code, string[] Output, string Errors) Do(params string[] words) => _place.Do(Variables, words);

    private void Checkpoint(int epoch)
    {
        (int code, string[] output, string errors) = Do("checkpoint", "job");
        Assert.That(code, Is.Zero, errors);
        Assert.That(output, Is.EqualTo(new[] { $"job.{epoch}" }));
    }

    /// <param name="program">of tests/programs/mpi, or a file; it has the number of rounds and what to sleep after each, ms</param>
    private RunningProgram Launch(string program, params (string Host, int Ranks)[] ranks) => Launch(program, [], ranks);

    /// <inheritdoc cref="Launch(string, ValueTuple{string, int}[])"/>
    private RunningProgram Launch(string program, string[] options, params (string Host, int Ranks)[] ranks)
    {
        string source = program.EndsWith(".c") ? program : Path.Combine(Repository.Root, $"tests/programs/mpi/{program}.c"), path = $"{_place.Root}/{Path.GetFileNameWithoutExtension(program)}";
        RunningProgram compiler = _place.Other("/usr/bin/mpicc.openmpi", "-O1", "-w", "-o", path, source, "-lm");
        Assert.That(compiler.WaitForExit(Workplace.Limit), Is.Zero, compiler.Errors);
        return _place.StartUnder(_hosts.OpenMpi(ranks), Variables, ["run", "--job", "job", .. options, "--", path, $"{Rounds}", "100", Hold]);
    }
}
