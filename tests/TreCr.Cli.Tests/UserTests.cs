using NUnit.Framework;
using TreCr.Linux;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>A program of root's whose children have become other users, as servers do.</summary>
[TestFixture]
public sealed class UserTests
{
    private Workplace _place = null!;

    [SetUp]
    public void Enter()
    {
        if (Sys.EffectiveUserId() != 0) Assert.Ignore("only root can become another user");
        _place = new Workplace(false);
    }

    [TearDown]
    public void Leave() => _place?.Dispose();

    /// <summary>Who may not make processes of other users does not get theirs with powers of its own.</summary>
    [Test]
    public void ChildOfAnotherUser_IsRestoredByRootOnly()
    {
        string script = $"{_place.Root}/server", sleep = $"sleep 3{Environment.ProcessId}";
        File.WriteAllText(script, $"#!/bin/sh\nsetpriv --reuid 33 --regid 24 --clear-groups {sleep} &\nexec {_place.CounterProgram} \"$@\"\n");
        File.SetUnixFileMode(script, (UnixFileMode)0x1ED);
        using RunningProgram run = _place.StartCounter(30, program: script);
        Assert.That(() => OfUser33(sleep), Is.Not.Empty.After((int)Workplace.Limit.TotalMilliseconds, 20));
        _place.Checkpoint("--stop");
        Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(137), run.Errors);
        Assert.That(OfUser33(sleep), Is.Empty);

        _place.RunBehind("setpriv", "--bounding-set", "-setuid,-setgid", "--inh-caps", "-setuid,-setgid");
        (int code, _, string errors) = _place.Do("restart", "count");
        Assert.That((code, errors), Is.EqualTo((7, errors)));
        Assert.That(errors, Does.Contain("has become user 33, group 24, which this user may not: restart it as root"));

        _place.RunBehind();
        using RunningProgram restart = _place.Start("restart", "count");
        Assert.That(() => restart.Errors, Does.Contain("trecr: restarted ").After((int)Workplace.Limit.TotalMilliseconds, 20));
        Assert.That(OfUser33(sleep), Has.Count.EqualTo(1));
        _place.Release();
        Assert.That(restart.WaitForExit(Workplace.Limit), Is.EqualTo(7), restart.Errors);
    }

    /// <summary>Processes of user 33, group 24 with these words.</summary>
    private static List<int> OfUser33(string command)
    {
        List<int> found = [];
        foreach (string process in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(process), out int pid)) continue;
            try
            {
                if (File.ReadAllText($"{process}/cmdline").TrimEnd('\0').Replace('\0', ' ') != command) continue;
                string[] status = File.ReadAllLines($"{process}/status");
                if (status.Contains("Uid:\t33\t33\t33\t33") && status.Contains("Gid:\t24\t24\t24\t24")) found.Add(pid);
            }
            catch (IOException) { } // it ended
        }
        return found;
    }
}
