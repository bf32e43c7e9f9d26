using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>A debugger that somebody attaches to a running job.</summary>
[TestFixture(false), TestFixture(true)]
public sealed class TracedTests(bool unprivileged)
{
    private Workplace _place = null!;

    [SetUp]
    public void Enter() => _place = new Workplace(unprivileged);

    [TearDown]
    public void Leave() => _place.Dispose();

    /// <summary>The engine cannot see it: in the job's pid namespace the debugger has no number.</summary>
    [Test]
    public void DebuggerOutsideTheJob_IsNamed_AndTheProgramGoesOn()
    {
        string debugger = $"{_place.Root}/trace";
        using (RunningProgram compiler = new("gcc", ["-O1", "-o", debugger, Path.Combine(Repository.Root, "tests/programs/sandbox/trace.c")], new Dictionary<string, string>()))
            Assert.That(compiler.WaitForExit(Workplace.Limit), Is.Zero, compiler.Errors);
        using RunningProgram run = _place.StartCounter(20);
        int program = _place.Rank().GetProperty("host_pid").GetInt32();
        using (RunningProgram attached = new(debugger, [$"{program}"], new Dictionary<string, string>()))
        {
            try { attached.WaitForLine(l => l == "attached", Workplace.Limit); }
            catch (TimeoutException) when (attached.Errors.Contains("PTRACE_SEIZE")) { Assert.Ignore($"nothing may be traced here: {attached.Errors}"); }
            (int code, _, string errors) = _place.Do("checkpoint", "count");
            Assert.That(code, Is.EqualTo(7), errors);
            Assert.That(errors, Does.Match($"is being traced \\(debugged\\) by process {attached.Id} \\(trace\\), outside the job").And.Contain("TRECR-0203"));
            (code, string[] findings, _) = _place.Do("check", "count");
            Assert.That((code, findings.Count(f => f.Contains("is being traced"))), Is.EqualTo((7, 1)));
            attached.Kill();
        }
        _place.Checkpoint(); // it goes on when nobody traces it any more
        _place.Release();
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7), run.Errors);
    }
}
