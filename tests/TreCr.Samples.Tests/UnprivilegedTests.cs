using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>The whole line as user 65534 without any capability (testing.md, "Unprivileged").</summary>
public sealed class UnprivilegedTests
{
    [Test]
    public void Run_checkpoint_kill_and_restart_without_any_capability()
    {
        Sample sample = FaultSweepTests.Small;
        using Job job = new(sample, unprivileged: true);
        RunningProgram run = job.Run(held: true);
        run.WaitForLine(l => Sample.Unit(l) > 0, Job.Limit);
        CheckPowerless(Job.HostPid(job.Rank()));
        job.Checkpoint();
        string id = job.Checkpoint();
        CheckPowerless(Job.HostPid(job.Rank()));
        Job.KillProgramAndDelegator(run, sample);
        Assert.That(run.WaitForExit(Job.Limit), Is.EqualTo(128 + 9));
        RunningProgram restart = job.Restart(id);
        job.WaitUntilRegistered(restart);
        CheckPowerless(Job.HostPid(job.Rank()));
        job.Release();
        int code = restart.WaitForExit(Job.Limit);
        Assert.That(code, Is.Zero, restart.Errors);
        SampleCheck.Whole(sample, [.. run.Output, .. restart.Output], job);
    }

    /// <summary>User 65534, no effective or permitted capability, no way to get one.</summary>
    private static void CheckPowerless(int pid)
    {
        string[] status = File.ReadAllLines($"/proc/{pid}/status");
        Assert.That(Value("CapEff:"), Is.EqualTo("0000000000000000"));
        Assert.That(Value("CapPrm:"), Is.EqualTo("0000000000000000"));
        Assert.That(Value("NoNewPrivs:"), Is.EqualTo("1"));
        Assert.That(Value("Uid:").Split('\t'), Has.All.EqualTo("65534"));

        string Value(string name) => status.Single(l => l.StartsWith(name))[name.Length..].Trim();
    }
}
