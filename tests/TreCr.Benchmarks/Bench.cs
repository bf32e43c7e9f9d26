using System.Diagnostics;

namespace TreCr.Benchmarks;

/// <summary>What every benchmark needs: programs, runs with a deadline, rows with the goal beside them (tests/goals.toml).</summary>
/// <param name="outDirectory">the build's out/</param>
internal sealed class Bench(string outDirectory)
{
    /// <summary>Runs of each side, alternately: 7, or as TRECR_BENCH_RUNS says, for a first look.</summary>
    public static readonly int Runs = int.TryParse(Environment.GetEnvironmentVariable("TRECR_BENCH_RUNS"), out int runs) ? runs : 7;

    private readonly Dictionary<string, double> _goals = ReadGoals(Path.Combine(outDirectory, "..", "tests", "goals.toml"));

    public string Trecr => Path.Combine(outDirectory, "trecr");

    /// <summary>A scratch directory of this run; the store of its jobs lies in it.</summary>
    public string Scratch { get; } = Directory.CreateTempSubdirectory("trecr-bench-").FullName;

    private string _store = "";
    private int _stores;

    /// <summary>Begins a store of its own and removes the one before, so that a job's first checkpoint finds no frames of an earlier job.</summary>
    public void NewStore()
    {
        if (Directory.Exists(_store)) Directory.Delete(_store, recursive: true);
        _store = Path.Combine(Scratch, $"store{++_stores}");
    }

    public void PrintMachine()
    {
        string kernel = File.ReadAllText("/proc/sys/kernel/osrelease").Trim();
        string commit = Run(30, "git", "-C", outDirectory, "rev-parse", "--short", "HEAD").Trim();
        string load = File.ReadAllText("/proc/loadavg").Split(' ')[0];
        Console.WriteLine($"load {load}, cores {Environment.ProcessorCount}, kernel {kernel}, commit {commit}, {Runs} runs each, alternately");
    }

    /// <summary>Compiles a C program of programs/.</summary>
    /// <returns>path of the binary</returns>
    public string Compile(string name, params string[] libraries)
    {
        string source = Path.Combine(AppContext.BaseDirectory, "programs", name + ".c"), binary = Path.Combine(Scratch, name);
        Run(60, "gcc", ["-O2", "-o", binary, source, "-ldl", "-lpthread", .. libraries]);
        return binary;
    }

    /// <summary>Compiles a CUDA program of programs/ as the samples are, from where its source lies.</summary>
    /// <returns>path of the binary</returns>
    public string CompileCuda(string name)
    {
        string root = Path.GetDirectoryName(outDirectory)!, binary = Path.Combine(Scratch, name);
        Run(120, Path.Combine(root, "samples", "compile.sh"), Path.Combine(root, "tests", "TreCr.Benchmarks", "programs", name + ".cu"), binary, Path.Combine(Scratch, "obj"));
        return binary;
    }

    /// <summary>Runs to the end.</summary>
    /// <returns>standard output</returns>
    /// <exception cref="InvalidOperationException">exit code not 0, or longer than the deadline</exception>
    public string Run(int deadlineSeconds, string program, params string[] arguments)
    {
        using Process process = Start(program, arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Finish(process, deadlineSeconds, program);
        return output.Result;
    }

    /// <summary>Starts a program with its output piped and the store in the scratch directory.</summary>
    public Process Start(string program, params string[] arguments) => Start(program, arguments, timing: false);

    /// <param name="timing">what its steps take comes on its standard error, which is piped too</param>
    public Process Start(string program, string[] arguments, bool timing)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardInput = true, RedirectStandardError = timing };
        if (_store.Length == 0) NewStore();
        start.Environment["TRECR_STORE"] = _store;
        if (timing) start.Environment["TRECR_TIMING"] = start.Environment["TRECR_SOFT_TIMING"] = "1";
        return Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
    }

    /// <summary>Waits for the end.</summary>
    public static void Finish(Process process, int deadlineSeconds, string name)
    {
        if (!process.WaitForExit(TimeSpan.FromSeconds(deadlineSeconds)))
        {
            process.Kill(entireProcessTree: true);
            throw new InvalidOperationException($"{name} did not end in {deadlineSeconds} s");
        }
        if (process.ExitCode != 0) throw new InvalidOperationException($"{name} ended with {process.ExitCode}");
    }

    /// <summary>One row: median, min and max, with the goal of that name where there is one.</summary>
    public void Row(string name, string unit, IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        string goal = _goals.TryGetValue(name, out double g) ? $"   goal {g:0.###} {unit}: {(sorted[sorted.Length / 2] <= g ? "reached" : "not reached")}" : "";
        Console.WriteLine($"{name,-44} {sorted[sorted.Length / 2],10:0.###} {unit,-5} (min {sorted[0]:0.###}, max {sorted[^1]:0.###}{(sorted.Length == Runs ? "" : $", of {sorted.Length}")}){goal}");
    }

    private static Dictionary<string, double> ReadGoals(string path)
    {
        Dictionary<string, double> goals = [];
        foreach (string line in File.ReadLines(path))
        {
            string[] sides = line.Split('#')[0].Split('=', 2, StringSplitOptions.TrimEntries);
            if (sides.Length == 2) goals[sides[0].Trim('"')] = double.Parse(sides[1], System.Globalization.CultureInfo.InvariantCulture);
        }
        return goals;
    }
}
