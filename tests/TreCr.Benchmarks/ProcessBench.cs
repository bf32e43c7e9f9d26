using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace TreCr.Benchmarks;

/// <summary>
/// The process engine from the command line: what a program sees of checkpoints (longest gap of a thread that reads the clock), how long the commands take, how soon a restarted
/// program runs, and whether ordinary system calls cost anything under trecr.
/// </summary>
/// <remarks>
/// In 8 minutes: the rows with goals in seven runs, the others in three, what the time does not allow is named. TRECR_BENCH_MINUTES: another time. TRECR_BENCH_FULL=1: seven runs of everything, an hour.
/// </remarks>
internal static partial class ProcessBench
{
    private const int Seconds = 600;

    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(int.TryParse(Environment.GetEnvironmentVariable("TRECR_BENCH_MINUTES"), out int minutes) && minutes > 0 ? minutes : 8);

    private static string s_mover = "";

    [GeneratedRegex(@"^gap (\d+) us at (\d+)$")]
    private static partial Regex Gap();

    [GeneratedRegex(@"^(?:trecr:)?\s+(restore|release)\s+([0-9.]+) ms")]
    private static partial Regex Step();

    public static void Run(Bench bench)
    {
        Stopwatch watch = Stopwatch.StartNew();
        bool full = Environment.GetEnvironmentVariable("TRECR_BENCH_FULL") == "1";
        int few = full ? Bench.Runs : Math.Min(3, Bench.Runs);
        string program = bench.Compile("dirty");
        s_mover = bench.Compile("mover");
        Case(bench, program, 1, 1, 0, Bench.Runs);
        Case(bench, program, 1024, 1, 1, Bench.Runs);
        Slowdown(bench, program, full ? 3 : 1);
        Loops(bench);
        Console.WriteLine("peers, recorded (2 cores, kernel 6.18), 1 GiB of random data: DMTCP stop 1040 ms, forked 280 ms, restart 560 ms; CRIU stop 710 ms, restart 440 ms");
        Console.WriteLine("peers, recorded, 1 MiB program: DMTCP stop 370 ms, restart 220 ms; CRIU stop 45 ms, restart 19 ms");
        TimeSpan longest = TimeSpan.Zero;
        foreach ((int mebibytes, int threads, int percent) in ((int, int, int)[])[(1024, 1, 0), (1024, 1, 10), (1024, 8, 1), (1024, 64, 1), (8192, 8, 1), (1024, 8, 0), (1024, 8, 10), (1024, 64, 0), (1024, 64, 10), (8192, 8, 0), (8192, 8, 10)])
        {
            long freeGiB = long.Parse(File.ReadLines("/proc/meminfo").First(l => l.StartsWith("MemAvailable")).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) >> 20;
            bool large = mebibytes > 2048;
            TimeSpan start = watch.Elapsed, need = large ? 3 * longest : longest;
            string? why = large && freeGiB < 18 ? $"{freeGiB} GiB of memory are free, 18 are wanted" : !full && start + need > s_limit ? "its time is over (TRECR_BENCH_FULL=1)" : null;
            if (why is not null)
            {
                Console.WriteLine($"{Name(mebibytes, threads, percent),-44} not measured: {why}");
                continue;
            }
            Case(bench, program, mebibytes, threads, percent, large && !full ? 1 : few);
            if (!large && watch.Elapsed - start > longest) longest = watch.Elapsed - start;
        }
        Console.WriteLine($"process: {watch.Elapsed.TotalSeconds:0} s in all");
    }

    private static string Name(int mebibytes, int threads, int percent) => $"process: {(mebibytes < 1024 ? $"{mebibytes} MiB" : $"{mebibytes >> 10} GiB")}, {threads} threads, {percent} %/s";

    private static void Case(Bench bench, string program, int mebibytes, int threads, int percent, int runs)
    {
        string name = Name(mebibytes, threads, percent);
        List<double> first = [], later = [], total = [], restart = [], warm = [], lazy = [], warmLazy = [], dump = [], moverBeside = [], moverDump = [], moverRestore = [];
        for (int i = 0; i < runs; i++)
        {
            bench.NewStore();
            string job = $"p{Environment.ProcessId}-{mebibytes}-{threads}-{percent}-{i}";
            using Process run = bench.Start(bench.Trecr, "run", "--job", job, "--", program, mebibytes.ToString(CultureInfo.InvariantCulture), threads.ToString(CultureInfo.InvariantCulture), percent.ToString(CultureInfo.InvariantCulture), Seconds.ToString(CultureInfo.InvariantCulture));
            Gaps gaps = new(run);
            gaps.WaitReady();
            long whole = Stopwatch.GetTimestamp();
            bench.Run(120, bench.Trecr, "checkpoint", job);
            dump.Add(Stopwatch.GetElapsedTime(whole).TotalSeconds);
            first.Add(gaps.TakeLongest());
            for (int k = 0; k < 2; k++)
            {
                long start = Stopwatch.GetTimestamp();
                bench.Run(120, bench.Trecr, "checkpoint", job);
                total.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                later.Add(gaps.TakeLongest());
            }
            if (mebibytes >= 1024) moverBeside.AddRange(Move(bench, mebibytes, "dump").Select(m => m.Seconds));
            bench.Run(120, bench.Trecr, "checkpoint", job, "--stop");
            run.WaitForExit(30_000);
            Restart(bench, job, restart, warm);
            Restart(bench, job, lazy, warmLazy, "--lazy");
            if (mebibytes < 1024) continue;
            foreach ((bool isDump, double seconds) in Move(bench, mebibytes)) (isDump ? moverDump : moverRestore).Add(seconds);
        }
        bench.Row(name + ": stop, first", "ms", first);
        bench.Row(name + ": stop, later", "ms", later);
        bench.Row(name + ": checkpoint in all, later", "ms", total);
        bench.Row(name + ": restart to running", "ms", restart);
        bench.Row(name + ": lazy restart to running", "ms", lazy);
        bench.Row(name + ": restart, in the engine", "ms", warm);
        bench.Row(name + ": lazy restart, in the engine", "ms", warmLazy);
        if (moverDump.Count == 0) return;
        bench.Row(name + ": first checkpoint in all", "s", dump);
        bench.Row(name + ": plain C, dump, beside the program", "s", moverBeside);
        bench.Row(name + ": plain C, dump, alone", "s", moverDump);
        bench.Row(name + ": plain C, restore", "s", moverRestore);
        bench.Row(name + ": dump / plain C", "x", dump.Zip(moverDump, (ours, theirs) => ours / theirs));
        bench.Row(name + ": dump / plain C beside the program", "x", dump.Zip(moverBeside, (ours, theirs) => ours / theirs));
        bench.Row(name + ": restart / plain C", "x", restart.Zip(moverRestore, (ours, theirs) => ours / 1000 / theirs));
    }

    /// <summary>The yardstick: alone on the machine, which is what the goals are set against, and a dump beside the program too, which takes processors from ours as well.</summary>
    private static IEnumerable<(bool IsDump, double Seconds)> Move(Bench bench, int mebibytes, params string[] only)
        => bench.Run(300, s_mover, [mebibytes.ToString(CultureInfo.InvariantCulture), Math.Min(64, Environment.ProcessorCount).ToString(CultureInfo.InvariantCulture), Path.Combine(bench.Scratch, "moved"), .. only])
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => (line.StartsWith("dump ", StringComparison.Ordinal), double.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture)));

    /// <summary>Restarts a job, and ends it when it runs.</summary>
    /// <param name="shell">receives the time from the command to the program's first line, ms</param>
    /// <param name="engine">receives what of it passes in an engine that has begun, from the request to the program's release, ms</param>
    private static void Restart(Bench bench, string job, List<double> shell, List<double> engine, params string[] options)
    {
        long begin = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() * 1000;
        using Process again = bench.Start(bench.Trecr, ["restart", job, .. options], timing: true);
        shell.Add((new Gaps(again).WaitForGap() - begin) / 1000.0);
        double steps = 0;
        while (again.StandardError.ReadLine() is { } line && !line.StartsWith("trecr: restarted", StringComparison.Ordinal))
            if (Step().Match(line) is { Success: true } m) steps += double.Parse(m.Groups[2].Value, CultureInfo.InvariantCulture);
        engine.Add(steps);
        again.Kill();
        again.WaitForExit(30_000);
        // Its namespace ends with it, which takes 0.1 s of a processor for 1 GiB: not at the cost of what is measured next.
        foreach (Process killed in Process.GetProcessesByName("dirty"))
            using (killed)
                if (!killed.WaitForExit(30_000)) throw new InvalidOperationException($"{job}: process {killed.Id} is still there 30 s after it was killed");
    }

    /// <summary>
    /// Processor time for the same work of a program that computes all the time: 1 GiB, 1 % written a second, one checkpoint a minute, against the program alone, side by side. Time of day would
    /// measure the machine's other work; and of a whole minute the processors' own pace differs by up to 8 % between two programs that are the same, so that each second is compared with the other program's
    /// same second, and of these the one in the middle counts. A run without a checkpoint says how far that can be trusted.
    /// </summary>
    private static void Slowdown(Bench bench, string program, int runs)
    {
        bench.Row("process: slowdown, one checkpoint a minute", "%", [.. Enumerable.Range(0, runs).Select(i => SlowdownOf(bench, program, i, checkpoint: true))]);
        bench.Row("process: the same without a checkpoint (what cannot be told apart)", "%", [.. Enumerable.Range(runs, runs).Select(i => SlowdownOf(bench, program, i, checkpoint: false))]);
    }

    private static double SlowdownOf(Bench bench, string program, int number, bool checkpoint)
    {
        const int Minute = 60;
        string job = $"slow{Environment.ProcessId}-{number}";
        string[] arguments = ["1024", "1", "1", $"{Minute}", "busy"];
        bench.NewStore();
        using Process run = bench.Start(bench.Trecr, ["run", "--job", job, "--", program, .. arguments]);
        Task<string> native = Task.Run(() => bench.Run(3 * Minute, program, arguments));
        StringBuilder text = new();
        Task? taken = null;
        Task output = Task.Run(() =>
        {
            while (run.StandardOutput.ReadLine() is { } line)
            {
                if (line == "ready" && checkpoint && taken is null) taken = Task.Run(() => bench.Run(120, bench.Trecr, "checkpoint", job));
                lock (text) text.AppendLine(line + (checkpoint && taken is not { IsCompletedSuccessfully: true } ? " before" : ""));
            }
        });
        Bench.Finish(run, 3 * Minute, "dirty");
        output.Wait();
        taken?.Wait();
        double[] seconds = [.. PerWork(text.ToString()).Zip(PerWork(native.Result)).Where(s => s.First > 0 && s.Second > 0).Select(s => s.First / s.Second).Order()];
        if (seconds.Length < Minute / 2) throw new InvalidOperationException($"slowdown: only {seconds.Length} seconds of {Minute} were measured");
        return (seconds[seconds.Length / 2] - 1) * 100;
    }

    /// <summary>Processor time for a round in each second; 0: before the checkpoint was there.</summary>
    private static IEnumerable<double> PerWork(string output)
    {
        double work = 0, ns = 0;
        foreach (string[] words in output.Split('\n').Where(l => l.StartsWith("sample ", StringComparison.Ordinal)).Select(l => l.Split(' ')))
        {
            double nowWork = double.Parse(words[1], CultureInfo.InvariantCulture), nowNs = double.Parse(words[2], CultureInfo.InvariantCulture);
            yield return words.Length > 3 || nowWork <= work ? 0 : (nowNs - ns) / (nowWork - work);
            (work, ns) = (nowWork, nowNs);
        }
    }

    private static void Loops(Bench bench)
    {
        string program = bench.Compile("loops");
        SortedDictionary<string, List<double>> native = [], under = [];
        for (int i = 0; i < Bench.Runs; i++)
        {
            Collect(bench.Run(120, program), native);
            Collect(bench.Run(120, bench.Trecr, "run", "--", program), under);
        }
        foreach ((string name, List<double> values) in native) bench.Row($"process: {name}, under trecr / native", "x", values.Order().Zip(under[name].Order(), (n, u) => u / n));
    }

    private static void Collect(string output, SortedDictionary<string, List<double>> into)
    {
        foreach (string line in output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] sides = line.Split(' ');
            if (!into.TryGetValue(sides[0], out List<double>? list)) into[sides[0]] = list = [];
            list.Add(double.Parse(sides[1], CultureInfo.InvariantCulture));
        }
    }

    /// <summary>Gaps that a running program reports, read on a thread of its own.</summary>
    private sealed class Gaps
    {
        private readonly object _changed = new();
        private readonly List<(double Ms, long AtUs)> _seen = [];
        private bool _ready;

        public Gaps(Process program)
        {
            StreamReader output = program.StandardOutput;
            new Thread(() =>
            {
                try
                {
                    while (output.ReadLine() is { } line) Take(line);
                }
                catch (Exception e) when (e is ObjectDisposedException or IOException) { } // the program was killed
            })
            { IsBackground = true }.Start();
        }

        private void Take(string line)
        {
            lock (_changed)
            {
                _ready |= line == "ready";
                if (Gap().Match(line) is { Success: true } m) _seen.Add((double.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture) / 1000, long.Parse(m.Groups[2].Value, CultureInfo.InvariantCulture)));
                Monitor.PulseAll(_changed);
            }
        }

        public void WaitReady() => Wait(() => _ready);

        /// <returns>unix time at which the program ran again, us</returns>
        public long WaitForGap()
        {
            Wait(() => _seen.Count > 0);
            lock (_changed) return _seen[0].AtUs;
        }

        /// <summary>Longest gap since the last call, ms; 3 where none was that long.</summary>
        public double TakeLongest()
        {
            lock (_changed)
            {
                double longest = _seen.Select(s => s.Ms).DefaultIfEmpty(3).Max();
                _seen.Clear();
                return longest;
            }
        }

        private void Wait(Func<bool> done)
        {
            long end = Environment.TickCount64 + 120_000;
            lock (_changed)
                while (!done())
                    if (end - Environment.TickCount64 is var left and > 0) Monitor.Wait(_changed, (int)left);
                    else throw new InvalidOperationException("the program said nothing for 120 s");
        }
    }
}
