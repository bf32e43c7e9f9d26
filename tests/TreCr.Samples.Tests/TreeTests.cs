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
        WaitForUnits(run, job, "first", "second");
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

    /// <summary>The second process asks for its delegator while the first one's gate is closed already: it gets it, and then the checkpoint goes on.</summary>
    [Test]
    public void A_process_that_begins_while_the_gate_is_closed()
    {
        Sample sample = Script("late.sh", $"'{Heat.Path}' \"$@\" >'{_directory}/early' & while [ ! -e \"$LATE_BEGINS\" ]; do read -t 0.005 <><(:); done\nTRECR_SAMPLE_COUNTER= '{Heat.Path}' \"$@\" >'{_directory}/late'\nlate=$?\nwait $!\necho \"early $? late $late\"");
        using Job job = new(sample) { WithFaults = true };
        job.Environment["LATE_BEGINS"] = job.FaultFile + ".supervisor";
        RunningProgram run = job.Run(held: true);
        WaitForUnits(run, job, "early");
        File.WriteAllText(job.FaultFile, "supervisor/SupervisorGated:delay");
        job.Checkpoint();
        WaitForUnits(run, job, "late");
        string id = job.Checkpoint(stop: true);
        run.WaitForExit(Job.Limit);
        job.Release();
        RunningProgram restart = job.Restart(id);
        Assert.That(restart.WaitForExit(Job.Limit), Is.Zero, restart.Errors);
        Assert.That(restart.Output, Does.Contain("early 0 late 0"));
        Assert.That(job.Starts, Is.EqualTo(1));
    }

    private void WaitForUnits(RunningProgram run, Job job, params string[] files)
    {
        long end = Environment.TickCount64 + (long)Job.Limit.TotalMilliseconds;
        while (!files.All(f => Lines(f).Any(l => Sample.Unit(l) > 0))) // they write to files
        {
            Assert.That(Environment.TickCount64, Is.LessThan(end), run.Errors);
            job.Do("status", "job");
        }
    }

    private string[] Lines(string file) => File.Exists(Path.Combine(_directory, file)) ? File.ReadAllLines(Path.Combine(_directory, file)) : [];
}
