using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Surface.Tests;

/// <summary>Every case, with functions taken as symbols, from cuGetProcAddress, and in the per-thread-default-stream forms; and once with a restart in between.</summary>
public sealed class SurfaceTests
{
    private static readonly Dictionary<string, string[]> s_lines = [];

    public static IEnumerable<TestCaseData> Cases => SurfaceProgram.Cases.SelectMany(c => new[] { "symbols", "resolver", "perthread", "restart" }.Select(how => new TestCaseData(c.Name, how)));

    [TestCaseSource(nameof(Cases))]
    public void Case(string name, string how)
    {
        if (!s_lines.TryGetValue(how, out string[]? lines)) s_lines[how] = lines = how == "restart" ? WithRestart() : SurfaceProgram.Run(SurfaceProgram.Limit, "run", "via=" + how);
        Assert.That(lines, Does.Contain("ok " + name), string.Join('\n', lines.Where(l => l.Contains(name) || !l.StartsWith("ok ") && !l.StartsWith("begin "))));
    }

    [Test]
    public void Each_implemented_function_has_a_case()
        => Assert.That(SurfaceProgram.Functions.Except(SurfaceProgram.Cases.SelectMany(c => c.Functions)), Is.Empty);

    [Test]
    public void Each_case_names_implemented_functions()
        => Assert.That(SurfaceProgram.Cases.SelectMany(c => c.Functions).Except(SurfaceProgram.Functions), Is.Empty);

    [Test]
    public void Status_names_calls_that_are_not_supported_also_after_a_restart()
    {
        Sample sample = SurfaceProgram.AsSample("run", "hold", "graphics_is_refused_by_name");
        using Job job = new(sample);
        RunningProgram run = job.Run(held: true);
        run.WaitForLine(l => l == "held", Job.Limit);
        Assert.That(NotSupported(job), Is.EqualTo(new[] { "cuGLInit" }));
        Assert.That(job.Do("status", "job").Errors, Does.Contain("called but not supported: cuGLInit"));
        string id = job.Checkpoint(stop: true);
        run.WaitForExit(Job.Limit);
        RunningProgram restart = job.Restart(id);
        job.WaitUntilRegistered(restart);
        Assert.That(NotSupported(job), Is.EqualTo(new[] { "cuGLInit" }));
        job.Release();
        int code = restart.WaitForExit(Job.Limit);
        Assert.That(code, Is.Zero, restart.Errors);
    }

    private static string?[] NotSupported(Job job) => [.. job.Rank().GetProperty("not_supported").EnumerateArray().Select(n => n.GetString())];

    /// <summary>Everything that can be kept is made, then checkpoint, SIGKILL of program and delegator, restart: all of it is there, and the rest works.</summary>
    private static string[] WithRestart()
    {
        Sample sample = SurfaceProgram.AsSample("run", "hold");
        using Job job = new(sample);
        SurfaceProgram.Prepare(job);
        RunningProgram run = job.Run(held: true);
        // The devices that the program had come back without being asked for.
        job.Environment.Clear();
        run.WaitForLine(l => l == "held", SurfaceProgram.Limit);
        job.Checkpoint();
        string id = job.Checkpoint();
        Job.KillProgramAndDelegator(run, sample);
        run.WaitForExit(Job.Limit);
        job.Release();
        RunningProgram restart = job.Restart(id);
        restart.WaitForExit(SurfaceProgram.Limit);
        string[] lines = [.. run.Output, .. restart.Output, .. restart.Errors.Split('\n')];
        RunMark? begin = Sample.MarkOf(run.Output, "begin"), end = Sample.MarkOf(restart.Output, "end");
        Assert.That(end?.Nonce, Is.Not.Null.And.EqualTo(begin?.Nonce), string.Join('\n', lines.TakeLast(5)));
        Assert.That(job.Starts, Is.EqualTo(1));
        return lines;
    }
}
