using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>Somebody, or the kernel for lack of memory, kills a process of the program while it is being saved.</summary>
[TestFixture(false), TestFixture(true)]
public sealed class KilledMeanwhileTests(bool unprivileged)
{
    private Workplace _place = null!;

    [SetUp]
    public void Enter() => _place = new Workplace(unprivileged);

    [TearDown]
    public void Leave() => _place.Dispose();

    /// <summary>The checkpoint is taken once more, without it; what was copied first is not used. On a busy machine the kill may come after its memory was copied: then it is in the image, and the shell ends it.</summary>
    [Test]
    public void TheCheckpointIsTakenWithoutIt()
    {
        string fault = $"{_place.Root}/fault";
        Dictionary<string, string> there = new() { ["TRECR_FAULT"] = $"@{fault}" };
        using RunningProgram run = _place.Start(new Dictionary<string, string>(there), "run", "--job", "count", "--", "/bin/sh", "-c", $"sleep 3600 & {_place.CounterProgram} {_place.StartFile} 20 {_place.Hold}; code=$?; kill $! 2>/dev/null; wait; echo \"waited $?\"; exit $code");
        run.WaitForLine(l => l.StartsWith("step 2 "), Workplace.Limit);
        int sleeper = run.Descendants().Single(p => File.ReadAllText($"/proc/{p}/comm").Trim() == "sleep");
        File.WriteAllText(fault, "engine/DumpState:delay"); // threads are captured, memory is not
        using RunningProgram checkpoint = _place.Start(new Dictionary<string, string>(there), "checkpoint", "count");
        long end = Environment.TickCount64 + (long)Workplace.Limit.TotalMilliseconds;
        while (!File.Exists($"{fault}.engine")) Assert.That(Environment.TickCount64, Is.LessThan(end), checkpoint.Errors);
        Workplace.Kill(sleeper);
        Assert.That(checkpoint.WaitForExit(Workplace.Limit), Is.Zero, checkpoint.Errors);
        Assert.That(_place.Do(new Dictionary<string, string>(there), "stop", "count").Code, Is.Zero);
        run.WaitForExit(Workplace.Limit);
        _place.Release();
        using RunningProgram restart = _place.Start(new Dictionary<string, string>(there), "restart", "count");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        Assert.That(restart.Output[^1], Does.StartWith("waited "), "the shell has heard of its end");
        Assert.That(_place.Starts, Is.EqualTo(1));
    }
}
