using System.Text.Json;
using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>Policies, flush and restart as a user gives them: nodes are agents and directories, killed and wiped.</summary>
[TestFixture]
public sealed class TierCommandTests
{
    private Workplace _place = null!;

    [SetUp]
    public void SetUp() => _place = new Workplace();

    [TearDown]
    public void TearDown()
    {
        // A flush outlives its job, and would make its directories again.
        Assert.That(SpinWait.SpinUntil(() => !Directory.EnumerateDirectories("/proc").Any(IsFlushHere), Workplace.Limit));
        _place.Dispose();
    }

    private bool IsFlushHere(string process)
    {
        try { return File.ReadAllText($"{process}/cmdline") is var words && words.StartsWith("trecr\0flush\0") && words.Contains($"{_place.Root}/"); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return false; }
    }

    private string Policy(string text)
    {
        string path = $"{_place.Root}/policy.toml";
        File.WriteAllText(path, text.Replace("ROOT", _place.Root));
        return path;
    }

    private RunningProgram Agent(string name)
    {
        RunningProgram agent = _place.Start("agent", $"{_place.Root}/{name}", $"{_place.Root}/{name}.sock");
        agent.WaitForLine(l => l.StartsWith("agent "), Workplace.Limit);
        return agent;
    }

    private static void Lose(RunningProgram process)
    {
        Workplace.Kill(process.Id);
        process.WaitForExit(Workplace.Limit);
    }

    private static string Nonce(RunningProgram run) => run.Output.First(l => l.StartsWith("nonce "));

    [Test]
    public void StoreAndPartnerAndANodeOfTheSetAreLost_TheRestartComesFromWhatIsLeft()
    {
        RunningProgram partner = Agent("partner"), first = Agent("a");
        string policy = Policy("""
            [[tier]]
            name = "partner"
            kind = "partner"
            path = "agent:ROOT/partner.sock"
            [[tier]]
            name = "set"
            kind = "xor"
            nodes = ["agent:ROOT/a.sock", "ROOT/b", "ROOT/c"]
            every = 2
            """);
        _place.PauseAt(5);
        using RunningProgram run = _place.StartCounter(50, options: ["--policy", policy]);
        Assert.That(_place.Checkpoint(), Is.EqualTo("count.1"));
        _place.ContinueAt(5);
        run.WaitForLine(l => l.StartsWith("step 10 "), Workplace.Limit);
        Assert.That(_place.Checkpoint(), Is.EqualTo("count.2"));
        Assert.That(SpinWait.SpinUntil(() => File.Exists($"{_place.Root}/partner/checkpoints/count.2") && File.Exists($"{_place.Root}/c/checkpoints/count.2"), Workplace.Limit), "flushed by itself");
        (int code, string[] output, string errors) = _place.Do("list", "count", "--tiers");
        Assert.That(code, Is.Zero, errors);
        Assert.That(output[^2..], Is.EqualTo(new[] { "tier partner: count.1 count.2", "tier set: count.2" }));
        Assert.That(_place.Do("verify", "count", "--tiers").Code, Is.Zero);
        Assert.That(SpinWait.SpinUntil(() => !Flush().GetProperty("running").GetBoolean(), Workplace.Limit));
        Assert.That(Flush().GetProperty("problems").GetArrayLength(), Is.Zero);

        Lose(run);
        Lose(partner);
        Lose(first);
        foreach (string lost in (string[])["partner", "a", "store"]) Directory.Delete($"{_place.Root}/{lost}", recursive: true);
        _place.Release();
        using RunningProgram restart = _place.Start("restart", "count", "--policy", policy);
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        Assert.That(restart.Errors, Does.Match(@"count\.2: [1-9]\d* frames were missing .* came from tier set \([1-9]\d*\); [1-9]\d* pieces of lost nodes were computed"));
        Assert.That(restart.Errors, Does.Contain("tier partner is left out"));
        Assert.That(restart.Output[^1], Does.Contain(Nonce(run)["nonce ".Length..]));
        Assert.That(_place.Starts, Is.EqualTo(1));
        Assert.That(restart.Output[0], Does.Not.StartWith("step 5 "), "work before the checkpoint is not done again");
    }

    private JsonElement Flush()
    {
        (int code, string[] output, string errors) = _place.Do("status", "count", "--json");
        Assert.That(code, Is.Zero, errors);
        return JsonDocument.Parse(output[0]).RootElement.GetProperty("jobs")[0].GetProperty("flush");
    }

    [Test]
    public void ACudaProgramComesBackFromASetThatLostTwoNodes_WithTheWrapperThatItHasMapped()
    {
        string policy = Policy("""
            [[tier]]
            name = "set"
            kind = "rs"
            parity = 2
            nodes = ["ROOT/n0", "ROOT/n1", "ROOT/n2", "ROOT/n3"]
            """), hold = $"{_place.Root}/go";
        using RunningProgram run = _place.Start(new Dictionary<string, string> { ["TRECR_SAMPLE_HOLD"] = hold }, "run", "--job", "heat", "--device", "soft", "--policy", policy, "--",
            Path.Combine(Repository.Root, "out/samples/heat2d"), "--size", "128", "--steps", "40", "--every", "10", "--check", "1", "--output", $"{_place.Root}/field");
        run.WaitForLine(l => l.StartsWith("heat2d: step 20 "), Workplace.Limit);
        (int code, string[] output, string errors) = _place.Do("checkpoint", "heat", "--stop");
        Assert.That(code, Is.Zero, errors);
        run.WaitForExit(Workplace.Limit);
        (code, output, errors) = _place.Do("flush", "heat");
        Assert.That(code, Is.Zero, errors);
        foreach (string lost in (string[])["store", "n0", "n3"]) Directory.Delete($"{_place.Root}/{lost}", recursive: true);
        File.WriteAllText(hold, "");
        using RunningProgram restart = _place.Start("restart", "heat", "--policy", policy);
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.Zero, restart.Errors);
        Assert.That(restart.Errors, Does.Match(@"came from tier set \([1-9]\d*\); [1-9]\d* pieces of lost nodes were computed"));
        Assert.That(Directory.GetFiles($"{_place.StorePath}/wrappers", "libcuda.so.1", SearchOption.AllDirectories), Has.Length.EqualTo(1));
        Assert.That(File.Exists($"{_place.Root}/field"));
        Assert.That(_place.Do("repair", "--policy", policy).Code, Is.Zero);
        Assert.That(_place.Do("verify", "--tiers", "--policy", policy).Code, Is.Zero);
    }

    [TestCase("StoreWrite:3:kill")]
    [TestCase("StoreSync:1:kill")]
    [TestCase("StoreSync:2:kill")]
    [TestCase("ManifestRename:1:kill")]
    public void AFlushThatIsKilledLeavesNothingHalf_AndGoesOn(string fault)
    {
        string policy = Policy("""
            [[tier]]
            name = "far"
            kind = "disk"
            path = "ROOT/far"
            """);
        using RunningProgram run = _place.StartCounter(50);
        _place.Checkpoint("--stop");
        run.WaitForExit(Workplace.Limit);
        Assert.That(_place.Do(new Dictionary<string, string> { ["TRECR_FAULT"] = fault }, "flush", "count", "--policy", policy).Code, Is.EqualTo(137));
        Assert.That(Directory.Exists($"{_place.Root}/far/checkpoints") ? Directory.GetFiles($"{_place.Root}/far/checkpoints", "count*") : [], Is.Empty);
        (int code, string[] output, string errors) = _place.Do("flush", "count", "--policy", policy);
        Assert.That(code, Is.Zero, errors);
        Assert.That(output[^1], Does.StartWith("count: tier far: count.1 ("));
        Assert.That(_place.Do("verify", "--store", $"{_place.Root}/far").Code, Is.Zero);
        Assert.That(_place.Do("gc", "--store", $"{_place.Root}/far").Code, Is.Zero);
        Assert.That(_place.Do("verify", "--store", $"{_place.Root}/far").Output[^1], Does.Contain("1 checkpoints").And.Contain("all whole"));
    }

    [Test]
    public void WhatIsDamagedComesFromATier_ByRepairAndByRestart()
    {
        string policy = Policy("""
            [[tier]]
            name = "far"
            kind = "shared"
            path = "ROOT/far"
            """);
        using RunningProgram run = _place.StartCounter(50, options: ["--policy", policy]);
        _place.Checkpoint("--stop");
        run.WaitForExit(Workplace.Limit);
        Assert.That(_place.Do("flush", "count").Code, Is.Zero, "the job's own policy");
        Flip(2);
        Assert.That(_place.Do("verify").Code, Is.EqualTo(5));
        (int code, string[] output, string errors) = _place.Do("repair");
        Assert.That(code, Is.Zero, errors);
        Assert.That(string.Join('\n', output), Does.Match(@"count\.1: [1-9]\d* frames came from tier far"));
        Assert.That(_place.Do("verify").Code, Is.Zero);
        Flip(3);
        _place.Release();
        using RunningProgram restart = _place.Start("restart", "count");
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
        Assert.That(restart.Errors, Does.Contain("came from tier far"));
    }

    /// <summary>Damages all packs, at places that depend on the number: whatever they hold that no checkpoint needs, some of it is needed.</summary>
    private void Flip(int number)
    {
        foreach (string pack in Directory.GetFiles($"{_place.StorePath}/packs", "*.pack"))
        {
            byte[] bytes = File.ReadAllBytes(pack);
            for (int at = 64 + number * 1000; at < bytes.Length; at += 20_000) bytes[at] ^= 0x55;
            File.WriteAllBytes(pack, bytes);
        }
    }

    [Test]
    public void ABadPolicyIsRefusedByFileLineAndKey_AndNothingRuns()
    {
        string policy = Policy("[[tier]]\nkind = \"disk\"\npath = \"ROOT/far\"\nkep = 2\n");
        (int code, _, string errors) = _place.Do("run", "--policy", policy, "--", _place.CounterProgram, _place.StartFile, "5", "-");
        Assert.That(code, Is.EqualTo(125));
        Assert.That(errors, Does.StartWith($"trecr: {policy}:4: kep: no such key of [[tier]]").And.Contain("TRECR-0009"));
        Assert.That(File.Exists(_place.StartFile), Is.False);
    }
}
