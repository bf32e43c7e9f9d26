using System.Text.Json;
using NUnit.Framework;
using TreCr.Coordinator;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>Journals of jobs: <c>trecr events</c>, <c>trecr logs</c>, and the files behind them.</summary>
public sealed class JournalTests
{
    private Workplace _place = null!;

    [SetUp]
    public void SetUp() => _place = new Workplace();

    [TearDown]
    public void TearDown() => _place.Dispose();

    private JsonElement[] Events(params string[] more)
    {
        (int code, string[] output, string errors) = _place.Do(["events", .. more, "--json"]);
        Assert.That(code, Is.Zero, errors);
        JsonElement json = JsonDocument.Parse(output.Single()).RootElement;
        Assert.That(json.GetProperty("schema").GetString(), Is.EqualTo("trecr.events/1"));
        return [.. json.GetProperty("events").EnumerateArray()];
    }

    [Test]
    public void AJobsLifeIsNoted_FollowedWhileItGoesOn_AndToldAfterwards()
    {
        _place.PauseAt(5);
        using RunningProgram run = _place.StartCounter(20);
        using RunningProgram follow = _place.Start("events", "count", "--follow");
        follow.WaitForLine(l => l.Contains("count  started"), Workplace.Limit);
        _place.Checkpoint();
        follow.WaitForLine(l => l.Contains("count  checkpoint ") && l.Contains("count.1, stop "), Workplace.Limit);
        // Something that cannot be saved is named in the events as it is to the caller.
        Assert.That(_place.Do(["checkpoint", "count", "--deadline", "0"]).Code, Is.EqualTo(2));
        _place.ContinueAt(5);
        _place.Checkpoint("--stop");
        run.WaitForExit(Workplace.Limit);
        follow.WaitForLine(l => l.Contains("count  ended") && l.Contains("stopped with count.2"), Workplace.Limit);
        _place.Release();
        using RunningProgram restart = _place.Start("restart", "count");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        follow.WaitForLine(l => l.Contains("count  ended") && l.Contains("exit code 7"), Workplace.Limit);
        JsonElement[] events = Events("count");
        Assert.That(events.Select(e => e.GetProperty("event").GetString()), Is.EqualTo(new[] { "started", "checkpoint", "checkpoint", "ended", "restarted", "ended" }));
        Assert.That(events[1].GetProperty("checkpoint_id").GetString(), Is.EqualTo("count.1"));
        Assert.That(events[1].GetProperty("bytes_total").GetInt64(), Is.GreaterThan(4 << 20));
        Assert.That(events[4].GetProperty("checkpoint_id").GetString(), Is.EqualTo("count.2"));
        Assert.That(events[0].GetProperty("command").EnumerateArray().First().GetString(), Is.EqualTo(_place.CounterProgram));
        Assert.That(Events("--last", "2").Select(e => e.GetProperty("event").GetString()), Is.EqualTo(new[] { "restarted", "ended" }), "of all jobs");
        (int code, string[] lines, string errors) = _place.Do("logs", "count");
        Assert.That(code, Is.Zero, errors);
        Assert.That(string.Join('\n', lines), Does.Match(@"\d{4}-\d\d-\d\dT[\d:.]+Z job count was stopped with checkpoint count\.2").And.Match(@"Z restarted count\.2 in \d+ ms"));
        foreach (string file in Directory.GetFiles($"{_place.Root}/state/trecr/count")) Assert.That(File.GetUnixFileMode(file), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite), file);
        Assert.That(File.GetUnixFileMode($"{_place.Root}/state/trecr/count"), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute));
        Assert.That(_place.Do("events", "other").Code, Is.EqualTo(3));
        Assert.That(_place.Do("logs", "../count").Code, Is.EqualTo(3));
    }

    [Test]
    public void WhatIsDamagedOrAnothersIsNoReasonToFail()
    {
        string root = $"{_place.Root}/state/trecr";
        JobJournal journal = JobJournal.TryOpen("odd", Made(root))!;
        journal.Note("odd", "started", j => j.WriteString("directory", "/x\u001b[2J"));
        JobJournal.Flush(60_000);
        File.AppendAllText($"{journal.Directory}/{JobJournal.Events}", "no json \u001b]0;x\u0007\n[1]\n{\"event\":3}\n{\"half");
        (int code, string[] output, string errors) = _place.Do("events", "odd");
        Assert.That((code, output.Length), Is.EqualTo((0, 4)), errors);
        Assert.That(string.Concat(output).Any(char.IsControl), Is.False);
        Assert.That(Events("odd"), Has.Length.EqualTo(2));
        // Where others may write, nothing is noted, and the program runs all the same.
        Directory.CreateDirectory($"{root}/count");
        File.SetUnixFileMode($"{root}/count", (UnixFileMode)0b111_111_111);
        using RunningProgram run = _place.StartCounter(3, held: false, untilStep: 1);
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7), run.Errors);
        Assert.That(Directory.GetFileSystemEntries($"{root}/count"), Is.Empty);
    }

    [Test]
    public void AFileThatGrewLongBecomesTheOneBefore()
    {
        JobJournal journal = JobJournal.TryOpen("long", Made($"{_place.Root}/state/trecr"))!;
        string text = new('x', 100_000);
        for (int i = 0; i < 100; i++) journal.Say($"{i} {text}");
        JobJournal.Flush(60_000);
        Assert.That(Directory.GetFiles(journal.Directory).Select(f => new FileInfo(f).Length), Has.Exactly(2).InRange(1, (4 << 20) + 100_100).And.Exactly(2).Items);
        Assert.That(journal.Lines(JobJournal.Log).Select(l => l.Split(' ')[1]), Is.EqualTo(Enumerable.Range(0, 100).TakeLast(journal.Lines(JobJournal.Log).Count()).Select(i => $"{i}")), "in order, without a gap");
    }

    [Test]
    public void RolledBackToWhatIsDamaged_IsRefused_AndTheJobRunsOn()
    {
        using RunningProgram run = _place.StartCounter(50);
        _place.Checkpoint();
        _place.DamagePacks();
        (int code, _, string errors) = _place.Do("rollback", "count");
        Assert.That((code, errors.Contains("job count runs on")), Is.EqualTo((5, true)), errors);
        _place.Release();
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7), run.Errors);
    }

    [Test]
    public void AReportHoldsWhatIsKnown_AndNoSecrets()
    {
        using RunningProgram run = _place.StartCounter(50, environment: new() { ["TOP_SECRET"] = "swordfish-" + "4711" });
        _place.Checkpoint();
        string file = $"{_place.Root}/report.tar.gz";
        (int code, string[] output, string errors) = _place.Do("report", "count", file);
        Assert.That(code, Is.Zero, errors);
        Assert.That(output, Is.EqualTo(new[] { file }));
        Assert.That(File.GetUnixFileMode(file), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        using RunningProgram tar = _place.Other("tar", "-xzf", file, "-C", _place.Root);
        Assert.That(tar.WaitForExit(Workplace.Limit), Is.Zero, tar.Errors);
        Dictionary<string, string> members = Directory.GetFiles($"{_place.Root}/count-report").ToDictionary(f => Path.GetFileName(f), File.ReadAllText);
        Assert.That(members.Keys, Is.SupersetOf(new[] { "events.jsonl", "status.json", "list.json", "inspect.json", "doctor.json", "version.json", "coordinator.log" }));
        Assert.That(JsonDocument.Parse(members["inspect.json"]).RootElement.GetProperty("checkpoint_id").GetString(), Is.EqualTo("count.1"));
        Assert.That(members["coordinator.log"], Does.Contain("count.1: committed"));
        Assert.That(string.Concat(members.Values), Does.Not.Contain("swordfish"));
        Assert.That(_place.Do("report", "count", file).Code, Is.Not.Zero, "a file is never overwritten");
        Assert.That(_place.Do("report", "other", $"{_place.Root}/other.tar.gz").Code, Is.EqualTo(3));
        Assert.That(File.Exists($"{_place.Root}/other.tar.gz"), Is.False);
    }

    private static string Made(string directory)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(directory)!);
        return directory;
    }

    [Test]
    public void RolledBack_TheJobGoesOnFromAnyKeptCheckpoint_InTheSamePlace()
    {
        _place.PauseAt(5);
        using RunningProgram run = _place.StartCounter(30);
        _place.Checkpoint();
        _place.ContinueAt(5);
        _place.PauseAt(15);
        run.WaitForLine(l => l.StartsWith("step 10 "), Workplace.Limit);
        _place.Checkpoint();
        foreach ((string to, string id) in (ReadOnlySpan<(string, string)>)[("1", "count.1"), ("count.2", "count.2"), ("", "count.2")])
        {
            (int code, string[] output, string errors) = _place.Do(["rollback", "count", .. to.Length > 0 ? [to] : Array.Empty<string>()]);
            Assert.That(code, Is.Zero, errors + run.Errors);
            Assert.That(output[^1], Is.EqualTo(id));
            Assert.That(_place.Rank().GetProperty("last_checkpoint_id").GetString(), Is.EqualTo(id));
        }
        Assert.That(_place.Do("rollback", "count", "7").Code, Is.EqualTo(3));
        Assert.That(_place.Do("rollback", "count", "other.1").Code, Is.EqualTo(3));
        Assert.That(_place.Do("rollback", "other").Code, Is.EqualTo(3));
        Assert.That(_place.Checkpoint(), Is.EqualTo("count.3"), "numbers are not given twice");
        _place.ContinueAt(15);
        _place.Release();
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(7), run.Errors);
        Assert.That(run.Output.Where(l => l.StartsWith("step ")).Distinct().Select(l => l.Split(' ')[1]), Is.EqualTo(Enumerable.Range(0, 30).Select(i => $"{i}")), "the same sums at each time");
        Assert.That(_place.Starts, Is.EqualTo(1), "main() ran once");
        Assert.That(Events("count").Select(e => e.GetProperty("event").GetString()).Where(e => e is "rolled-back" or "restarted").Count(), Is.EqualTo(6));
    }
}
