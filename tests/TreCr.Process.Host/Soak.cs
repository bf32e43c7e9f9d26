using System.Diagnostics;
using System.Text;

namespace TreCr.Process.Host;

/// <summary>
/// Long runs of the process engine: every program in every scenario of the list, as root and as an ordinary user; then random ones; then 200 cycles of single programs without growth.
/// <code>host soak INIT SOURCES SEED MINUTES</code>
/// </summary>
/// <param name="sources">directory of the programs: C is compiled, scripts are copied</param>
internal sealed class Soak(string init, string sources, int seed, double minutes)
{
    private const int RunMs = 400_000, CyclesMs = 1_800_000, MostText = 2000;

    /// <summary>Programs beside each other: they wait more than they compute. The same one does not run twice at a time, as two would want one terminal's number.</summary>
    private const int Together = 3;

    private static readonly string[] s_cycled = ["counter", "threads", "tree", "many", "pipeline.sh"];
    private static readonly string[] s_steps = ["go:3", "cycle:3", "fresh:1", "pre:3", "restorepre:2", "cycle:6", "go:1 fresh:1", "pre:1 cycle:1", "lazy:2 check", "lazypre:2", "lazy:1 cycle:1"];
    private static readonly (string Name, string Steps)[] s_each = [("plain", "work:500"), ("checkpoint", "go:1"), ("kill and restart", "cycle:1"), ("another namespace", "fresh:1"), ("three times", "cycle:3"), ("lazy", "lazy:1 check"), ("ten days ahead", "ahead fresh:1")];
    private static readonly string[] s_notHere = ["refuse", "objects", "Runtime", "server"]; // what is refused is not here, the others come by scripts
    private static readonly string[] s_large = ["pages", "writer"]; // much memory is missing when their engine is killed

    private readonly string _directory = Directory.CreateTempSubdirectory("trecr-soak-").FullName;

    public int Run()
    {
        File.SetUnixFileMode(_directory, (UnixFileMode)0x1ed);
        Dictionary<string, int> programs = Prepare();
        Console.WriteLine($"seed {seed}, {programs.Count} programs: {string.Join(' ', programs.Keys)}");
        int failed = 0, runs = 0;
        foreach ((string column, string steps) in s_each)
        {
            Stopwatch each = Stopwatch.StartNew();
            int before = failed;
            IEnumerable<(string Name, bool User)> all = ((bool[])[false, true]).SelectMany(user => programs.Keys.Select(name => (name, user)));
            Parallel.ForEach(all, new ParallelOptions { MaxDegreeOfParallelism = Together }, run =>
            {
                if (!Passes(programs, run.Name, steps, seed, run.User)) Interlocked.Increment(ref failed);
            });
            Console.WriteLine($"{column}: {programs.Count} programs, as root and as a user: {failed - before} failed, {each.Elapsed.TotalSeconds:0} s");
        }
        Random random = new(seed);
        SortedDictionary<string, int> count = [];
        Stopwatch watch = Stopwatch.StartNew();
        while (watch.Elapsed.TotalMinutes < minutes)
        {
            string name = programs.Keys.ElementAt(random.Next(programs.Count));
            string scenario = (random.Next(4) == 0 ? "ahead " : "") + string.Join(' ', Enumerable.Range(0, random.Next(1, 4)).Select(_ => s_steps[random.Next(s_steps.Length)]));
            bool user = random.Next(3) == 0;
            if (s_large.Contains(name) && !user && random.Next(2) == 0) scenario += " lazykill:3";
            int own = random.Next(1, 1_000_000);
            runs++;
            count[name] = count.GetValueOrDefault(name) + 1;
            if (!Passes(programs, name, scenario, own, user)) failed++;
        }
        Console.WriteLine($"{runs} random runs in {watch.Elapsed.TotalMinutes:0.0} min: {string.Join(", ", count.Select(c => $"{c.Key} {c.Value}"))}");
        int cycles = minutes < 30 ? Growth.LeastRounds : 200;
        foreach (string name in s_cycled.Where(programs.ContainsKey))
        {
            (int code, string text) = Execute(name, $"cycle:{cycles}", seed, unprivileged: false, CyclesMs);
            string growth = text.Split('\n').FirstOrDefault(l => l.StartsWith("host: growth")) ?? "";
            bool good = code == programs[name] && growth.Length > 0 && !growth.Contains("GREW");
            if (!good) failed++;
            Console.WriteLine($"{name}: {cycles} cycles {(good ? "ok" : "FAILED\n" + text)}; {growth}");
        }
        Console.WriteLine($"{failed} failed");
        Directory.Delete(_directory, true);
        return failed == 0 ? 0 : 1;
    }

    private bool Passes(Dictionary<string, int> programs, string name, string scenario, int runSeed, bool user)
    {
        (int code, string text) = Execute(name, scenario, runSeed, user);
        if (code == programs[name] && text.Contains("done ")) return true;
        Console.WriteLine($"FAILED: SEED={runSeed} {(user ? "user" : "root")} {name} \"{scenario}\": exit code {code}\n{(text.Length > MostText ? text[..MostText] + "..." : text)}");
        return false;
    }

    /// <returns>name and exit code of each program</returns>
    private Dictionary<string, int> Prepare()
    {
        Dictionary<string, int> programs = [];
        foreach (string source in Directory.EnumerateFiles(sources).Order(StringComparer.Ordinal))
        {
            string name = Path.GetFileName(source), stem = Path.GetFileNameWithoutExtension(source);
            if (s_notHere.Contains(stem)) continue;
            if (name.EndsWith(".c")) { if (Execute("gcc", ["-O1", "-w", "-o", Path.Combine(_directory, stem), Path.GetFullPath(source), "-lpthread"], 60_000).Code == 0) programs[stem] = stem == "counter" ? 7 : 0; }
            else if (name.EndsWith(".sh") || name.EndsWith(".py") || name.EndsWith(".js"))
            {
                File.Copy(source, Path.Combine(_directory, name));
                File.SetUnixFileMode(Path.Combine(_directory, name), (UnixFileMode)0x1ed);
                programs[name] = 0;
            }
        }
        Script("workload", $"exec {Environment.ProcessPath} workload");
        if (Execute("javac", ["-d", _directory, Path.Combine(sources, "Runtime.java")], 120_000).Code == 0) Script("Runtime.java", $"exec java -XX:-UsePerfData -cp {_directory} Runtime");
        Script("server", $"exec node {Path.GetFullPath(Path.Combine(sources, "server.js"))}");
        string objects = Path.Combine(_directory, "objects.source");
        File.Copy(Path.Combine(sources, "objects.py"), objects);
        foreach (string kind in Execute("python3", [objects], 60_000).Text.Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries)) Script("objects-" + kind, $"exec python3 {objects} {kind}");
        return programs;

        void Script(string name, string line)
        {
            File.WriteAllText(Path.Combine(_directory, name), $"#!/bin/sh\n{line}\n");
            File.SetUnixFileMode(Path.Combine(_directory, name), (UnixFileMode)0x1ed);
            programs[name] = 0;
        }
    }

    private (int Code, string Text) Execute(string name, string scenario, int runSeed, bool unprivileged, int timeoutMs = RunMs)
    {
        string[] command = [Environment.ProcessPath!, "run", Path.GetFullPath(init), scenario, Path.Combine(_directory, name)];
        if (unprivileged) command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs", "--bounding-set", "-all", .. command];
        return Execute(command[0], command[1..], timeoutMs, runSeed);
    }

    private static (int Code, string Text) Execute(string file, string[] arguments, int timeoutMs, int runSeed = 1)
    {
        ProcessStartInfo start = new(file, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/tmp" };
        start.Environment["SEED"] = runSeed.ToString();
        start.Environment["HOME"] = "/tmp/";
        start.Environment["DOTNET_EnableDiagnostics"] = "0"; // a socket and a FIFO for debuggers
        System.Diagnostics.Process process;
        try { process = System.Diagnostics.Process.Start(start)!; }
        catch (System.ComponentModel.Win32Exception e) { return (127, e.Message); }
        using System.Diagnostics.Process _ = process;
        StringBuilder text = new();
        Task output = Task.Run(async () => { while (await process.StandardOutput.ReadLineAsync() is { } l) lock (text) text.AppendLine(l); });
        Task errors = Task.Run(async () => { while (await process.StandardError.ReadLineAsync() is { } l) lock (text) text.AppendLine(l); });
        if (!process.WaitForExit(timeoutMs)) { process.Kill(true); return (-1, $"no end within {timeoutMs} ms\n{text}"); }
        Task.WaitAll([output, errors], 5000);
        lock (text) return (process.ExitCode, text.ToString());
    }
}
