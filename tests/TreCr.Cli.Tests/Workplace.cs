using System.Text.Json;
using System.Text.RegularExpressions;
using NUnit.Framework;
using TreCr.Linux;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>A store, a runtime directory and a start counter of their own, and the built <c>out/trecr</c> that works in them.</summary>
internal sealed partial class Workplace : IDisposable
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);
    private static readonly Lock s_compiling = new();
    private readonly List<RunningProgram> _programs = [];
    private string[] _prefix;
    private bool _disposed;

    /// <param name="unprivileged">everything runs as user 65534 without any capability (testing.md)</param>
    public Workplace(bool unprivileged = false)
    {
        foreach (string part in (string[])["out/trecr", "out/trecr-init"])
            if (!File.Exists(Path.Combine(Repository.Root, part))) Assert.Ignore($"{part} was not built");
        Root = Directory.CreateTempSubdirectory("trecr-cli-").FullName;
        Directory.CreateDirectory($"{Root}/run", UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        _prefix = [];
        Trecr = Path.Combine(Repository.Root, "out/trecr");
        if (!unprivileged) return;
        if (Sys.EffectiveUserId() != 0) Assert.Ignore("only root can become user 65534");
        // The checkout may lie where that user cannot look: it gets copies.
        Directory.CreateDirectory($"{Root}/home");
        foreach (string part in (string[])["trecr", "trecr-init"]) File.Copy(Path.Combine(Repository.Root, "out", part), $"{Root}/home/{part}");
        File.Copy(Counter, $"{Root}/home/counter");
        Trecr = $"{Root}/home/trecr";
        Run("/bin/chown", "-R", "65534:65534", Root);
        File.SetUnixFileMode(Root, (UnixFileMode)0x1ED);
        _prefix = ["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs", "--bounding-set", "-all"];
    }

    public string Root { get; }
    public string Trecr { get; }
    public string StorePath => $"{Root}/store";
    public string Hold => $"{Root}/hold";
    public string StartFile => $"{Root}/starts";
    public int Starts => int.Parse(File.ReadAllText(StartFile));

    /// <summary>The test program; the copy of an unprivileged workplace where that is meant.</summary>
    public string CounterProgram => Trecr.StartsWith(Root) ? $"{Root}/home/counter" : Counter;

    /// <summary>Compiled once for all tests, which remove it at their end.</summary>
    public static string CounterPath => Path.Combine(Path.GetTempPath(), $"trecr-cli-counter-{Environment.ProcessId}");

    private static string Counter
    {
        get
        {
            string path = CounterPath;
            lock (s_compiling)
                if (!File.Exists(path)) Run("gcc", "-O1", "-pthread", "-o", path, Path.Combine(Repository.Root, "tests/TreCr.Cli.Tests/Programs/counter.c"));
            return path;
        }
    }

    private static void Run(string program, params string[] arguments)
    {
        using RunningProgram p = new(program, arguments, new Dictionary<string, string>());
        Assert.That(p.WaitForExit(Limit), Is.Zero, $"{program}: {p.Errors}");
    }

    /// <summary>Everything from here on runs behind these words, such as <c>nsenter …</c>.</summary>
    public void RunBehind(params string[] prefix) => _prefix = prefix;

    /// <summary>As <see cref="RunBehind"/>, but behind what makes it another user.</summary>
    public void RunInside(params string[] words) => _prefix = [.. _prefix, .. words];

    /// <summary>Another program than trecr, as the same user.</summary>
    public RunningProgram Other(params string[] words)
    {
        string[] all = [.. _prefix, .. words];
        RunningProgram p = new(all[0], all[1..], new Dictionary<string, string>());
        lock (_programs) _programs.Add(p);
        return p;
    }

    /// <summary>The counting program, compiled anew.</summary>
    public string CompileCounter(params string[] options)
    {
        string path = $"{Root}/counter";
        Run("gcc", ["-O1", "-pthread", .. options, "-o", path, Path.Combine(Repository.Root, "tests/TreCr.Cli.Tests/Programs/counter.c")]);
        return path;
    }

    /// <summary>Starts trecr.</summary>
    public RunningProgram Start(params string[] arguments) => Start([], arguments);

    public RunningProgram Start(Dictionary<string, string> environment, params string[] arguments)
    {
        environment.TryAdd("TRECR_STORE", StorePath);
        environment.TryAdd("XDG_RUNTIME_DIR", $"{Root}/run");
        environment.TryAdd("XDG_STATE_HOME", $"{Root}/state");
        environment.TryAdd("TRECR_SESSION", "");
        string[] words = [.. _prefix, Trecr, .. arguments];
        RunningProgram p = new(words[0], words[1..], environment);
        lock (_programs) _programs.Add(p);
        return p;
    }

    /// <summary>Starts trecr below a launcher (mpirun).</summary>
    public RunningProgram StartUnder(IEnumerable<string> launcher, Dictionary<string, string> environment, params string[] arguments)
    {
        string[] before = _prefix;
        _prefix = [.. before, .. launcher];
        try { return Start(environment, arguments); }
        finally { _prefix = before; }
    }

    /// <summary>Compiles a program of tests/TreCr.Cli.Tests/Programs.</summary>
    public string Compile(string name)
    {
        Run("gcc", "-O1", "-o", $"{Root}/{name}", Path.Combine(Repository.Root, $"tests/TreCr.Cli.Tests/Programs/{name}.c"));
        return $"{Root}/{name}";
    }

    /// <summary>Runs trecr to its end.</summary>
    public (int Code, string[] Output, string Errors) Do(params string[] arguments) => Do([], arguments);

    public (int Code, string[] Output, string Errors) Do(Dictionary<string, string> environment, params string[] arguments)
    {
        using RunningProgram p = Start(environment, arguments);
        int code = p.WaitForExit(Limit);
        return (code, p.Output, p.Errors);
    }

    /// <summary>The counting program under trecr run, as job "count"; waits until it has done a few steps.</summary>
    public RunningProgram StartCounter(int steps, bool held = true, Dictionary<string, string>? environment = null, int untilStep = 2, string[]? options = null, string? program = null)
    {
        RunningProgram run = Start(environment ?? [], ["run", "--job", "count", .. options ?? [], "--", program ?? CounterProgram, StartFile, $"{steps}", held ? Hold : "-"]);
        run.WaitForLine(l => l.StartsWith($"step {untilStep} "), Limit);
        return run;
    }

    public string Checkpoint(params string[] more)
    {
        (int code, string[] output, string errors) = Do(["checkpoint", "count", .. more]);
        Assert.That(code, Is.Zero, errors);
        return output[^1];
    }

    /// <summary>Damages all that the store holds, in place: an engine may have it mapped.</summary>
    public void DamagePacks()
    {
        foreach (string pack in Directory.GetFiles($"{StorePath}/packs", "*.pack"))
        {
            using FileStream file = new(pack, FileMode.Open, FileAccess.ReadWrite);
            byte[] bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            for (int at = 64; at < bytes.Length; at += 40) bytes[at] ^= 0x55;
            file.Position = 0;
            file.Write(bytes);
        }
    }

    public void Release() => File.WriteAllText(Hold, "");

    /// <summary>The counting program stands still before this step until <see cref="ContinueAt"/>: however long a command takes, it is not at its end by then.</summary>
    public void PauseAt(int step) => File.WriteAllText($"{Hold}.pause{step}", "");

    /// <summary>It goes on from this step.</summary>
    public void ContinueAt(int step) => File.Delete($"{Hold}.pause{step}");

    /// <summary>Facts of the running job.</summary>
    public JsonElement Rank()
    {
        (int code, string[] output, string errors) = Do("status", "count", "--json");
        Assert.That(code, Is.Zero, errors);
        return JsonDocument.Parse(output[0]).RootElement.GetProperty("jobs")[0].GetProperty("ranks")[0];
    }

    /// <summary>The supervisor's pid: trecr itself, where setpriv has become it by exec.</summary>
    public int Unwrap(RunningProgram run) => run.Id;

    /// <summary>Coordinators that served here and live.</summary>
    public List<int> Coordinators()
    {
        List<int> live = [];
        string log = $"{Root}/run/trecr/coordinator.log";
        if (!File.Exists(log)) return live;
        foreach (Match match in ServesLine().Matches(File.ReadAllText(log)))
        {
            int pid = int.Parse(match.Groups[1].Value);
            try { if (File.ReadAllText($"/proc/{pid}/cmdline").Contains("coordinator") && !File.ReadAllText($"/proc/{pid}/stat").Contains(") Z ")) live.Add(pid); }
            catch (IOException) { }
        }
        return live;
    }

    [GeneratedRegex(@"coordinator (\d+) serves")]
    private static partial Regex ServesLine();

    /// <summary>A namespace for users and mounts with a small tmpfs at ROOT/small, in which everything runs from here on; as any user. It goes with the last process in it.</summary>
    /// <returns>a process that holds it</returns>
    public RunningProgram EnterSmallDisk(string size)
    {
        Directory.CreateDirectory($"{Root}/small");
        RunningProgram holder = new("/usr/bin/unshare", ["--user", "--map-root-user", "--mount", "/bin/sh", "-c", "mount -t tmpfs -o size=$1,mode=700 tmpfs \"$0\" && echo ready && exec sleep 600", $"{Root}/small", size],
            new Dictionary<string, string>());
        lock (_programs) _programs.Add(holder);
        try { holder.WaitForLine(l => l == "ready", Limit); }
        catch (TimeoutException) { Assert.Ignore($"no user namespace with a mount here: {holder.Errors}"); }
        RunBehind("/usr/bin/nsenter", "-t", $"{holder.Id}", "-U", "-m", "--preserve-credentials");
        return holder;
    }

    public static void Kill(int pid)
    {
        Assert.That(pid, Is.GreaterThan(1), "0 and -1 mean many processes");
        Assert.That(Sys.Kill(pid, Sys.SIGKILL), Is.Zero, $"kill {pid}");
    }

    /// <summary>Waits for the end of a process by its pidfd.</summary>
    public static void WaitForEnd(int pid)
    {
        int pidfd = Sys.PidfdOpen(pid);
        if (pidfd < 0) return;
        Span<PollEntry> ready = [new PollEntry { Fd = pidfd, Events = Sys.POLLIN }];
        int n = Sys.Poll(ready, (int)Limit.TotalMilliseconds);
        Sys.Close(pidfd);
        Assert.That(n, Is.EqualTo(1), $"process {pid} has not ended");
    }

    /// <summary>An installation without wrapper and delegator: nothing of it is copied into the store.</summary>
    public string Bare()
    {
        string bare = $"{Root}/bare";
        Directory.CreateDirectory(bare);
        File.Copy(Path.Combine(Repository.Root, "out/trecr-init"), $"{bare}/trecr-init");
        return bare;
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        foreach (RunningProgram p in _programs) p.Dispose();
        foreach (int pid in Coordinators()) Sys.Kill(pid, Sys.SIGKILL);
        try { Directory.Delete(Root, true); }
        catch (IOException) { } // a mount of a test is still there
    }
}
