using System.Diagnostics;
using System.Text.Json;
using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>A place of its own for one job: store, runtime directory, start counter and hold file; the verbs that the tests use.</summary>
internal sealed class Job : IDisposable
{
    private const string Name = "job";
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);
    private static readonly string[] s_parts = ["out/trecr", "out/trecr-init", "out/lib/libcuda.so.1", "out/delegator/trecr-delegator"];
    private readonly string _directory;
    private readonly Sample _sample;
    private readonly string[] _prefix = [];
    private readonly List<RunningProgram> _programs = [];

    /// <param name="unprivileged">everything runs as user 65534 without any capability (testing.md)</param>
    public Job(Sample sample, bool unprivileged = false)
    {
        foreach (string part in s_parts)
            if (!File.Exists(Path.Combine(Repository.Root, part))) Assert.Ignore($"{part} was not built");
        _sample = sample;
        _directory = Directory.CreateTempSubdirectory("trecr-samples-").FullName;
        Home = Path.Combine(Repository.Root, "out");
        SamplePath = sample.Path;
        Directory.CreateDirectory(Path.Combine(_directory, "run"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (!unprivileged) return;
        if (System.Environment.UserName != "root") Assert.Ignore("only root can become user 65534");
        // The checkout may lie where that user cannot look: it gets a copy.
        Home = Path.Combine(_directory, "home");
        Directory.CreateDirectory(Home);
        SamplePath = Path.Combine(Home, sample.Name);
        Execute("/bin/cp", ["-a", .. new[] { "trecr", "trecr-init", "lib", "delegator" }.Select(p => Path.Combine(Repository.Root, "out", p)), sample.Path, Home]);
        Execute("/bin/chown", "-R", "65534:65534", _directory);
        File.SetUnixFileMode(_directory, (UnixFileMode)0x1ED);
        _prefix = ["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs", "--bounding-set", "-all"];
    }

    /// <summary>Where trecr is installed.</summary>
    public string Home { get; }

    /// <summary>The program that is run.</summary>
    public string SamplePath { get; }

    /// <summary>With this, processes of the job fail where <see cref="FaultFile"/> says, once it exists.</summary>
    public bool WithFaults { get; init; }

    /// <summary>Set for everything that is started from now on.</summary>
    public Dictionary<string, string> Environment { get; } = [];

    public string FaultFile => Path.Combine(_directory, "fault");
    public string StorePath => Path.Combine(_directory, "store");
    public string RunPath => Path.Combine(_directory, "run");
    private string Counter => Path.Combine(_directory, "starts");
    private string Hold => Path.Combine(_directory, "hold");

    /// <summary>How often the program began.</summary>
    public int Starts => int.Parse(File.ReadAllText(Counter));

    /// <summary><c>trecr run</c> of the sample.</summary>
    /// <param name="held">stops before its last unit of work until <see cref="Release"/></param>
    /// <param name="device">soft or cuda</param>
    /// <param name="options">further ones of <c>trecr run</c></param>
    public RunningProgram Run(bool held, string device = "soft", params string[] options) => Start(
        ["run", "--job", Name, "--device", device, .. options, "--", SamplePath, .. _sample.Arguments],
        new Dictionary<string, string> { ["TRECR_SAMPLE_COUNTER"] = Counter, ["TRECR_SAMPLE_HOLD"] = held ? Hold : "" });

    public RunningProgram Restart(string id, params string[] options) => Start(["restart", id, .. options], []);

    /// <summary>Lets the program do its last unit of work.</summary>
    public void Release() => File.WriteAllText(Hold, "");

    /// <summary>Takes a checkpoint of the running job.</summary>
    /// <returns>its id</returns>
    public string Checkpoint(bool stop = false)
    {
        (int code, string[] output, string errors) = Do(stop ? ["checkpoint", Name, "--stop"] : ["checkpoint", Name]);
        Assert.That(code, Is.Zero, $"trecr checkpoint: {errors}");
        return output[^1].Trim();
    }

    /// <summary>Runs a verb to its end.</summary>
    public (int Code, string[] Output, string Errors) Do(params string[] arguments)
    {
        using RunningProgram p = Start(arguments, []);
        int code = p.WaitForExit(Limit);
        return (code, p.Output, p.Errors);
    }

    /// <summary>What <c>trecr status</c> says of the running job's rank.</summary>
    public JsonElement Rank()
    {
        (int code, string[] output, string errors) = Do("status", Name, "--json");
        Assert.That(code, Is.Zero, errors);
        return JsonDocument.Parse(output[0]).RootElement.GetProperty("jobs")[0].GetProperty("ranks")[0];
    }

    /// <summary>Waits until a restarted job can be asked: it has said so, and its coordinator knows it.</summary>
    public void WaitUntilRegistered(RunningProgram restart)
    {
        long end = System.Environment.TickCount64 + (long)Limit.TotalMilliseconds;
        while (Do("status", Name).Code != 0) // each asks the coordinator, which is the event's only source
            Assert.That(System.Environment.TickCount64, Is.LessThan(end), restart.Errors);
    }

    /// <summary>Pid of the program, as the tests see it.</summary>
    public static int HostPid(JsonElement rank) => rank.GetProperty("host_pid").GetInt32();

    /// <summary>Processes of the job that live, found by their environment; zombies and this process's own commands are not among them.</summary>
    /// <param name="coordinator">the coordinator too, which may wait a while for the next job</param>
    public List<int> Processes(bool coordinator)
    {
        List<int> found = [];
        foreach (string directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), out int pid)) continue;
            try
            {
                if (!File.ReadAllText($"{directory}/environ").Contains(_directory, StringComparison.Ordinal)) continue;
                string stat = File.ReadAllText($"{directory}/stat");
                if (stat[(stat.LastIndexOf(')') + 2)..].StartsWith('Z')) continue;
                if (!coordinator && File.ReadAllText($"{directory}/cmdline").Split('\0') is [_, "coordinator", ..]) continue;
                found.Add(pid);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { /* has ended */ }
        }
        return found;
    }

    /// <summary>Waits for the end of a process that need not be ours.</summary>
    public static bool WaitForEnd(int pid, TimeSpan limit)
    {
        try
        {
            using Process p = Process.GetProcessById(pid);
            return p.WaitForExit(limit);
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException) { return true; }
    }

    /// <summary>Runs the sample until it prints a line, takes a checkpoint, kills program and delegator, and restarts: the program has begun once and ends with its nonce.</summary>
    /// <returns>both parts, ended</returns>
    public (RunningProgram Before, RunningProgram After) CheckpointKillRestart(string line)
    {
        RunningProgram run = Run(held: true);
        run.WaitForLine(l => l == line, Limit);
        string id = Checkpoint();
        KillProgramAndDelegator(run, _sample);
        run.WaitForExit(Limit);
        Release();
        RunningProgram restart = Restart(id);
        int code = restart.WaitForExit(Limit);
        Assert.That(code, Is.Zero, restart.Errors + string.Join('\n', restart.Output));
        Assert.That(Sample.MarkOf(restart.Output, "end")?.Nonce, Is.Not.Null.And.EqualTo(Sample.MarkOf(run.Output, "begin")?.Nonce));
        Assert.That(Starts, Is.EqualTo(1));
        return (run, restart);
    }

    /// <summary>Waits for the first unit, takes checkpoints, kills the program, and restarts it from the last one; it ends well.</summary>
    public RunningProgram KilledAndRestarted(RunningProgram run, int checkpoints)
    {
        run.WaitForLine(l => Sample.Unit(l) > 0, Limit);
        string id = "";
        for (int n = 0; n < checkpoints; n++) id = Checkpoint();
        run.Kill();
        Release();
        RunningProgram restart = Restart(id);
        Assert.That(restart.WaitForExit(Limit), Is.Zero, restart.Errors);
        return restart;
    }

    /// <summary>Kills the program and its delegator, not the supervisor.</summary>
    public static void KillProgramAndDelegator(RunningProgram run, Sample sample)
    {
        string[] wanted = [sample.Name, "trecr-delegator"];
        int[] victims = [.. run.Descendants().Where(pid => Executable(pid) is { } exe && wanted.Contains(Path.GetFileName(exe)))];
        Assert.That(victims, Has.Length.GreaterThanOrEqualTo(2), "program and delegator below trecr run");
        foreach (int pid in victims) Kill(pid);
    }

    private static string? Executable(int pid)
    {
        try { return File.ResolveLinkTarget($"/proc/{pid}/exe", false)?.FullName; }
        catch (IOException) { return null; } // has ended
    }

    public void Dispose()
    {
        foreach (RunningProgram p in _programs) p.Dispose();
        try
        {
            // By the environment that only this job has. Until they are gone they may write into the directory.
            Assert.That(() =>
            {
                List<int> left = Processes(coordinator: true);
                foreach (int pid in left) Kill(pid);
                return left;
            }, Is.Empty.After((int)Limit.TotalMilliseconds, 20), "processes left");
        }
        finally { Directory.Delete(_directory, true); }
    }

    private static void Kill(int pid)
    {
        try
        {
            using Process p = Process.GetProcessById(pid);
            p.Kill();
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException) { /* has ended */ }
    }

    private static void Execute(string path, params IEnumerable<string> arguments)
    {
        using RunningProgram p = new(path, arguments, new Dictionary<string, string>());
        Assert.That(p.WaitForExit(Limit), Is.Zero, $"{path}: {p.Errors}");
    }

    private RunningProgram Start(string[] arguments, Dictionary<string, string> environment)
    {
        environment["TRECR_STORE"] = StorePath;
        environment["XDG_RUNTIME_DIR"] = RunPath;
        foreach ((string name, string value) in Environment) environment[name] = value;
        if (WithFaults) environment["TRECR_FAULT"] = "@" + FaultFile;
        string[] words = [.. _prefix, Path.Combine(Home, "trecr"), .. arguments];
        RunningProgram p = new(words[0], words[1..], environment);
        _programs.Add(p);
        return p;
    }
}
