using System.Text.Json;
using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>The verbs that look at a store and keep it, as a user gives them.</summary>
[TestFixture]
public sealed class StoreCommandTests
{
    private Workplace _place = null!;

    [SetUp]
    public void SetUp() => _place = new Workplace();

    [TearDown]
    public void TearDown() => _place.Dispose();

    private void TakeTwo()
    {
        _place.PauseAt(5);
        using RunningProgram run = _place.StartCounter(50);
        _place.Checkpoint();
        _place.ContinueAt(5);
        run.WaitForLine(l => l.StartsWith("step 10 "), Workplace.Limit);
        _place.Checkpoint("--stop");
        run.WaitForExit(Workplace.Limit);
    }

    private JsonElement Json(params string[] arguments)
    {
        (int code, string[] output, string errors) = _place.Do([.. arguments, "--json"]);
        Assert.That(code, Is.Zero, errors);
        JsonElement json = JsonDocument.Parse(output.Single()).RootElement;
        Assert.That(json.GetProperty("schema").GetString(), Is.EqualTo($"trecr.{arguments[0]}/1"));
        return json;
    }

    [Test]
    public void ExportedAndImportedElsewhere_ItRestarts_ButOnlyWithTrust()
    {
        TakeTwo();
        string file = $"{_place.Root}/count.trecr", elsewhere = $"{_place.Root}/elsewhere";
        Assert.That(_place.Do("export", "count", file).Code, Is.Zero);
        Assert.That(File.GetUnixFileMode(file), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        Assert.That(_place.Do("export", "count", file).Code, Is.Not.Zero, "a file is never overwritten");
        (int code, string[] output, string errors) = _place.Do("import", file, "--job", "copy", "--store", elsewhere);
        Assert.That(code, Is.Zero, errors);
        Assert.That(output, Is.EqualTo(new[] { "copy.2" }));
        Assert.That(_place.Do("verify", "--store", elsewhere).Code, Is.Zero);
        Assert.That(_place.Do("import", file, "--job", "copy", "--store", elsewhere).Code, Is.EqualTo(4), "there already");
        // The program has mapped the wrapper of the first store: the same bytes lie where it was.
        Directory.CreateDirectory($"{elsewhere}/wrappers");
        foreach (string wrapper in Directory.Exists($"{_place.StorePath}/wrappers") ? Directory.GetDirectories($"{_place.StorePath}/wrappers") : [])
        {
            Directory.CreateDirectory($"{elsewhere}/wrappers/{Path.GetFileName(wrapper)}");
            File.Copy($"{wrapper}/libcuda.so.1", $"{elsewhere}/wrappers/{Path.GetFileName(wrapper)}/libcuda.so.1");
        }
        (code, _, errors) = _place.Do("restart", "copy", "--store", elsewhere);
        Assert.That(code, Is.EqualTo(7));
        Assert.That(errors, Does.Match(@"^trecr: cannot restart copy\.2: it was imported; .*--trust.*\(TRECR-0303\)$"));
        _place.Release();
        using RunningProgram restart = _place.Start("restart", "copy", "--store", elsewhere, "--trust");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        Assert.That(_place.Starts, Is.EqualTo(1));
    }

    [Test]
    public void ACutExport_IsRefused_AndLeavesNothing()
    {
        TakeTwo();
        string file = $"{_place.Root}/count.trecr", elsewhere = $"{_place.Root}/elsewhere";
        Assert.That(_place.Do("export", "count.2", file).Code, Is.Zero);
        using (FileStream cut = File.OpenWrite(file)) cut.SetLength(cut.Length / 2);
        (int code, _, string errors) = _place.Do("import", file, "--store", elsewhere);
        Assert.That(code, Is.EqualTo(5), errors);
        Assert.That(errors, Does.Contain("TRECR-0403"));
        Assert.That(_place.Do("list", "--store", elsewhere).Output, Is.Empty);
    }

    [Test]
    public void Repair_MakesALostIndexAnew_AndNamesWhatIsLost()
    {
        TakeTwo();
        foreach (string index in Directory.GetFiles($"{_place.StorePath}/packs", "*.idx"))
        {
            byte[] bytes = File.ReadAllBytes(index);
            bytes[bytes.Length / 2] ^= 1;
            File.SetUnixFileMode(index, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            File.WriteAllBytes(index, bytes);
        }
        Assert.That(_place.Do("verify").Code, Is.EqualTo(5));
        JsonElement done = Json("repair");
        Assert.That(done.GetProperty("rewritten_indexes").GetInt32(), Is.GreaterThanOrEqualTo(2));
        Assert.That(done.GetProperty("lost_checkpoints").GetArrayLength(), Is.Zero);
        Assert.That(_place.Do("verify").Code, Is.Zero);
        foreach (string file in Directory.GetFiles($"{_place.StorePath}/packs")) File.Delete(file);
        (int code, string[] output, _) = _place.Do("repair");
        Assert.That(code, Is.EqualTo(5));
        Assert.That(output, Does.Contain("cannot be restarted: count.1").And.Contains("cannot be restarted: count.2"));
    }

    /// <summary>The pages that a running program wrote are of no use without the frames around them: the checkpoint fails by name, the program runs on, and the next one has everything of its own.</summary>
    [Test]
    public void WhereTheLastCheckpointIsDamaged_TheNextFails_AndThenOneIsTakenWithoutIt()
    {
        _place.PauseAt(5);
        using RunningProgram run = _place.StartCounter(50);
        _place.Checkpoint();
        _place.DamagePacks();
        _place.ContinueAt(5);
        run.WaitForLine(l => l.StartsWith("step 10 "), Workplace.Limit);
        (int code, _, string errors) = _place.Do("checkpoint", "count");
        Assert.That((code, errors), Is.EqualTo((5, errors)), errors);
        Assert.That(errors, Does.Contain("the next checkpoint does not build on it"));
        Assert.That(_place.Do("repair").Code, Is.EqualTo(5), "count.1 is lost");
        Assert.That(_place.Checkpoint(), Is.EqualTo("count.3").Or.EqualTo("count.2"));
        Assert.That(_place.Do("stop", "count").Code, Is.Zero);
        run.WaitForExit(Workplace.Limit);
        _place.Release();
        using RunningProgram restart = _place.Start("restart", "count");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        Assert.That(_place.Starts, Is.EqualTo(1));
    }

    [Test]
    public void DuAndDiff_CountWhatChanged()
    {
        TakeTwo();
        JsonElement du = Json("du");
        JsonElement[] checkpoints = [.. du.GetProperty("checkpoints").EnumerateArray()];
        Assert.That(checkpoints.Select(c => c.GetProperty("checkpoint_id").GetString()), Is.EqualTo(new[] { "count.1", "count.2" }));
        Assert.That(checkpoints.Select(c => c.GetProperty("bytes_plain").GetInt64()), Is.All.GreaterThan(4 << 20));
        Assert.That(checkpoints[0].GetProperty("bytes_own").GetInt64(), Is.LessThan(checkpoints[0].GetProperty("bytes_stored").GetInt64()), "they share frames");
        JsonElement[] differences = [.. Json("diff", "count.1", "count.2").GetProperty("differences").EnumerateArray()];
        Assert.That(differences.Sum(d => d.GetProperty("bytes_differ").GetInt64()), Is.GreaterThan(1000), "the counter writes a byte of each page");
        Assert.That(Json("diff", "count.1", "count.1").GetProperty("differences").GetArrayLength(), Is.Zero);
        Assert.That(_place.Do("diff", "count.1", "count.9").Code, Is.EqualTo(3));
        Assert.That(_place.Do("gc", "--keep", "1").Output, Does.Contain("removed count.1"));
        Assert.That(Json("du").GetProperty("checkpoints").GetArrayLength(), Is.EqualTo(1));
        Assert.That(_place.Do("verify").Code, Is.Zero);
    }
}
