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
        job.CheckpointKillRestart("half done");
    }
}
