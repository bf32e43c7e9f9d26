using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>An image is restarted where the device cannot take it: refused by name with exit code 8, and good where such a device is.</summary>
public sealed class WrongDeviceTests
{
    private static readonly Sample s_large = new("heat2d", ["--size", "1024", "--steps", "12", "--every", "2"], "heat2d: field ", 13);

    [Test]
    public void A_lower_capability_less_memory_another_kind()
    {
        using Job job = new(s_large);
        job.Environment["TRECR_SOFT_CC"] = "9.0";
        RunningProgram run = job.Run(held: true);
        run.WaitForLine(l => Sample.Unit(l) > 0, Job.Limit);
        string id = job.Checkpoint(stop: true);
        run.WaitForExit(Job.Limit);
        job.Release();

        Refused(job, id, "compute capability 9.0, here is .* of 8.6", ("TRECR_SOFT_CC", "8.6"));
        Refused(job, id, @"the program has \d+ bytes of memory on device 0 .* has 4194304", ("TRECR_SOFT_MEMORY", "4M"));
        using (RunningProgram other = job.Restart(id, "--device", "cuda"))
        {
            Assert.That(other.WaitForExit(Job.Limit), Is.EqualTo(8));
            Assert.That(other.Errors, Does.Match(@"^trecr: cannot restart job\.1 with --device cuda: its device was soft .*\(TRECR-0305\)$"));
        }

        Refused(job, id, "this device gives other values than when the program ran: .*GetFunction", ("TRECR_SOFT_CC", "10.0"));

        // The image is untouched: such a device takes it.
        RunningProgram restart = job.Restart(id);
        Assert.That(restart.WaitForExit(Job.Limit), Is.Zero, restart.Errors);
        SampleCheck.Whole(s_large, [.. run.Output, .. restart.Output], job);
    }

    private static void Refused(Job job, string id, string reason, (string Name, string Value) device)
    {
        string? before = job.Environment.GetValueOrDefault(device.Name);
        job.Environment[device.Name] = device.Value;
        using RunningProgram restart = job.Restart(id);
        Assert.That(restart.WaitForExit(Job.Limit), Is.EqualTo(8), restart.Errors);
        Assert.That(restart.Errors.Split('\n').Where(l => l.StartsWith("trecr: ")), Has.One.Items, restart.Errors);
        Assert.That(restart.Errors, Does.Match($@"trecr: cannot restart job\.1: .*{reason}.*\(TRECR-0305\)"));
        Assert.That(job.Processes(coordinator: false), Is.Empty);
        if (before is null) job.Environment.Remove(device.Name); else job.Environment[device.Name] = before;
    }
}
