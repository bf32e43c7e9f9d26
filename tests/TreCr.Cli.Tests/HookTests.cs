using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>Hooks of the administrator and of the program: when they run, what they learn, and that one that fails or hangs is named and stops nothing.</summary>
public sealed class HookTests
{
    private Workplace _place = null!;

    private string Log => $"{_place.Root}/log";

    [SetUp]
    public void Enter() => _place = new Workplace();

    [TearDown]
    public void Leave() => _place.Dispose();

    private string Script(string name, string text, UnixFileMode mode = (UnixFileMode)0x1ed)
    {
        string path = $"{_place.Root}/{name}";
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, $"#!/bin/sh\n{text}\n");
        File.SetUnixFileMode(path, mode);
        return path;
    }

    private string Logging(string name, string and = "") => Script(name, $"echo \"$(basename $0) $1 $TRECR_EVENT $TRECR_JOB $TRECR_CHECKPOINT $TRECR_RESULT $(test -d /proc/$TRECR_PID && echo lives)\" >>{Log}; {and}");

    private void WaitForLog(int lines) => Assert.That(() => File.Exists(Log) ? File.ReadAllLines(Log).Length : 0, Is.GreaterThanOrEqualTo(lines).After((int)Workplace.Limit.TotalMilliseconds, 20));

    [Test]
    public void RunInTheirOrder_AndAfterARestartToo()
    {
        Logging("hooks.d/10-admin");
        Script("hooks.d/20-open", $"echo open >>{Log}", (UnixFileMode)0x1ff); // anybody may write it
        File.WriteAllText($"{_place.Root}/hooks.d/README", "not a hook");
        Dictionary<string, string> environment = new() { ["TRECR_HOOKS_DIR"] = $"{_place.Root}/hooks.d" };
        using RunningProgram run = _place.StartCounter(40, environment: environment, options: ["--hook", Logging("own")]);
        string first = _place.Checkpoint();
        WaitForLog(4);
        string second = _place.Checkpoint("--stop");
        run.WaitForExit(Workplace.Limit);
        WaitForLog(8);
        _place.Release();
        using RunningProgram restart = _place.Start(environment, "restart", "count");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        Assert.That(File.ReadAllLines(Log).Select(l => l.TrimEnd()), Is.EqualTo(new[]
        {
            "10-admin before-checkpoint before-checkpoint count   lives", "own before-checkpoint before-checkpoint count   lives",
            $"own after-checkpoint after-checkpoint count {first} committed lives", $"10-admin after-checkpoint after-checkpoint count {first} committed lives",
            "10-admin before-checkpoint before-checkpoint count   lives", "own before-checkpoint before-checkpoint count   lives",
            $"own after-checkpoint after-checkpoint count {second} committed", $"10-admin after-checkpoint after-checkpoint count {second} committed",
            $"10-admin after-restart after-restart count {second} restarted lives", $"own after-restart after-restart count {second} restarted lives",
        }));
        Assert.That(run.Errors, Does.Contain("20-open is not run: others than its owner may write it"));
        Assert.That(_place.Starts, Is.EqualTo(1));
    }

    [Test]
    public void OneThatFails_IsNamed_AndTheProgramRunsOn()
    {
        string good = Logging("good"), bad = Logging("bad", "test $1 = after-restart || exit 3");
        using RunningProgram run = _place.StartCounter(40, options: ["--hook", good, "--hook", bad, "--hook", Logging("never")]);
        (int code, _, string errors) = _place.Do("checkpoint", "count");
        Assert.That(code, Is.EqualTo(1), errors);
        Assert.That(errors, Does.Match($@"trecr: no checkpoint is taken: the hook {bad} failed with exit code 3; .*\(TRECR-0209\)"));
        WaitForLog(4);
        Assert.That(File.ReadAllLines(Log).Select(l => l.TrimEnd()), Is.EqualTo(new[]
        {
            "good before-checkpoint before-checkpoint count   lives", "bad before-checkpoint before-checkpoint count   lives",
            "bad after-checkpoint after-checkpoint count  failed lives", "good after-checkpoint after-checkpoint count  failed lives",
        }));
        _place.Release();
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7), run.Errors);
        Assert.That(run.Errors, Does.Contain($"the hook {bad} failed with exit code 3 after the checkpoint; the job goes on"));
    }

    [Test]
    public void OneThatHangs_IsKilledWithItsChildren_AndNamed()
    {
        // Its child holds the write end of a FIFO, whose reader sees the end of file when both are dead.
        string fifo = $"{_place.Root}/fifo", hook = Script("hang", $"if [ $1 = before-checkpoint ]; then sleep 1000 >{_place.Root}/fifo & wait; fi");
        using (RunningProgram make = _place.Other("mkfifo", fifo)) Assert.That(make.WaitForExit(Workplace.Limit), Is.Zero, make.Errors);
        using RunningProgram run = _place.StartCounter(40, options: ["--hook", hook, "--hook-timeout", "5"]);
        Task<string> reader = Task.Run(() => File.ReadAllText(fifo));
        (int code, _, string errors) = _place.Do("checkpoint", "count");
        Assert.That(code, Is.EqualTo(1), errors);
        Assert.That(errors, Does.Contain($"the hook {hook} did not end within 5 s and was killed (--hook-timeout)"));
        Assert.That(reader.Wait(Workplace.Limit), Is.True, "its child lives");
        _place.Release();
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7), run.Errors);
    }

    [Test]
    public void SharedLibrary()
    {
        string source = $"{_place.Root}/hook.c", library = $"{_place.Root}/libhook.so";
        File.WriteAllText(source, $$"""
            #include <stdio.h>
            #include <stdlib.h>
            static int say(const char *what) { FILE *f = fopen("{{Log}}", "a"); fprintf(f, "%s %s\n", what, getenv("TRECR_JOB")); fclose(f); return 0; }
            int trecr_before_checkpoint(void) { return say("before"); }
            int trecr_after_restart(void) { say("restart"); abort(); }
            """);
        using (RunningProgram compiler = new("gcc", ["-shared", "-fPIC", "-o", library, source], new Dictionary<string, string>())) Assert.That(compiler.WaitForExit(Workplace.Limit), Is.Zero, compiler.Errors);
        using RunningProgram run = _place.StartCounter(40, options: ["--hook", library]);
        _place.Checkpoint("--stop");
        run.WaitForExit(Workplace.Limit);
        _place.Release();
        using RunningProgram restart = _place.Start("restart", "count");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        Assert.That(File.ReadAllLines(Log), Is.EqualTo(new[] { "before count", "restart count" }));
        Assert.That(restart.Errors, Does.Contain($"the hook {library} was ended by signal 6 after the restart; the job goes on"));
    }

    [Test]
    public void OneThatIsNotThere_IsRefusedAtTheStart()
    {
        (int code, _, string errors) = _place.Do("run", "--hook", $"{_place.Root}/nothing", "--", "/bin/true");
        Assert.That((code, errors), Is.EqualTo((125, $"trecr: trecr run: --hook {_place.Root}/nothing: no such command or shared library; see `trecr --help` (TRECR-0001)")));
    }
}
