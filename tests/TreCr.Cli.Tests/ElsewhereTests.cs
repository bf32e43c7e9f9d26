using NUnit.Framework;
using TreCr.Linux;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>Restart where programs and libraries are missing, under another host name, with fewer processors; and programs whose writes are not tracked.</summary>
[TestFixture(false), TestFixture(true)]
public sealed class ElsewhereTests(bool unprivileged)
{
    private Workplace _place = null!;
    private string _program = "", _library = "";

    [SetUp]
    public void Enter() => (_place, _program) = (new Workplace(unprivileged), "");

    [TearDown]
    public void Leave() => _place.Dispose();

    /// <summary>The counter, with a library of its own.</summary>
    private void Install()
    {
        string directory = $"{_place.Root}/app";
        Directory.CreateDirectory(directory);
        (_program, _library) = ($"{directory}/app", $"{directory}/libown.so");
        File.WriteAllText($"{directory}/own.c", "int trecr_test_own(void) { return 1; }\n");
        foreach (string[] words in (string[][])[["-shared", "-fPIC", "-o", _library, $"{directory}/own.c"],
            ["-O1", "-pthread", "-o", _program, Path.Combine(Repository.Root, "tests/TreCr.Cli.Tests/Programs/counter.c"), "-Wl,--no-as-needed", _library, $"-Wl,-rpath,{directory}"]])
        {
            using RunningProgram compiler = new("gcc", words, new Dictionary<string, string>());
            Assert.That(compiler.WaitForExit(Workplace.Limit), Is.Zero, compiler.Errors);
        }
    }

    private string[] StopAt(params string[] options)
    {
        using RunningProgram run = _place.StartCounter(30, options: options, program: _program.Length > 0 ? _program : null);
        _place.Checkpoint("--stop");
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(137), run.Errors);
        return run.Output;
    }

    /// <summary>Not for a line of the program, which may stand before its last step.</summary>
    private static void WaitUntilRestarted(RunningProgram restart) => Assert.That(() => restart.Errors, Does.Contain("trecr: restarted ").After((int)Workplace.Limit.TotalMilliseconds, 20));

    private void CheckWhole(IEnumerable<string> before, RunningProgram restart)
    {
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        string[] all = [.. before, .. restart.Output];
        Assert.That(all.Where(l => l.StartsWith("step ")).Select(l => int.Parse(l.Split(' ')[1])), Is.EqualTo(Enumerable.Range(0, 30)));
        Assert.That(all[^1], Is.EqualTo($"end {all[0]}"), "the first run's nonce and pid");
        Assert.That(_place.Starts, Is.EqualTo(1), "main() ran once");
    }

    [Test]
    public void WhatIsMissing_IsNamedAllAtOnce()
    {
        Install();
        StopAt();
        File.Delete(_program);
        File.WriteAllText(_library, "something else");
        (int code, _, string errors) = _place.Do("restart", "count");
        Assert.That(code, Is.EqualTo(7), errors);
        Assert.That(errors, Does.Contain($"finding: the program {_program} is gone").And.Contains($"finding: the file {_program} is gone").And.Contains($"finding: the file {_library}, which the program has mapped, was changed"));
    }

    [Test]
    public void BundledPrograms_RestartWhereTheyAreMissing_AgainAndAgain()
    {
        Install();
        List<string> output = [.. StopAt("--bundle")];
        File.Delete(_program);
        File.WriteAllText(_library, "something else");
        using (RunningProgram second = _place.Start("restart", "count", "--bundle"))
        {
            WaitUntilRestarted(second);
            Assert.That(File.ReadAllText($"/proc/{_place.Rank().GetProperty("host_pid").GetInt32()}/maps"), Does.Contain($"{_place.StorePath}/bundles/").And.Contains(_library));
            Assert.That(_place.Checkpoint("--stop"), Is.EqualTo("count.2"));
            second.WaitForExit(Workplace.Limit);
            output.AddRange(second.Output);
        }
        Directory.Delete($"{_place.StorePath}/bundles", true);
        _place.Release();
        using RunningProgram third = _place.Start("restart", "count");
        CheckWhole(output, third);
    }

    /// <summary>As long as a program has mapped it, and as long as a checkpoint names it: a bundle stays, however old. What nothing needs goes, but nothing that was just made.</summary>
    [Test]
    public void Gc_RemovesBundlesThatNothingNeeds()
    {
        Install();
        List<string> output = [.. StopAt("--bundle")];
        File.Delete(_program);
        string[] bundles;
        using (RunningProgram second = _place.Start("restart", "count"))
        {
            WaitUntilRestarted(second);
            bundles = Directory.GetDirectories($"{_place.StorePath}/bundles");
            Assert.That(bundles, Has.One.Items);
            foreach (string name in (string[])["0123", "4567"]) Age(_place.Other("mkdir", "-p", $"{_place.StorePath}/bundles/{name}/usr/bin"), name == "0123" ? $"{_place.StorePath}/bundles/{name}" : null);
            Age(null, bundles[0]);
            Gc("0123"); // the program has no checkpoint that names the other
            Assert.That(_place.Checkpoint("--stop"), Is.EqualTo("count.2"));
            second.WaitForExit(Workplace.Limit);
            output.AddRange(second.Output);
        }
        Gc(null);
        Assert.That(Directory.GetDirectories($"{_place.StorePath}/bundles"), Has.Length.EqualTo(2).And.Contains(bundles[0]));
        _place.Release();
        using RunningProgram third = _place.Start("restart", "count");
        CheckWhole(output, third);

        void Age(RunningProgram? made, string? directory)
        {
            if (made is not null) Assert.That(made.WaitForExit(Workplace.Limit), Is.Zero, made.Errors);
            if (directory is not null) Assert.That(_place.Other("touch", "-d", "yesterday", directory).WaitForExit(Workplace.Limit), Is.Zero);
        }

        void Gc(string? removed)
        {
            (int code, string[] lines, string errors) = _place.Do("gc", "--keep", "1");
            Assert.That(code, Is.Zero, errors);
            Assert.That(lines.Where(l => l.StartsWith("removed bundles/")), Is.EqualTo(removed is null ? Array.Empty<string>() : [$"removed bundles/{removed}"]));
        }
    }

    /// <summary>192 MiB are copied in the stop: with 16 MiB for copies the program waits for the store, which is said, and what is saved is whole.</summary>
    [Test]
    public void ExtraMemory_IsBounded_AndWaitingIsSaid()
    {
        string program = _place.CompileCounter("-DBLOCK_MIB=192");
        List<string> output = [];
        foreach (string[] limit in (string[][])[[], ["--max-extra-memory", "16M"]])
        {
            using RunningProgram run = _place.StartCounter(30, options: ["--no-track", .. limit], program: program);
            _place.Checkpoint("--stop");
            Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(137), run.Errors);
            Assert.That(run.Errors, limit.Length > 0 ? Does.Contain("for the store: too little memory for what was written (copies may take 8 MiB here: --max-extra-memory)") : Does.Not.Contain("too little memory"));
            output = [.. run.Output];
        }
        _place.Release();
        File.WriteAllText(_place.StartFile, "1");
        using RunningProgram restart = _place.Start("restart", "count", "--max-extra-memory", "32M");
        CheckWhole(output, restart);
    }

    /// <summary>What the engine may take beside the program's memory is too little (a limit of its own stands for a full machine): refused by name before anything is touched, and later it works.</summary>
    [Test]
    public void TooLittleMemory_IsRefused_AndTheProgramGoesOn()
    {
        using RunningProgram run = _place.StartCounter(30);
        _place.Checkpoint();
        int engine = Directory.GetDirectories("/proc").Select(d => int.TryParse(Path.GetFileName(d), out int pid) ? pid : 0).Single(IsEngine);
        long data = long.Parse(File.ReadLines($"/proc/{engine}/status").First(l => l.StartsWith("VmData:")).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1]) << 10;
        Limit($"{data + (24 << 20)}");
        (int code, _, string errors) = _place.Do("checkpoint", "count");
        Assert.That(code, Is.EqualTo(7), errors);
        Assert.That(errors, Does.Match(@"finding: [12]?\d MiB of memory may be taken here \(RLIMIT_DATA\), a checkpoint needs 32 MiB").And.Contains("TRECR-0203"));
        Limit("unlimited");
        _place.Checkpoint("--stop");
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(137), run.Errors);
        _place.Release();
        using RunningProgram restart = _place.Start("restart", "count");
        CheckWhole(run.Output, restart);

        bool IsEngine(int pid)
        {
            try { return pid > 0 && File.ReadAllText($"/proc/{pid}/cmdline") is var words && words.Contains("\0engine\0") && words.Contains(_place.StorePath); }
            catch (IOException) { return false; } // it ended
        }

        void Limit(string bytes)
        {
            using RunningProgram limit = _place.Other("/usr/bin/prlimit", "--pid", $"{engine}", $"--data={bytes}:"); // as the same user: this root may lack CAP_SYS_RESOURCE
            Assert.That(limit.WaitForExit(Workplace.Limit), Is.Zero, limit.Errors);
        }
    }

    /// <summary>A control group has room for the program and not for a copy of it: the program waits for the store, which is said, and nothing is killed for lack of memory.</summary>
    [Test]
    public void AControlGroupWithLittleMemory_BoundsTheCopies()
    {
        const string First = "/sys/fs/cgroup/memory", Second = "/sys/fs/cgroup";
        bool isFirst = File.Exists($"{First}/memory.limit_in_bytes");
        if (unprivileged || !isFirst && !(File.Exists($"{Second}/cgroup.subtree_control") && File.ReadAllText($"{Second}/cgroup.subtree_control").Contains("memory"))) Assert.Ignore("needs root and memory control groups");
        string groups = isFirst ? First : Second, group = $"{groups}/trecr-test-memory-{Environment.ProcessId}", limit = isFirst ? "memory.limit_in_bytes" : "memory.max", program = _place.CompileCounter("-DBLOCK_MIB=192");
        Directory.CreateDirectory(group);
        try
        {
            File.WriteAllText($"{group}/{limit}", $"{448 << 20}");
            _place.RunBehind("/bin/sh", "-c", $"echo $$ >{group}/cgroup.procs && exec \"$@\"", "sh");
            using RunningProgram run = _place.StartCounter(30, options: ["--no-track"], program: program);
            _place.Checkpoint("--stop");
            Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(137), run.Errors);
            Assert.That(run.Errors, Does.Match($"for the store: too little memory for what was written .copies may take [0-9]+ MiB here: [0-9]+ MiB are free, {limit} of a control group"));
            _place.Release();
            using RunningProgram restart = _place.Start("restart", "count");
            CheckWhole(run.Output, restart);
        }
        finally
        {
            foreach (string pid in File.ReadAllLines($"{group}/cgroup.procs")) try { File.WriteAllText($"{groups}/cgroup.procs", pid); } catch (IOException) { }
            Directory.Delete(group);
        }
    }

    [Test]
    public void WithoutTracking_NothingWatchesTheProgram_AndItRestarts()
    {
        static bool IsWatched(int pid) => File.ReadLines($"/proc/{pid}/smaps").Any(l => l.StartsWith("VmFlags:") && l.Contains(" uw"));
        List<string> output = [];
        foreach (bool tracked in (bool[])[true, false])
        {
            using RunningProgram run = _place.StartCounter(30, options: tracked ? [] : ["--no-track"]);
            _place.Checkpoint();
            Assert.That(IsWatched(_place.Rank().GetProperty("host_pid").GetInt32()), Is.EqualTo(tracked));
            _place.Checkpoint("--stop");
            run.WaitForExit(Workplace.Limit);
            output = [.. run.Output];
        }
        _place.Release();
        File.WriteAllText(_place.StartFile, "1");
        using RunningProgram restart = _place.Start("restart", "count");
        CheckWhole(output, restart);
    }

    [Test]
    public void AnotherHostName_IsNoted()
    {
        if (unprivileged) Assert.Ignore("only root can give a machine another name");
        string[] output = StopAt();
        _place.Release();
        _place.RunBehind("/usr/bin/unshare", "--uts", "/bin/sh", "-c", "echo elsewhere >/proc/sys/kernel/hostname && exec \"$@\"", "sh");
        using RunningProgram restart = _place.Start("restart", "count");
        CheckWhole(output, restart);
        Assert.That(restart.Errors, Does.Contain($"count.1 was taken on {Environment.MachineName}, this is elsewhere"));
    }

    [Test]
    public void FewerProcessors_AreThoseThatAreInBoth()
    {
        const string Sets = "/sys/fs/cgroup/cpuset";
        string set = $"{Sets}/trecr-test-{Environment.ProcessId}";
        if (unprivileged || Environment.ProcessorCount < 2 || !File.Exists($"{Sets}/cpuset.cpus")) Assert.Ignore("needs root, two processors and cpuset control groups (version 1)");
        string[] output = StopAt();
        Directory.CreateDirectory(set);
        try
        {
            File.WriteAllText($"{set}/cpuset.mems", File.ReadAllText($"{Sets}/cpuset.mems"));
            File.WriteAllText($"{set}/cpuset.cpus", "1");
            _place.RunBehind("/bin/sh", "-c", $"echo $$ >{set}/tasks && exec \"$@\"", "sh");
            using RunningProgram restart = _place.Start("restart", "count");
            WaitUntilRestarted(restart);
            _place.RunBehind();
            int pid = _place.Rank().GetProperty("host_pid").GetInt32();
            foreach (string task in Directory.GetDirectories($"/proc/{pid}/task")) Assert.That(File.ReadAllText($"{task}/status"), Does.Contain("Cpus_allowed_list:\t1\n"));
            _place.Release();
            CheckWhole(output, restart);
        }
        finally
        {
            // What was started there by itself (a coordinator) moves out first; it may make threads meanwhile.
            Assert.That(() =>
            {
                foreach (string pid in File.ReadAllLines($"{set}/tasks")) try { File.WriteAllText($"{Sets}/tasks", pid); } catch (IOException) { }
                try { Directory.Delete(set); } catch (IOException) { }
                return Directory.Exists(set);
            }, Is.False.After((int)Workplace.Limit.TotalMilliseconds, 20));
        }
    }
}
