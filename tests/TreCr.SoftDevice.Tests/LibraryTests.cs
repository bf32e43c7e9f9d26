using System.Diagnostics;
using NUnit.Framework;

namespace TreCr.SoftDevice.Tests;

/// <summary>
/// NVIDIA's own libraries, unchanged, through wrapper, ring and delegator on the software device, against references on the CPU (tests/programs/libraries). They are Debian's packages libcurand10,
/// libcublas11, libcufft10 of non-free, 40 to 90 MB each; what is not installed is skipped by name.
/// </summary>
[CancelAfter(600_000), NonParallelizable]
public sealed class LibraryTests
{
    static string Root => Environment.GetEnvironmentVariable("TRECR_ROOT") ?? Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "..", "..", ".."));

    [TestCase("cublas", "libcublas.so.11", "libcublas11")]
    [TestCase("cufft", "libcufft.so.10", "libcufft10")]
    [TestCase("curand", "libcurand.so.10", "libcurand10")]
    [TestCase("cusparse", "libcusparse.so.11", "libcusparse11")]
    [TestCase("cusolver", "libcusolver.so.11", "libcusolver11")]
    public void AgreesWithTheCpu(string program, string library, string package)
    {
        string trecr = Path.Combine(Root, "out", "trecr");
        if (!File.Exists(trecr)) Assert.Ignore("out/ is not built");
        if (!File.Exists(Path.Combine("/usr/lib/x86_64-linux-gnu", library))) Assert.Ignore($"{library} is not installed (Debian non-free, {package})");
        string scratch = Directory.CreateTempSubdirectory("trecr-library-").FullName;
        try
        {
            string binary = Path.Combine(scratch, program);
            (int code, string text) = Run(60, scratch, "gcc", "-O2", "-w", "-o", binary, Path.Combine(Root, "tests", "programs", "libraries", program + ".c"), $"-l:{library}", "-l:libcudart.so.11.0", "-lm");
            Assert.That(code, Is.Zero, text);
            (code, text) = Run(560, scratch, trecr, "run", "--device", "soft", "--", binary);
            TestContext.Out.WriteLine(text);
            Assert.That(text, Does.Contain("all right").And.Not.Contain("FAIL"));
            Assert.That(code, Is.Zero);
        }
        finally { Directory.Delete(scratch, true); }
    }

    static (int Code, string Text) Run(int seconds, string scratch, string file, params string[] arguments)
    {
        ProcessStartInfo start = new(file, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        start.Environment["TRECR_STORE"] = Path.Combine(scratch, "store");
        using Process p = Process.Start(start)!;
        Task<string> output = p.StandardOutput.ReadToEndAsync(), errors = p.StandardError.ReadToEndAsync();
        if (!p.WaitForExit(TimeSpan.FromSeconds(seconds)))
        {
            p.Kill(true);
            return (-1, $"{file} did not end in {seconds} s\n{output.Result}");
        }
        return (p.ExitCode, output.Result + errors.Result);
    }
}
