using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>What processes of ours leave in the temporary directory when they are killed.</summary>
public sealed class KilledTests
{
    /// <summary>A runtime that may be debugged makes clr-debug-pipe-PID-… and dotnet-diagnostic-PID-… there, and takes them away only where it ends by itself. The program decides that for itself.</summary>
    [Test]
    public void Killed_processes_leave_nothing_for_debuggers()
    {
        const string Setting = "DOTNET_EnableDiagnostics";
        Sample sample = FaultSweepTests.Small;
        using Job job = new(sample);
        string temporary = Directory.CreateDirectory(Path.Combine(job.RunPath, "tmp")).FullName;
        job.Environment["TMPDIR"] = temporary;
        job.Environment[Setting] = ""; // of whoever runs the tests
        RunningProgram run = job.Run(held: true);
        run.WaitForLine(l => Sample.Unit(l) > 0, Job.Limit);
        Assert.That(File.ReadAllText($"/proc/{Job.HostPid(job.Rank())}/environ"), Does.Contain("TMPDIR=").And.Not.Contain(Setting));
        string id = job.Checkpoint();
        Job.KillProgramAndDelegator(run, sample);
        Assert.That(run.WaitForExit(Job.Limit), Is.EqualTo(128 + 9));
        Assert.That(Left(), Is.Empty);
        RunningProgram restart = job.Restart(id);
        job.WaitUntilRegistered(restart);
        List<int> all = [.. restart.Descendants()];
        Job.KillProgramAndDelegator(restart, sample);
        restart.Kill();
        foreach (int pid in all) Assert.That(Job.WaitForEnd(pid, Job.Limit), $"process {pid} lives");
        Assert.That(Left(), Is.Empty);

        string[] Left() => [.. Directory.GetFileSystemEntries(temporary).Select(f => Path.GetFileName(f)).Where(f => f.StartsWith("clr-debug") || f.StartsWith("dotnet-diagnostic"))];
    }
}
