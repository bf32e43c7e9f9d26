using System.Text.Json;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>
/// A job that is hit by faults. After each: the program runs on, or its last good checkpoint restarts; the store is whole; no process, socket, memfd,
/// ptrace stop or temporary file is left (testing.md, "Faults").
/// </summary>
internal sealed partial class FaultSweep : IDisposable
{
    private static readonly TimeSpan s_end = TimeSpan.FromSeconds(90);
    private static readonly string[] s_coordinatorFiles = ["coordinator.lock", "coordinator.log", "coordinator.sock"];
    private readonly Sample _sample;
    private readonly Job _job;
    private readonly List<string> _output = [];
    private readonly HashSet<int> _seen = [];
    private RunningProgram _run;
    private string _good;
    private bool _supervisorKilled;

    /// <summary>Starts the sample and takes a good checkpoint.</summary>
    public FaultSweep(Sample sample)
    {
        _sample = sample;
        _job = new Job(sample) { WithFaults = true };
        try
        {
            _run = _job.Run(held: true);
            _run.WaitForLine(l => Sample.Unit(l) > 0, Job.Limit);
            _good = _job.Checkpoint();
            Assert.That(File.ReadAllText($"/proc/{Job.HostPid(_job.Rank())}/environ"), Does.Not.Contain("TRECR_FAULT"), "environment of the program");
        }
        catch
        {
            _job.Dispose();
            throw;
        }
    }

    /// <summary>One line per fault: what it did.</summary>
    public List<string> Report { get; } = [];

    [GeneratedRegex(@"^trecr: .*\(TRECR-\d{4}\)", RegexOptions.Multiline)]
    private static partial Regex ErrorLine();

    /// <summary>A checkpoint with this fault; the program must run on as before.</summary>
    /// <returns>false: the point was not reached n times</returns>
    public bool Checkpoint(FaultCase fault)
    {
        JsonElement rank = Note();
        int program = Job.HostPid(rank);
        string[] before = Descriptors(program);
        (int code, bool hit) = Fail(fault);
        if (fault.EndsTheProgram && hit)
        {
            _supervisorKilled |= fault.Role == "coordinator" || fault.Role == "supervisor" && fault.Point.StartsWith("Store");
            return true;
        }
        Assert.That(ThreadsThatAreStopped(program), Is.Empty, $"{fault}: ptrace stops");
        _good = _job.Checkpoint();
        Note();
        Assert.That(Descriptors(program), Is.EqualTo(before), $"{fault}: descriptors of the program");
        if (hit && fault.IsHarmless) Assert.That(code, Is.Zero, $"{fault}: checkpoint");
        return hit;
    }

    private (int Code, bool Hit) Fail(FaultCase fault)
    {
        Arm(fault);
        (int code, _, string errors) = _job.Do("checkpoint", "job");
        bool hit = Disarm(fault);
        Report.Add($"{fault}: {(hit ? "hit" : "not reached")}, checkpoint ended with {code} {errors.Split('\n')[0]}");
        if (!hit || fault.IsHarmless) Assert.That(code, Is.Zero, $"{fault}: {errors}");
        else if (!fault.IsAfterCommit) Assert.That(code, Is.InRange(1, 10), $"{fault}: checkpoint");
        if (code != 0) Assert.That(errors, Does.Match(ErrorLine()), $"{fault}");
        return (code, hit);
    }

    /// <summary>The next start of the program need not wait.</summary>
    public void Release() => _job.Release();

    /// <summary>Lets the program do the rest: right result, one start, one nonce.</summary>
    public void Finish()
    {
        _job.Release();
        int code = _run.WaitForExit(Job.Limit);
        Assert.That(code, Is.Zero, _run.Errors);
        SampleCheck.Whole(_sample, [.. _output, .. _run.Output], _job);
        NothingLeft("end");
    }

    /// <summary>After a fault that ended the program or makes its calls fail: the last good checkpoint restarts.</summary>
    public void RestartAfter(FaultCase fault)
    {
        _job.Release();
        int code = _run.WaitForExit(s_end);
        Assert.That(code, Is.Not.Zero, $"{fault}: trecr run");
        Restart(fault.ToString());
    }

    /// <summary>Kills init: the kernel ends the program, and everything else of the job ends itself.</summary>
    public void KillInit()
    {
        int init = Note().GetProperty("init_pid").GetInt32();
        using (System.Diagnostics.Process p = System.Diagnostics.Process.GetProcessById(init)) p.Kill();
        Assert.That(_run.WaitForExit(s_end), Is.EqualTo(125), _run.Errors);
        Assert.That(_run.Errors, Does.Contain("TRECR-0110"));
        NothingLeft("init");
    }

    /// <summary>Kills the supervisor.</summary>
    public void KillSupervisor()
    {
        Note();
        using (System.Diagnostics.Process p = System.Diagnostics.Process.GetProcessById(_run.Id)) p.Kill();
        Assert.That(_run.WaitForExit(s_end), Is.EqualTo(128 + 9), _run.Errors);
        NothingLeft("supervisor");
    }

    /// <summary>Kills program and delegator.</summary>
    public void Kill()
    {
        Note();
        Job.KillProgramAndDelegator(_run, _sample);
        Assert.That(_run.WaitForExit(s_end), Is.EqualTo(128 + 9));
        NothingLeft("kill");
    }

    /// <summary>A restart with this fault must fail and leave nothing behind.</summary>
    /// <returns>false: the point was not reached n times; the program ran to its end</returns>
    public bool FailRestart(FaultCase fault)
    {
        Arm(fault);
        _job.Release(); // where the restart succeeds after all, it must not wait
        RunningProgram restart = _job.Restart(_good);
        int code = restart.WaitForExit(Job.Limit);
        bool hit = Disarm(fault);
        Report.Add($"{fault}: {(hit ? "hit" : "not reached")}, restart ended with {code} {restart.Errors.Split('\n')[0]}");
        if (hit && !fault.IsHarmless)
        {
            Assert.That(code, Is.EqualTo(1), $"{fault}: {restart.Errors}"); // RestoreFailed
            Assert.That(restart.Errors, Does.Match(ErrorLine()));
        }
        else Assert.That(code, Is.Zero, $"{fault}: {restart.Errors}");
        NothingLeft(fault.ToString());
        return hit;
    }

    /// <summary>Restarts from the last good checkpoint and lets the program do the rest.</summary>
    public void Restart(string after)
    {
        NothingLeft(after);
        _output.AddRange(_run.Output);
        _run = _job.Restart(_good);
        Finish();
    }

    public void Dispose() => _job.Dispose();

    private void Arm(FaultCase fault)
    {
        foreach (string old in Directory.GetFiles(Path.GetDirectoryName(_job.FaultFile)!, "fault*")) File.Delete(old);
        File.WriteAllText(_job.FaultFile + "-", fault.Text);
        File.Move(_job.FaultFile + "-", _job.FaultFile);
    }

    private bool Disarm(FaultCase fault)
    {
        File.Delete(_job.FaultFile);
        return File.Exists($"{_job.FaultFile}.{fault.Role}");
    }

    /// <summary>Remembers the processes of the job, whose end is waited for later.</summary>
    private JsonElement Note()
    {
        JsonElement rank = _job.Rank();
        foreach (string name in (string[])["supervisor_pid", "host_pid", "init_pid", "engine_pid"])
            if (rank.GetProperty(name).GetInt32() is > 0 and var pid) _seen.Add(pid);
        _seen.UnionWith(_run.Descendants());
        foreach (int pid in _job.Processes(coordinator: true)) _seen.Remove(pid);
        foreach (int pid in _job.Processes(coordinator: false)) _seen.Add(pid);
        return rank;
    }

    /// <summary>Nothing of the job is left but its store and a coordinator that waits for the next.</summary>
    private void NothingLeft(string after)
    {
        foreach (int pid in _seen.Concat(_job.Processes(coordinator: false)))
            Assert.That(Job.WaitForEnd(pid, s_end), Is.True, $"{after}: process {pid} is left");
        _seen.Clear();
        Assert.That(_job.Processes(coordinator: false), Is.Empty, $"{after}: processes left");
        (int code, _, string errors) = _job.Do("cleanup");
        Assert.That(code, Is.Zero, errors);
        Assert.That(Directory.GetFiles(_job.RunPath + "/trecr").Select(Path.GetFileName).Except(s_coordinatorFiles), Is.Empty, $"{after}: files in the runtime directory");
        (code, _, errors) = _job.Do("gc");
        Assert.That(code, Is.Zero, errors);
        Assert.That(Directory.GetFiles(_job.StorePath, "*", SearchOption.AllDirectories).Where(IsLeftover), Is.Empty, $"{after}: temporary files");
        (code, _, errors) = _job.Do("verify");
        Assert.That(code, Is.Zero, $"{after}: verify: {errors}");
        foreach (int coordinator in _job.Processes(coordinator: true))
            Assert.That(Descriptors(coordinator).Where(d => d.Contains("memfd")), Is.Empty, $"{after}: memory files of the coordinator");
    }

    /// <summary>
    /// Temporary files, and notes of store sessions that nobody will end. gc removes the note of a session that was killed while it was written after a
    /// minute (another host may be writing it), and finished snapshots whose supervisor was killed after a day (their checkpoint may still be committed).
    /// </summary>
    private bool IsLeftover(string path)
    {
        if (!path.StartsWith(_job.StorePath + "/sessions/")) return Path.GetFileName(path).StartsWith(".tmp");
        return !Path.GetFileName(path).StartsWith(".tmp") && !_supervisorKilled;
    }

    private static string[] Descriptors(int pid)
    {
        List<string> links = [];
        try
        {
            foreach (string fd in Directory.GetFiles($"/proc/{pid}/fd"))
                if (new FileInfo(fd).LinkTarget is { } link) links.Add($"{Path.GetFileName(fd)} {link}");
        }
        catch (DirectoryNotFoundException) { } // a coordinator that nobody needs any more
        return [.. links.Order(StringComparer.Ordinal)];
    }

    private static List<string> ThreadsThatAreStopped(int pid) =>
        [.. Directory.GetDirectories($"/proc/{pid}/task").Where(t => Status(t).Any(l => l.StartsWith("State:\tt") || l.StartsWith("State:\tT") || l.StartsWith("TracerPid:") && l != "TracerPid:\t0"))];

    private static string[] Status(string task)
    {
        try { return File.ReadAllLines(task + "/status"); }
        catch (IOException) { return []; } // the thread has ended
    }
}
