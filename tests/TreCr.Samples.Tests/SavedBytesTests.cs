using System.Text.Json;
using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>
/// The saved bytes are right: memory of every kind written from both sides while pages are tracked and copied ahead, an aborted epoch between two good ones.
/// tests/programs/cuda/bothsides.cu only ever adds, so that a write which one checkpoint missed shows at its end.
/// </summary>
public sealed class SavedBytesTests
{
    private string _directory = "";
    private Sample _program = null!;

    [OneTimeSetUp]
    public void Compile()
    {
        _directory = Directory.CreateTempSubdirectory("trecr-bothsides-").FullName;
        _program = new Sample("bothsides", ["--every", "3"], "bothsides: ", 0) { Path = $"{_directory}/bothsides" };
        using RunningProgram compile = new(Path.Combine(Repository.Root, "samples/compile.sh"), [Path.Combine(Repository.Root, "tests/programs/cuda/bothsides.cu"), _program.Path, $"{_directory}/obj"], new Dictionary<string, string>());
        Assert.That(compile.WaitForExit(Job.Limit), Is.Zero, compile.Errors);
    }

    [OneTimeTearDown]
    public void Remove() => Directory.Delete(_directory, true);

    /// <param name="point">where the third checkpoint fails: after pre-copy, after the memory was copied, when the epoch was to be committed</param>
    [TestCase("engine/DumpFrozen"), TestCase("engine/DumpCaptured"), TestCase("supervisor/SupervisorResumed"), TestCase("coordinator/CoordinatorPrepared")]
    public void After_good_and_aborted_epochs_all_bytes_are_right(string point)
    {
        using Job job = new(_program) { WithFaults = true };
        RunningProgram run = job.Run(held: true);
        GoOn(run);
        job.Checkpoint();
        GoOn(run);
        job.Checkpoint();
        GoOn(run);
        File.WriteAllText(job.FaultFile + "-", $"{point}:1:errno");
        File.Move(job.FaultFile + "-", job.FaultFile);
        (int code, _, string errors) = job.Do("checkpoint", "job");
        Assert.That(code, Is.Not.Zero, errors);
        Assert.That(File.Exists($"{job.FaultFile}.{point.Split('/')[0]}"), Is.True, "the fault");
        GoOn(run);
        int done = run.Output.Max(Sample.Unit);
        string id = job.Checkpoint();
        GoOn(run);
        Job.KillProgramAndDelegator(run, _program);
        Assert.That(run.WaitForExit(Job.Limit), Is.EqualTo(128 + 9));

        // Once more checkpointed and killed, so that an increment on a restarted program is among them.
        RunningProgram second = job.Restart(id);
        const int Tries = 6; // a frame of which pages were stored often, or of which many were written, is stored whole
        string last = "";
        HashSet<string> patched = [];
        for (int i = 0; i < Tries && patched.Count < 2; i++)
        {
            GoOn(second);
            last = job.Checkpoint();
            patched.UnionWith(RolesWithPatches(job, last));
        }
        GoOn(second);
        Assert.That(patched, Is.EquivalentTo(new[] { "delegator", "process" }), "of frames in which a page was written, that page alone is stored");
        Job.KillProgramAndDelegator(second, _program);
        second.WaitForExit(Job.Limit);
        job.Release();
        RunningProgram third = job.Restart(last);
        code = third.WaitForExit(Job.Limit);
        Assert.That(code, Is.Zero, third.Errors);
        Assert.That(third.Output, Does.Contain("bothsides: PASSED"));
        RunMark? begin = Sample.MarkOf(run.Output, "begin"), end = Sample.MarkOf(third.Output, "end");
        Assert.That(end?.Nonce, Is.Not.Null.And.EqualTo(begin?.Nonce), "nonce");
        Assert.That(job.Starts, Is.EqualTo(1));
        Assert.That(Sample.Unit(second.Output.First(l => Sample.Unit(l) > 0)), Is.GreaterThanOrEqualTo(done), "it went on where it was");
    }

    private static string[] RolesWithPatches(Job job, string id)
    {
        (int code, string[] output, string errors) = job.Do("inspect", id, "--json");
        Assert.That(code, Is.Zero, errors);
        return [.. JsonDocument.Parse(output.Single()).RootElement.GetProperty("snapshots").EnumerateArray()
            .Where(s => s.GetProperty("parts").EnumerateArray().Any(p => p.GetProperty("bytes_patched").GetInt64() > 0)).Select(s => s.GetProperty("role").GetString()!)];
    }

    /// <summary>Waits for rounds that began after now.</summary>
    private static void GoOn(RunningProgram run)
    {
        int seen = run.Output.Select(Sample.Unit).DefaultIfEmpty(0).Max();
        run.WaitForLine(l => Sample.Unit(l) > seen + 3, Job.Limit);
    }
}
