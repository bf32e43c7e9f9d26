using System.Text.Json;
using NUnit.Framework;
using TreCr.Linux;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>Options of run and restart that are about checkpoints: by the clock, within a limit, on other processors.</summary>
[TestFixture]
public sealed class KeepingTests
{
    private Workplace _place = null!;

    [SetUp]
    public void SetUp() => _place = new Workplace();

    [TearDown]
    public void TearDown() => _place.Dispose();

    private string[] Listed(string job) => [.. JsonDocument.Parse(_place.Do("list", job, "--json").Output[0]).RootElement.GetProperty("checkpoints").EnumerateArray().Select(c => c.GetProperty("checkpoint_id").GetString()!)];

    [Test]
    public void Interval_TakesCheckpoints_AndKeepsThreeOfThisJob()
    {
        // Four of another job: they are not touched.
        using (RunningProgram other = _place.Start("run", "--job", "other", "--", _place.CounterProgram, $"{_place.Root}/others", "1000", "-"))
        {
            other.WaitForLine(l => l.StartsWith("step 1 "), Workplace.Limit);
            for (int i = 0; i < 4; i++) Assert.That(_place.Do("checkpoint", "other").Code, Is.Zero);
            Assert.That(_place.Do("stop", "other").Code, Is.Zero);
        }
        using RunningProgram run = _place.StartCounter(60, options: ["--interval", "1"]);
        long end = Environment.TickCount64 + (long)Workplace.Limit.TotalMilliseconds;
        // Not for count.4 itself: it may have come and gone between two looks.
        while (Listed("count") is var now && (now.Length is 0 or > 3 || now.Max(id => int.Parse(id["count.".Length..])) < 4)) Assert.That(Environment.TickCount64, Is.LessThan(end), run.Errors);
        _place.Release();
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7), run.Errors);
        Assert.That(Listed("other"), Has.Length.EqualTo(4));
        Assert.That(_place.Do("verify").Code, Is.Zero);
        using RunningProgram restart = _place.Start("restart", "count");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        Assert.That(_place.Starts, Is.EqualTo(1));
    }

    [Test]
    public void StoreLimit_RefusesTheNextCheckpoint_AndTheProgramRunsOn()
    {
        using RunningProgram run = _place.StartCounter(50, options: ["--store-limit", "64K"]);
        Assert.That(_place.Checkpoint(), Is.EqualTo("count.1"));
        (int code, _, string errors) = _place.Do("checkpoint", "count");
        Assert.That(code, Is.EqualTo(6), errors);
        Assert.That(errors, Does.Match(@"^trecr: no checkpoint is taken: the store .* its limit is 64\.0 KiB \(--store-limit\); .*\(TRECR-0404\)$"));
        _place.Release();
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7), run.Errors);
        Assert.That(_place.Do("verify", "count.1").Code, Is.Zero);
    }

    [Test]
    public void Cpus_AreThoseOfTheList()
    {
        using RunningProgram run = _place.StartCounter(50);
        _place.Checkpoint("--stop");
        run.WaitForExit(Workplace.Limit);
        Assert.That(_place.Do("restart", "count", "--cpus", "3-1").Code, Is.EqualTo(2));
        (int code, _, string errors) = _place.Do("restart", "count", "--cpus", "8000");
        Assert.That(code, Is.EqualTo(7), errors);
        Assert.That(errors, Does.Contain("--cpus 8000").And.Contains("TRECR-0307"));
        using RunningProgram restart = _place.Start("restart", "count", "--cpus", "0");
        Assert.That(() => restart.Errors, Does.Contain("trecr: restarted ").After((int)Workplace.Limit.TotalMilliseconds, 20)); // it may stand before its last step
        int pid = _place.Rank().GetProperty("host_pid").GetInt32();
        foreach (string task in Directory.GetDirectories($"/proc/{pid}/task")) Assert.That(File.ReadAllText($"{task}/status"), Does.Contain("Cpus_allowed_list:\t0\n"));
        _place.Release();
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
    }

    /// <summary>The job goes on in another directory, with its data elsewhere and another value of a variable.</summary>
    [Test]
    public void EnvironmentDirectoryAndPaths_AreAsTheRestartSays()
    {
        string before = $"{_place.Root}/before", after = $"{_place.Root}/after";
        Directory.CreateDirectory($"{before}/data");
        using RunningProgram run = _place.Start(new Dictionary<string, string> { ["TRECR_TEST_WORD"] = "before" }, "run", "--job", "count", "--", "/bin/bash", "-c",
            "cd $0; exec 3>>$0/data/log; echo one >&3; echo begun; while [ ! -e \"$1\" ]; do read -t 1 nothing </dev/null; done; echo two >&3; /bin/pwd; grep -z ^TRECR_TEST_WORD= /proc/$$/environ | tr '\\0' '\\n'", before, _place.Hold);
        run.WaitForLine(l => l == "begun", Workplace.Limit);
        _place.Checkpoint("--stop");
        run.WaitForExit(Workplace.Limit);
        Directory.Move(before, after);
        _place.Release();
        (int code, _, string errors) = _place.Do("restart", "count");
        Assert.That((code, errors), Is.EqualTo((7, errors)));
        Assert.That(errors, Does.Contain(before), "what is missing is named");
        Assert.That(_place.Do("restart", "count", "--map-path", "before").Code, Is.EqualTo(2));
        (code, _, errors) = _place.Do("restart", "count", "--map-path", $"{before}={after}", "--env", "TRECR_TEST_WORD=much longer");
        Assert.That(code, Is.EqualTo(7), errors);
        Assert.That(errors, Does.Contain("--env TRECR_TEST_WORD: the new value has 11 bytes, the old one 6"));
        (code, string[] output, errors) = _place.Do("restart", "count", "--map-path", $"{before}={after}", "--cwd", $"{after}/data", "--env", "TRECR_TEST_WORD=after");
        Assert.That(code, Is.Zero, errors);
        Assert.That(output, Is.EqualTo(new[] { $"{after}/data", "TRECR_TEST_WORD=after" }));
        Assert.That(File.ReadAllLines($"{after}/data/log"), Is.EqualTo(new[] { "one", "two" }));
    }

    /// <summary>A file that the program writes is saved up to the size that is given, and not beyond it.</summary>
    [TestCase("1M", 0), TestCase("16", 7)]
    public void FilesAreSavedBelowTheSizeGiven(string size, int code)
    {
        string file = $"{_place.Root}/log";
        using RunningProgram run = _place.Start("run", "--job", "count", "--save-files-below", size, "--", "/bin/bash", "-c", "exec 3<>\"$0\"; echo 'more than sixteen bytes of text' >&3; echo begun; while [ ! -e \"$1\" ]; do read -t 1 nothing </dev/null; done; exit 0", file, _place.Hold);
        run.WaitForLine(l => l == "begun", Workplace.Limit);
        _place.Checkpoint("--stop");
        run.WaitForExit(Workplace.Limit);
        File.WriteAllText(file, "something that is not the same as before"); // where nothing was saved, restart must not go on with it
        _place.Release();
        (int got, _, string errors) = _place.Do("restart", "count");
        Assert.That(got, Is.EqualTo(code), errors);
        if (code == 0) Assert.That(File.ReadAllText(file), Is.EqualTo("more than sixteen bytes of text\n"));
        else Assert.That(errors, Does.Contain(file));
    }
}
