using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace TreCr.Benchmarks;

/// <summary>
/// Stop time of programs whose memory is on the software device, or pinned, of which 1 % is written a second, in single pages all over it: the first checkpoint and a later one. Memory that does not compress.
/// </summary>
internal static class StopBench
{
    /// <summary>Beside the program's memory itself: what the machine has to have for copies and the page cache.</summary>
    private const long SpareMiB = 2048;

    private const int MostRuns = 3, DeadlineSeconds = 300;

    /// <param name="prefix">of the rows' names</param>
    /// <param name="program">resident: on the device; pinned: in pinned memory</param>
    public static void Run(Bench bench, string prefix, string program, string where, params int[] sizesMiB)
    {
        string path = bench.CompileCuda(program);
        foreach (int mib in sizesMiB)
        {
            string name = $"{prefix}: {mib} MiB {where}, stop", size = mib.ToString(CultureInfo.InvariantCulture);
            if (Available() is var available && available < mib + SpareMiB || new DriveInfo(bench.Scratch).AvailableFreeSpace >> 20 < 2L * mib)
            {
                Console.WriteLine($"{name}: not measured: {available} MiB of memory are free, {mib + SpareMiB} are wanted, and {2L * mib} of disk");
                continue;
            }
            List<double> first = [], later = [];
            for (int i = 0; i < Math.Min(Bench.Runs, mib > 2048 ? 1 : MostRuns); i++)
            {
                bench.NewStore();
                string job = $"{program}{mib}-{i}";
                using Process run = bench.Start(bench.Trecr, "run", "--device", "soft", "--job", job, "--", path, size, "1");
                while (run.StandardOutput.ReadLine() is string line && line != "ready") { }
                first.Add(Checkpoint(bench, job));
                for (int k = 0; k < 2; k++) later.Add(Checkpoint(bench, job));
                run.StandardInput.Close();
                Bench.Finish(run, DeadlineSeconds, program);
            }
            bench.Row(name + ", first", "ms", first);
            bench.Row(name + ", later", "ms", later);
        }
        bench.NewStore();
    }

    private static long Available() => long.Parse(File.ReadLines("/proc/meminfo").First(l => l.StartsWith("MemAvailable:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) >> 10;

    /// <summary>Takes a checkpoint.</summary>
    /// <returns>its stop, ms</returns>
    public static double Checkpoint(Bench bench, string job)
    {
        using JsonDocument json = JsonDocument.Parse(bench.Run(DeadlineSeconds, bench.Trecr, "checkpoint", job, "--json"));
        return json.RootElement.GetProperty("stop_time_us").GetInt64() / 1000.0;
    }
}
