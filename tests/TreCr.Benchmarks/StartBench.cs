using System.Diagnostics;

namespace TreCr.Benchmarks;

/// <summary>
/// First and second starts of programs on the software device (issue 5: the second at half the first's or less): a run from its start to its end, with an empty kernel cache and with one that holds what the first run compiled.
/// A sample, whose start is mostly TreCr's own, and, where NVIDIA's cuBLAS 11 is installed, the program that calls all its levels.
/// </summary>
internal static class StartBench
{
    public const string CacheVariable = "TRECR_KERNEL_CACHE";

    public static void Run(Bench bench)
    {
        string root = Path.GetDirectoryName(Path.GetDirectoryName(bench.Trecr))!;
        Measure(bench, "sample histogram", Path.Combine(root, "out", "samples", "histogram"));
        string cublas = Path.Combine(bench.Scratch, "cublas");
        try
        {
            // Where the library lies elsewhere, LIBRARY_PATH and LD_LIBRARY_PATH say so.
            bench.Run(60, "gcc", "-O2", "-w", "-o", cublas, Path.Combine(root, "tests", "programs", "libraries", "cublas.c"), "-l:libcublas.so.11", "-l:libcudart.so.11.0", "-lm");
        }
        catch (InvalidOperationException)
        {
            Console.WriteLine("start: cuBLAS: not measured: libcublas.so.11 is not installed");
            return;
        }
        Measure(bench, "cuBLAS", cublas);
    }

    private static void Measure(Bench bench, string name, string program)
    {
        List<double> first = [], second = [], firstCompiling = [], secondCompiling = [];
        string? before = Environment.GetEnvironmentVariable(CacheVariable);
        try
        {
            for (int run = 0; run < Bench.Runs; run++)
            {
                string cache = Path.Combine(bench.Scratch, $"kernels {name} {run}");
                Environment.SetEnvironmentVariable(CacheVariable, cache);
                first.Add(Time(bench, program, firstCompiling));
                WaitForCompiler(cache);
                second.Add(Time(bench, program, secondCompiling));
            }
        }
        finally { Environment.SetEnvironmentVariable(CacheVariable, before); }
        bench.Row($"start: {name}, first", "ms", first);
        bench.Row($"start: {name}, second", "ms", second);
        bench.Row($"start: {name}, second : first", "x", second.Zip(first, (s, f) => s / f));
        bench.Row($"start: {name}, kernels, first", "ms", firstCompiling);
        bench.Row($"start: {name}, kernels, second", "ms", secondCompiling);
        bench.Row($"start: {name}, kernels, second : first", "x", secondCompiling.Zip(firstCompiling, (s, f) => s / f));
    }

    /// <summary>One run.</summary>
    /// <param name="compiling">gets what loading modules, emitting kernels and RyuJIT took in it, ms; RyuJIT's part is of the whole delegator, which has other methods to compile too</param>
    /// <returns>ms from its start to its end</returns>
    private static double Time(Bench bench, string program, List<double> compiling)
    {
        long start = Stopwatch.GetTimestamp();
        using Process process = bench.Start(bench.Trecr, ["run", "--device", "soft", "--", program], timing: true);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        Bench.Finish(process, 120, program);
        double ms = Stopwatch.GetElapsedTime(start).TotalMilliseconds, sum = 0, jit = 0;
        foreach (string[] words in errors.Result.Split('\n').Where(l => l.StartsWith("soft-timing", StringComparison.Ordinal)).Select(l => l.Split('\t')))
        {
            if (words[1] != "unpack") sum += double.Parse(words[3], System.Globalization.CultureInfo.InvariantCulture); // a part of "load"
            jit = double.Parse(words[5], System.Globalization.CultureInfo.InvariantCulture);
        }
        compiling.Add(sum + jit);
        return ms;
    }

    /// <summary>Until nothing waits to be compiled for the cache.</summary>
    private static void WaitForCompiler(string cache)
    {
        using FileSystemWatcher watcher = new(cache, "*.pending");
        while (Directory.GetFiles(cache, "*.pending").Length > 0) watcher.WaitForChanged(WatcherChangeTypes.Deleted, 100);
    }
}
