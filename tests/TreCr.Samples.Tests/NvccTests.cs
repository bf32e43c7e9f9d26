using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>
/// The samples as NVIDIA's own compiler builds them, unchanged, with both of its runtime libraries: killed after a checkpoint, restarted, right results. Needs nvcc on the
/// path, or a compiler named by TRECR_NVCC.
/// </summary>
public sealed class NvccTests
{
    private string _directory = "";

    private static string? Compiler => Environment.GetEnvironmentVariable("TRECR_NVCC") is { Length: > 0 } named ? named
        : Environment.GetEnvironmentVariable("PATH")!.Split(':').Select(d => Path.Combine(d, "nvcc")).FirstOrDefault(File.Exists);

    private static IEnumerable<TestCaseData> Cases => Sample.All.Where(s => s.Name != "vectoradd_driver").SelectMany(s => new[] { "static", "shared" }.Select(r => new TestCaseData(s, r)));

    [OneTimeSetUp]
    public void Find()
    {
        if (Compiler is null) Assert.Ignore("nvcc is not installed (Debian: apt-get install nvidia-cuda-toolkit, in non-free, 1.5 GB)");
        _directory = Directory.CreateTempSubdirectory("trecr-nvcc-").FullName;
    }

    [OneTimeTearDown]
    public void Remove()
    {
        if (_directory.Length > 0) Directory.Delete(_directory, true);
    }

    /// <param name="runtime">-cudart: several copies of the static one may be in a program, the shared one is libcudart.so.11.0</param>
    [TestCaseSource(nameof(Cases))]
    public void Built_by_nvcc_a_sample_survives_kill_and_restart(Sample sample, string runtime) => SurvivesKillAndRestart(sample, runtime, "samples");

    /// <summary>No other compiler makes them: <c>texture&lt;&gt;</c> and <c>surface&lt;&gt;</c> variables, bound before the checkpoint and used after it.</summary>
    [Test]
    public void Texture_references_survive_kill_and_restart([Values("static", "shared")] string runtime)
        => SurvivesKillAndRestart(new Sample("references", ["--rounds", "120", "--every", "2"], "references: cells ", 120), runtime, "tests/programs/cuda");

    private void SurvivesKillAndRestart(Sample sample, string runtime, string folder)
    {
        Sample built = sample with { Path = $"{_directory}/{runtime}/{sample.Name}" };
        Directory.CreateDirectory($"{_directory}/{runtime}");
        using (RunningProgram nvcc = new(Compiler!, ["-std=c++17", "-O2", "-cudart", runtime, "-gencode", "arch=compute_70,code=compute_70",
            Path.Combine(Repository.Root, folder, sample.Name + ".cu"), "-o", built.Path], new Dictionary<string, string>()))
            Assert.That(nvcc.WaitForExit(TimeSpan.FromMinutes(5)), Is.Zero, nvcc.Errors);
        using Job job = new(built);
        RunningProgram run = job.Run(held: true);
        run.WaitForLine(l => Sample.Unit(l) > 0, Job.Limit);
        job.Checkpoint();
        string id = job.Checkpoint();
        int done = run.Output.Max(Sample.Unit);
        Job.KillProgramAndDelegator(run, built);
        run.WaitForExit(Job.Limit);
        job.Release();
        RunningProgram restart = job.Restart(id);
        int code = restart.WaitForExit(Job.Limit);
        Assert.That(code, Is.Zero, restart.Errors);
        SampleCheck.Whole(built, [.. run.Output.Where(l => Sample.Unit(l) <= done), .. restart.Output], job);
    }
}
