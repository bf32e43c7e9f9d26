using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Surface.Tests;

/// <summary>Programs that ask NVRTC for machine code get PTX on the software device, also when they were killed and restarted in between. NVIDIA's library is played by tests/programs/nvrtc/compiler.c.</summary>
public sealed class NvrtcTests
{
    private string _directory = "";

    [OneTimeSetUp]
    public void Compile()
    {
        _directory = Directory.CreateTempSubdirectory("trecr-nvrtc-").FullName;
        string sources = Path.Combine(Repository.Root, "tests/programs/nvrtc");
        Gcc("-shared", "-fPIC", "-Wl,-soname,libnvrtc.so.11.2", $"{sources}/compiler.c", "-o", $"{_directory}/libnvrtc.so.11.2");
        Gcc($"{sources}/program.c", $"{_directory}/libnvrtc.so.11.2", "-ldl", "-o", $"{_directory}/nvrtc");
    }

    [OneTimeTearDown]
    public void Remove() => Directory.Delete(_directory, true);

    private static void Gcc(params string[] arguments)
    {
        using RunningProgram gcc = new("gcc", ["-O1", "-Wall", .. arguments], new Dictionary<string, string>());
        Assert.That(gcc.WaitForExit(Job.Limit), Is.Zero, gcc.Errors);
    }

    [Test]
    public void A_program_that_asks_for_machine_code_gets_PTX_and_survives_a_restart()
    {
        Sample sample = new("nvrtc", [], "NVRTC ", 1) { Path = $"{_directory}/nvrtc" };
        using Job job = new(sample);
        job.Environment["LD_LIBRARY_PATH"] = _directory;
        RunningProgram run = job.Run(held: true);
        run.WaitForLine(l => l == "compiled", Job.Limit);
        Assert.That(run.Output.Where(l => l.StartsWith("option ")), Is.EqualTo(new[] { "option --std=c++14", "option --gpu-architecture=compute_90", "option --use_fast_math" }));
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
