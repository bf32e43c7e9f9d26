using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>CUDA programs as members of a process tree: started by a shell, and two at once.</summary>
public sealed class TreeTests
{
    private string _directory = "";

    [OneTimeSetUp]
    public void Create() => _directory = Directory.CreateTempSubdirectory("trecr-tree-").FullName;

    [OneTimeTearDown]
    public void Remove() => Directory.Delete(_directory, true);

    private static Sample Heat => Sample.All.First(s => s.Name == "heat2d");

    private Sample Script(string name, string text)
    {
        string path = Path.Combine(_directory, name);
        File.WriteAllText(path, $"#!/bin/bash\n{text}\n");
        File.SetUnixFileMode(path, (UnixFileMode)0x1ED);
        return Heat with { Path = path };
    }

    [Test]
    public void Under_a_shell_killed_and_restarted()
    {
        Sample sample = Script("one.sh", $"'{Heat.Path}' \"$@\"\necho \"shell $$: status $?\"");
        using Job job = new(sample);
        RunningProgram run = job.Run(held: true);
        run.WaitForLine(l => Sample.Unit(l) > 0, Job.Limit);
        job.Checkpoint();
        string id = job.Checkpoint();
        int done = run.Output.Max(Sample.Unit);
        run.Kill();
        job.Release();
        RunningProgram restart = job.Restart(id);
        int code = restart.WaitForExit(Job.Limit);
        Assert.That(code, Is.Zero, restart.Errors);
        SampleCheck.Whole(Heat, [.. run.Output.Where(l => Sample.Unit(l) <= done), .. restart.Output], job);
        Assert.That(restart.Output[^1], Does.Match("^shell [0-9]+: status 0$"));
    }

    [Test]
    public void Two_CUDA_processes_at_once_each_keep_their_device()
    {
        Sample sample = Script("two.sh", $"'{Heat.Path}' \"$@\" >'{_directory}/first' & TRECR_SAMPLE_COUNTER= '{Heat.Path}' \"$@\" >'{_directory}/second'\nsecond=$?\nwait $!\necho \"first $? second $second\"");
        using Job job = new(sample);
        RunningProgram run = job.Run(held: true);
        string[] Lines(string which) => File.Exists(Path.Combine(_directory, which)) ? File.ReadAllLines(Path.Combine(_directory, which)) : [];
        long end = Environment.TickCount64 + (long)Job.Limit.TotalMilliseconds;
        while (!Lines("first").Any(l => Sample.Unit(l) > 0) || !Lines("second").Any(l => Sample.Unit(l) > 0)) // both write to files
        {
            Assert.That(Environment.TickCount64, Is.LessThan(end), run.Errors);
            job.Do("status", "job");
        }
        job.Checkpoint();
        string id = job.Checkpoint(stop: true);
        run.WaitForExit(Job.Limit);
        job.Release();
        RunningProgram restart = job.Restart(id);
        int code = restart.WaitForExit(Job.Limit);
        Assert.That(code, Is.Zero, restart.Errors);
        Assert.That(restart.Output, Does.Contain("first 0 second 0"));
        foreach (string which in (string[])["first", "second"])
        {
            RunMark? begin = Sample.MarkOf(Lines(which), "begin"), last = Sample.MarkOf(Lines(which), "end");
            Assert.That(last?.Nonce, Is.Not.Null.And.EqualTo(begin?.Nonce), which);
            Assert.That(last?.Launches, Is.EqualTo(Heat.Launches), which);
            Assert.That(Sample.WithoutNonce(Lines(which).Where(l => l.StartsWith(Heat.ResultLine))), Is.EqualTo(Sample.WithoutNonce(SampleCheck.Undisturbed(Heat).Where(l => l.StartsWith(Heat.ResultLine)))).And.Not.Empty, which);
        }
        Assert.That(job.Starts, Is.EqualTo(1));
    }
}
