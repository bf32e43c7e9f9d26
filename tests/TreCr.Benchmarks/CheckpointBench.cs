using System.Diagnostics;
using System.Globalization;

namespace TreCr.Benchmarks;

/// <summary>
/// Stop time of a 1 GiB program: the longest gap one of its threads sees, natively and with a first and a second checkpoint taken meanwhile; and GB/s from
/// asking for the checkpoint to its being durable. Then the stop of programs whose memory is on the software device.
/// </summary>
internal static class CheckpointBench
{
    private const int MemoryMiB = 1024;

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
            firstStop.Add(StopBench.Checkpoint(bench, $"memory{i}"));
            rate.Add(MemoryMiB / 1024.0 * 1.073741824 / watch.Elapsed.TotalSeconds);
            secondStop.Add(StopBench.Checkpoint(bench, $"memory{i}"));
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
        StopBench.Run(bench, "checkpoint", "resident", "on the device", 256, 2048);
    }

    private static double Gap(string output)
    {
        string[] words = output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return double.Parse(words[Array.IndexOf(words, "longest_gap_us") + 1], CultureInfo.InvariantCulture) / 1000;
    }
}
