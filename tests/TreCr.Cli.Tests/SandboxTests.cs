using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>
/// Under seccomp filters as sandboxes have them, and inside bubblewrap: it works, or what is forbidden is named and the program goes on.
/// </summary>
/// <remarks>Kernels without Yama cannot show its rule; kernel.yama.ptrace_scope=3 is imitated by a filter that forbids PTRACE_SEIZE and PTRACE_ATTACH. Scopes 1 and 2 let the engine trace, which has CAP_SYS_PTRACE in the namespace of the job.</remarks>
[TestFixture(false), TestFixture(true)]
public sealed class SandboxTests(bool unprivileged)
{
    private const int Steps = 20;
    private Workplace _place = null!;

    [SetUp]
    public void Enter() => _place = new Workplace(unprivileged);

    [TearDown]
    public void Leave() => _place.Dispose();

    private string Forbid()
    {
        string path = $"{_place.Root}/forbid";
        using RunningProgram compiler = new("gcc", ["-O1", "-o", path, Path.Combine(Repository.Root, "tests/programs/sandbox/forbid.c")], new Dictionary<string, string>());
        Assert.That(compiler.WaitForExit(Workplace.Limit), Is.Zero, compiler.Errors);
        return path;
    }

    private void CheckWhole(IEnumerable<string> before, RunningProgram restart)
    {
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        string[] all = [.. before, .. restart.Output];
        Assert.That(all.Where(l => l.StartsWith("step ")).Select(l => int.Parse(l.Split(' ')[1])), Is.EqualTo(Enumerable.Range(0, Steps)));
        Assert.That(all[^1], Is.EqualTo($"end {all[0]}"), "the first run's nonce and pid");
        Assert.That(_place.Starts, Is.EqualTo(1), "main() ran once");
    }

    /// <summary>Checkpoint, stop, restart, all in the sandbox.</summary>
    private void GoesThrough()
    {
        using RunningProgram run = _place.StartCounter(Steps);
        _place.Checkpoint();
        _place.Checkpoint("--stop");
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(137), run.Errors);
        _place.Release();
        using RunningProgram restart = _place.Start("restart", "count");
        CheckWhole(run.Output, restart);
    }

    [TestCase("nothing"), TestCase("userfaultfd")]
    public void WorksUnderAFilter(string forbidden)
    {
        string program = Forbid();
        _place.RunInside(program, forbidden);
        GoesThrough();
    }

    [TestCase("ptrace", "ptrace(2)"), TestCase("kcmp", "kcmp(2)"), TestCase("process_vm", "process_vm_readv(2)"), TestCase("pidfd_getfd", "pidfd_getfd(2)"), TestCase("ptrace,kcmp", "ptrace(2)", "kcmp(2)")]
    public void WhatIsForbidden_IsNamed_AndTheProgramGoesOn(string forbidden, params string[] named)
    {
        string program = Forbid();
        _place.RunInside(program, forbidden);
        using RunningProgram run = _place.StartCounter(Steps);
        (int code, _, string errors) = _place.Do("checkpoint", "count");
        Assert.That(code, Is.EqualTo(7), errors);
        foreach (string call in named) Assert.That(errors, Does.Contain($"finding: {call} is forbidden here"));
        Assert.That(errors, Does.Contain("TRECR-0203"));
        if (named.Contains("ptrace(2)"))
        {
            (_, string[] doctor, _) = _place.Do("doctor");
            Assert.That(doctor, Has.Some.Match("ptrace.*cannot be traced.*(no yama|kernel.yama.ptrace_scope [0-3])"));
            Assert.That(string.Join('\n', doctor), Does.Contain("sysctl -w kernel.yama.ptrace_scope=1"));
        }
        _place.Release();
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7), run.Errors);
    }

    /// <summary>
    /// What Yama asks for where its scope is 1 (ancestor, named tracer, or the capability) or 2 (the capability): CAP_SYS_PTRACE in the user namespace of who is traced. The engine has it, the program
    /// of an ordinary user has not. Source: yama_ptrace_access_check in security/yama/yama_lsm.c.
    /// </summary>
    [Test]
    public void TheEngineMayTraceUnderYama()
    {
        const int CAP_SYS_PTRACE = 19;
        using RunningProgram run = _place.StartCounter(Steps);
        _place.Checkpoint();
        System.Text.Json.JsonElement rank = _place.Rank();
        int engine = rank.GetProperty("engine_pid").GetInt32(), program = rank.GetProperty("host_pid").GetInt32();
        Assert.That(engine, Is.GreaterThan(1));
        Assert.That(Linux.Sys.ReadLink($"/proc/{engine}/ns/user"), Is.Not.Null.And.EqualTo(Linux.Sys.ReadLink($"/proc/{program}/ns/user")));
        Assert.That(HasCapability(engine), Is.True);
        if (unprivileged) Assert.That(HasCapability(program), Is.False);
        _place.Release();
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7), run.Errors);

        static bool HasCapability(int pid) => (Convert.ToUInt64(File.ReadLines($"/proc/{pid}/status").Single(l => l.StartsWith("CapEff:"))[7..].Trim(), 16) >> CAP_SYS_PTRACE & 1) != 0;
    }

    [Test]
    public void WorksInBubblewrap()
    {
        if (!File.Exists("/usr/bin/bwrap")) Assert.Ignore("bubblewrap is not installed");
        string probe = "/usr/bin/bwrap";
        // As the user itself: the sandbox has a user namespace of its own.
        string[] words = [probe, "--dev-bind", "/", "/", "--proc", "/proc", "--unshare-user", "--unshare-uts", "--die-with-parent"];
        using (RunningProgram there = _place.Other([.. words, "/bin/true"]))
            if (there.WaitForExit(Workplace.Limit) != 0) Assert.Ignore($"no bubblewrap here: {there.Errors}");
        _place.RunInside(words);
        GoesThrough();
    }
}
