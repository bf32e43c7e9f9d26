using System.Diagnostics;
using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Surface.Tests;

/// <summary>A dozen of NVIDIA's CUDA samples that <c>soak samples</c> found to pass and restart (docs/results/samples.md): they still do.</summary>
public sealed class CudaSampleTests
{
    private const int Count = 12;

    /// <summary>No further sample is begun after this: on a machine that is busy with other things fewer are looked at, at least one.</summary>
    private static readonly TimeSpan Enough = TimeSpan.FromMinutes(4), Limit = TimeSpan.FromMinutes(12);

    /// <summary>Those that take seconds, with nvcc's part.</summary>
    private static readonly string[] Quick =
    [
        "asyncAPI", "clock", "concurrentKernels", "cppIntegration", "cudaOpenMP", "deviceQueryDrv", "inlinePTX", "matrixMulDrv", "shfl_scan", "simpleAssert", "simpleAtomicIntrinsics",
        "simpleCallback", "simpleCooperativeGroups", "simpleCubemapTexture", "simpleCUFFT", "simpleDrvRuntime", "simpleLayeredTexture", "simpleMultiCopy", "simpleOccupancy", "simplePrintf", "simpleSurfaceWrite",
        "simpleTemplates", "simpleTextureDrv", "simpleVoteIntrinsics", "simpleZeroCopy", "systemWideAtomics", "template", "vectorAdd", "vectorAddDrv", "vectorAddMMAP",
    ];

    [Test]
    public void Samples_of_NVIDIA_pass_and_restart()
    {
        string path = Environment.GetEnvironmentVariable("PATH") ?? "";
        if (!Directory.Exists("/usr/share/doc/nvidia-cuda-samples/examples/Samples") || !path.Split(':').Any(d => File.Exists(Path.Combine(d, "nvcc"))))
            Assert.Ignore("nvidia-cuda-samples and nvcc are not installed (Debian non-free, 4 GB: apt-get install nvidia-cuda-samples nvidia-cuda-toolkit nvidia-cuda-toolkit-gcc)");
        int seed = Environment.TickCount;
        TestContext.Out.WriteLine($"seed {seed}");
        string[] table = Repository.Read("docs/results/samples.md").Split('\n'), names = [.. Quick.Where(n => table.Any(l => l.StartsWith($"| {n} | yes | yes | yes |", StringComparison.Ordinal)))];
        Assert.That(names, Has.Length.GreaterThanOrEqualTo(Count));
        new Random(seed).Shuffle(names);
        Stopwatch clock = Stopwatch.StartNew();
        foreach (string name in names.Take(Count).TakeWhile((_, i) => i == 0 || clock.Elapsed < Enough))
        {
            using RunningProgram soak = new("bash", [Path.Combine(Repository.Root, "tests/soak-samples.sh"), "-", $"{Limit.TotalSeconds:0}"], new Dictionary<string, string> { ["TRECR_SAMPLES"] = name, ["TRECR_SAMPLE_SECONDS"] = "500" });
            int code = soak.WaitForExit(Limit);
            Assert.That(code, Is.Zero, $"seed {seed}, {name}: {string.Join('\n', soak.Output)}\n{soak.Errors}");
            TestContext.Out.WriteLine(soak.Output[^1]);
        }
    }
}
