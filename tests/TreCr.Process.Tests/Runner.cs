using System.Diagnostics;
using System.Reflection;

// Two fixtures side by side: each run has its own namespaces and directory, and mostly waits.
[assembly: LevelOfParallelism(2)]

namespace TreCr.Process.Tests;

/// <summary>Compiles the C programs once and runs scenarios of TreCr.Process.Host on them, as root or as an ordinary user without any capability.</summary>
[SetUpFixture]
public sealed class Runner
{
    private static string s_directory = "", s_init = "";

    /// <summary>Held while a program runs that takes its TCP ports again at a restore: another one that asks for any port could get one of them meanwhile.</summary>
    public static readonly Lock Ports = new();

    private static string Metadata(string key) => typeof(Runner).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().First(a => a.Key == key).Value!;

    [OneTimeSetUp]
    public void Prepare()
    {
        s_directory = Directory.CreateTempSubdirectory("trecr-process-tests-").FullName;
        File.SetUnixFileMode(s_directory, (UnixFileMode)0x1ed);
        string root = Metadata("Root");
        foreach (string source in Directory.EnumerateFiles(Path.Combine(root, "tests/programs/process"), "*.c"))
            Execute("gcc", ["-O1", "-w", "-o", Program(Path.GetFileNameWithoutExtension(source)), source, "-lpthread"], 300_000).Expect(0);
        Execute("gcc", ["-O1", "-w", "-static", "-o", Program("static"), Path.Combine(root, "tests/programs/process/counter.c"), "-lpthread"], 300_000).Expect(0);
        foreach (string script in Directory.EnumerateFiles(Path.Combine(root, "tests/programs/process")).Where(f => f.EndsWith(".sh") || f.EndsWith(".py") || f.EndsWith(".js")))
        {
            File.Copy(script, Program(Path.GetFileName(script)));
            File.SetUnixFileMode(Program(Path.GetFileName(script)), (UnixFileMode)0x1ed);
        }
        // A class and a script with the name of its source. -UsePerfData: a file that the machine maps and deletes at its end.
        string java = Path.Combine(root, "tests/programs/process/Runtime.java");
        if (Has("javac")) Execute("javac", ["-d", s_directory, java], 300_000).Expect(0);
        File.WriteAllText(Program("Runtime.java"), "#!/bin/sh\nexec java -XX:-UsePerfData -cp \"$(dirname \"$0\")\" Runtime\n");
        File.SetUnixFileMode(Program("Runtime.java"), (UnixFileMode)0x1ed);
        s_init = Path.Combine(s_directory, "trecr-init");
        // build.sh, which has just made it, names the checkout.
        if (Environment.GetEnvironmentVariable("TRECR_ROOT") is { Length: > 0 } built && File.Exists(Path.Combine(built, "out/trecr-init"))) File.Copy(Path.Combine(built, "out/trecr-init"), s_init);
        else
        {
            s_init = Path.Combine(s_directory, "init", "trecr-init");
            Execute("dotnet", ["publish", Path.Combine(root, "process/TreCr.Init"), "-c", "Release", "-o", Path.GetDirectoryName(s_init)!, "-v", "q"], 900_000).Expect(0);
            File.SetUnixFileMode(Path.GetDirectoryName(s_init)!, (UnixFileMode)0x1ed);
        }
    }

    [OneTimeTearDown]
    public void Clean() => Directory.Delete(s_directory, true);

    /// <summary>A file below tests/programs/process.</summary>
    public static string Source(string name) => Path.Combine(Metadata("Root"), "tests/programs/process", name);

    private static bool Has(string command) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(d => File.Exists(Path.Combine(d, command)));

    /// <summary>A program on CoreCLR.</summary>
    public static string[] Workload => [Metadata("Host"), "workload"];

    public static string Program(string name) => Path.Combine(s_directory, name);

    /// <summary>Runs one scenario.</summary>
    /// <param name="unprivileged">as user 65534 without capabilities, new privileges or bounding set</param>
    /// <param name="through">command of root that executes what its arguments say</param>
    public static Outcome Run(string scenario, string[] command, bool unprivileged = false, int seed = 1, int timeoutMs = 600_000, Dictionary<string, string>? environment = null, string[]? through = null)
    {
        if (unprivileged && Environment.UserName != "root") Assert.Ignore("needs root to become another user");
        if (command[0] == Program("Runtime.java") && !Has("javac")) Assert.Ignore("no Java compiler (javac) here");
        if (command[0] == Program("runtime.js") && !Has("node")) Assert.Ignore("no Node.js here");
        string[] user = unprivileged ? ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs", "--bounding-set", "-all"] : [];
        string[] all = [.. through ?? [], .. user, Metadata("Host"), "run", s_init, scenario, .. command];
        return Execute(all[0], all[1..], timeoutMs, seed, environment);
    }

    private static Outcome Execute(string file, string[] arguments, int timeoutMs, int seed = 1, Dictionary<string, string>? environment = null)
    {
        ProcessStartInfo start = new(file, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/tmp" };
        foreach (var (name, value) in environment ?? []) start.Environment[name] = value;
        start.Environment["SEED"] = seed.ToString();
        start.Environment["HOME"] = "/tmp/";
        start.Environment["DOTNET_EnableDiagnostics"] = "0"; // a socket and a FIFO for debuggers
        if (file == "dotnet") start.Environment.Remove("HOME");
        using System.Diagnostics.Process process = System.Diagnostics.Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(timeoutMs))
        {
            process.Kill();
            Assert.Fail($"{file} {string.Join(' ', arguments)}: no end within {timeoutMs} ms");
        }
        return new Outcome(process.ExitCode, output.Result, error.Result);
    }
}

/// <summary>How a run ended.</summary>
public sealed record Outcome(int ExitCode, string Output, string Error)
{
    public Outcome Expect(int exitCode)
    {
        Assert.That(ExitCode, Is.EqualTo(exitCode), () => $"output:\n{Output}\nerrors:\n{Error}");
        return this;
    }

    /// <summary>The program said ready and done with one nonce: it was not started over.</summary>
    public Outcome ExpectSameRun()
    {
        string[] nonces = [.. Output.Split('\n').Where(l => l.StartsWith("ready ") || l.StartsWith("done ")).Select(l => l[(l.IndexOf(' ') + 1)..])];
        Assert.That(nonces, Has.Length.EqualTo(2), () => Output);
        Assert.That(nonces[1], Is.EqualTo(nonces[0]));
        return this;
    }
}
