using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace TreCr.Benchmarks;

/// <summary>
/// Stop time of a 1 GiB program: the longest gap one of its threads sees, natively and with a first and a second checkpoint taken meanwhile; and GB/s from
/// asking for the checkpoint to its being durable. Then the stop of programs whose memory is on the software device.
/// </summary>
internal static class CheckpointBench
{
    private const int MemoryMiB = 1024;
    private static readonly int[] s_deviceMiB = [256, 2048];

    public static void Run(Bench bench)
    {
        string program = bench.Compile("memory");
        List<double> native = [], withCheckpoints = [], firstStop = [], secondStop = [], rate = [];
        for (int i = 0; i < Bench.Runs; i++)
        {
            bench.NewStore();
            native.Add(Gap(bench.Run(120, program, MemoryMiB.ToString(CultureInfo.InvariantCulture), "1", "2")));
            using Process job = bench.Start(bench.Trecr, "run", "--job", $"memory{i}", "--", program, MemoryMiB.ToString(CultureInfo.InvariantCulture), "1", "0");
            while (job.StandardOutput.ReadLine() is string line && line != "ready") { }
            Stopwatch watch = Stopwatch.StartNew();
            firstStop.Add(Checkpoint(bench, $"memory{i}"));
            rate.Add(MemoryMiB / 1024.0 * 1.073741824 / watch.Elapsed.TotalSeconds);
            secondStop.Add(Checkpoint(bench, $"memory{i}"));
            job.StandardInput.Close();
            string rest = job.StandardOutput.ReadToEnd();
            Bench.Finish(job, 120, "memory");
            withCheckpoints.Add(Gap(rest));
        }
        double gib = MemoryMiB / 1024.0;
        bench.Row("checkpoint: longest gap without", "ms", native);
        bench.Row("checkpoint: longest gap, two checkpoints", "ms", withCheckpoints);
        bench.Row("checkpoint: stop per GiB, first", "ms", firstStop.Select(v => v / gib));
        bench.Row("checkpoint: stop per GiB, second", "ms", secondStop.Select(v => v / gib));
        bench.Row("checkpoint: to durable, first", "GB/s", rate);
        foreach (int mib in s_deviceMiB) Device(bench, mib);
    }

    /// <summary>Device memory that does not compress, of which 1 % is written a second.</summary>
    private static void Device(Bench bench, int mib)
    {
        string program = bench.CompileCuda("resident"), size = mib.ToString(CultureInfo.InvariantCulture);
        List<double> first = [], second = [];
        for (int i = 0; i < Math.Min(Bench.Runs, 3); i++)
        {
            bench.NewStore();
            using Process job = bench.Start(bench.Trecr, "run", "--device", "soft", "--job", $"device{mib}-{i}", "--", program, size, "1");
            while (job.StandardOutput.ReadLine() is string line && line != "ready") { }
            first.Add(Checkpoint(bench, $"device{mib}-{i}"));
            second.Add(Checkpoint(bench, $"device{mib}-{i}"));
            job.StandardInput.Close();
            Bench.Finish(job, 120, "resident");
        }
        bench.Row($"checkpoint: {mib} MiB on the device, stop, first", "ms", first);
        bench.Row($"checkpoint: {mib} MiB on the device, stop, second", "ms", second);
    }

    private static double Checkpoint(Bench bench, string job)
    {
        using JsonDocument json = JsonDocument.Parse(bench.Run(120, bench.Trecr, "checkpoint", job, "--json"));
        return json.RootElement.GetProperty("stop_time_us").GetInt64() / 1000.0;
    }

    private static double Gap(string output)
    {
        string[] words = output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return double.Parse(words[Array.IndexOf(words, "longest_gap_us") + 1], CultureInfo.InvariantCulture) / 1000;
    }
}
