using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Surface.Tests;

/// <summary>OpenACC programs as gcc builds them for nvptx, unmodified: libgomp's plug-in opens libcuda.so.1 and links some thirty texts at run time. Killed between two regions and restarted.</summary>
public sealed class OffloadTests
{
    private string _directory = "";

    [OneTimeSetUp]
    public void Find()
    {
        if (!File.Exists("/usr/bin/gcc-12") || !Directory.Exists("/usr/lib/gcc/x86_64-linux-gnu/12/accel/nvptx-none")) Assert.Ignore("gcc-12-offload-nvptx is not installed (Debian main, 57 MB)");
        _directory = Directory.CreateTempSubdirectory("trecr-offload-").FullName;
    }

    [OneTimeTearDown]
    public void Remove()
    {
        if (_directory.Length > 0) Directory.Delete(_directory, true);
    }

    [TestCase("openacc", "-fopenacc")]
    public void Regions_run_on_the_device_and_survive_a_restart(string name, string option)
    {
        Sample sample = new(name, [], "half done", 1) { Path = $"{_directory}/{name}" };
        using (RunningProgram gcc = new("gcc-12", ["-O2", "-w", option, "-foffload=nvptx-none", Path.Combine(Repository.Root, $"tests/programs/offload/{name}.c"), "-o", sample.Path], new Dictionary<string, string>()))
            Assert.That(gcc.WaitForExit(Job.Limit), Is.Zero, gcc.Errors);
        using Job job = new(sample);
        RunningProgram run = job.Run(held: true);
        run.WaitForLine(l => l == "half done", Job.Limit);
        string id = job.Checkpoint();
        Job.KillProgramAndDelegator(run, sample);
        run.WaitForExit(Job.Limit);
        job.Release();
        RunningProgram restart = job.Restart(id);
        int code = restart.WaitForExit(Job.Limit);
        Assert.That(code, Is.Zero, restart.Errors + string.Join('\n', restart.Output));
        Assert.That(Sample.MarkOf(restart.Output, "end")?.Nonce, Is.Not.Null.And.EqualTo(Sample.MarkOf(run.Output, "begin")?.Nonce));
        Assert.That(job.Starts, Is.EqualTo(1));
    }
}
