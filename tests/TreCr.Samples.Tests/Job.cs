using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>A place of its own for one job: store, runtime directory, start counter and hold file; the verbs that the tests use.</summary>
internal sealed class Job : IDisposable
{
    private const string Name = "job";
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);
    private static readonly string s_trecr = Path.Combine(Repository.Root, "out/trecr");
    private static readonly string[] s_parts = ["out/trecr", "out/trecr-init", "out/lib/libcuda.so.1", "out/delegator/trecr-delegator"];
    private readonly string _directory = Directory.CreateTempSubdirectory("trecr-samples-").FullName;
    private readonly Sample _sample;
    private readonly List<RunningProgram> _programs = [];

    public Job(Sample sample)
    {
        foreach (string part in s_parts)
            if (!File.Exists(Path.Combine(Repository.Root, part))) Assert.Ignore($"{part} was not built");
        _sample = sample;
        Directory.CreateDirectory(Path.Combine(_directory, "run"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private string Counter => Path.Combine(_directory, "starts");
    private string Hold => Path.Combine(_directory, "hold");

    /// <summary>How often the program began.</summary>
    public int Starts => int.Parse(File.ReadAllText(Counter));

    /// <summary><c>trecr run</c> of the sample.</summary>
    /// <param name="held">stops before its last unit of work until <see cref="Release"/></param>
    public RunningProgram Run(bool held) => Start(
        ["run", "--job", Name, "--device", "soft", "--", _sample.Path, .. _sample.Arguments],
        new Dictionary<string, string> { ["TRECR_SAMPLE_COUNTER"] = Counter, ["TRECR_SAMPLE_HOLD"] = held ? Hold : "" });

    public RunningProgram Restart(string id) => Start(["restart", id], new Dictionary<string, string>());

    /// <summary>Lets the program do its last unit of work.</summary>
    public void Release() => File.WriteAllText(Hold, "");

    /// <summary>Takes a checkpoint of the running job.</summary>
    /// <returns>its id</returns>
    public string Checkpoint(bool stop = false)
    {
        using RunningProgram checkpoint = Start(stop ? ["checkpoint", Name, "--stop"] : ["checkpoint", Name], new Dictionary<string, string>());
        int code = checkpoint.WaitForExit(Limit);
        Assert.That(code, Is.Zero, $"trecr checkpoint: {checkpoint.Errors}");
        return checkpoint.Output.Last().Trim();
    }

    /// <summary>Kills the program and its delegator, not the supervisor.</summary>
    public static void KillProgramAndDelegator(RunningProgram run, Sample sample)
    {
        string[] wanted = [sample.Name, "trecr-delegator"];
        int[] victims = [.. run.Descendants().Where(pid => File.ResolveLinkTarget($"/proc/{pid}/exe", false)?.FullName is { } exe && wanted.Contains(Path.GetFileName(exe)))];
        Assert.That(victims, Has.Length.GreaterThanOrEqualTo(2), "program and delegator below trecr run");
        foreach (int pid in victims)
        {
            using System.Diagnostics.Process p = System.Diagnostics.Process.GetProcessById(pid);
            p.Kill();
        }
    }

    public void Dispose()
    {
        foreach (RunningProgram p in _programs) p.Dispose();
        Directory.Delete(_directory, true);
    }

    private RunningProgram Start(string[] arguments, Dictionary<string, string> environment)
    {
        environment["TRECR_STORE"] = Path.Combine(_directory, "store");
        environment["XDG_RUNTIME_DIR"] = Path.Combine(_directory, "run");
        RunningProgram p = new(s_trecr, arguments, environment);
        _programs.Add(p);
        return p;
    }
}
