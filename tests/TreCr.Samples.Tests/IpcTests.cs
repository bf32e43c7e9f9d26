using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>Processes that share device memory and events: tests/programs/cuda/shared.cu through NVIDIA's runtime, and what is refused. The calls one by one are in TreCr.Surface.Tests (ipc.c).</summary>
public sealed class IpcTests
{
    private string _directory = "";

    [OneTimeSetUp]
    public void Create() => _directory = Directory.CreateTempSubdirectory("trecr-ipc-").FullName;

    [OneTimeTearDown]
    public void Remove() => Directory.Delete(_directory, true);

    private Sample Ring(int ranks)
    {
        string path = $"{_directory}/shared";
        if (!File.Exists(path))
        {
            using RunningProgram compile = new(Path.Combine(Repository.Root, "samples/compile.sh"), [Path.Combine(Repository.Root, "tests/programs/cuda/shared.cu"), path, $"{_directory}/obj"], new Dictionary<string, string>());
            Assert.That(compile.WaitForExit(Job.Limit), Is.Zero, compile.Errors);
        }
        string place = Directory.CreateDirectory($"{_directory}/{Guid.NewGuid():n}").FullName;
        return new("shared", ["--rounds", "40", "--every", "4", "--ranks", $"{ranks}", "--place", place], "shared: ", 0) { Path = path };
    }

    /// <summary>The process that a child's memory was mapped from has ended: a checkpoint is refused with its name, and the program goes on.</summary>
    [Test]
    public void Memory_of_a_process_that_has_ended_is_named_and_the_program_goes_on()
    {
        using Job job = new(Ring(2) with { Arguments = ["--orphan", $"{_directory}/orphan", "--place", _directory] });
        RunningProgram run = job.Run(held: true);
        run.WaitForLine(l => l == "shared: alone", Job.Limit);
        (int code, _, string errors) = job.Do("checkpoint", "job");
        Assert.That(code, Is.Not.Zero);
        Assert.That(errors, Does.Match(@"device memory that process [0-9]+ \(shared\) shared with process [0-9]+ \(shared\) is still mapped there").And.Contain("has ended"));
        File.WriteAllText($"{_directory}/orphan", "");
        run.WaitForLine(l => l == "shared: closed", Job.Limit);
        string id = job.Checkpoint();
        run.Kill();
        job.Release();
        RunningProgram restart = job.Restart(id);
        Assert.That(restart.WaitForExit(Job.Limit), Is.Zero, restart.Errors);
        Assert.That(restart.Output, Is.EqualTo(new[] { "shared: PASSED" }));
    }

    /// <summary>Every one of three processes has memory and an event that another one uses. They compare with what one processor computes.</summary>
    [Test]
    public void Killed_and_restarted_a_ring_of_processes_goes_on_in_one_memory()
    {
        using Job job = new(Ring(3));
        RunningProgram run = job.Run(held: true), restart = job.KilledAndRestarted(run, checkpoints: 3);
        Assert.That(restart.Output, Does.Contain("shared: PASSED"));
        Assert.That(Sample.MarkOf(restart.Output, "end")?.Nonce, Is.Not.Null.And.EqualTo(Sample.MarkOf(run.Output, "begin")?.Nonce));
        Assert.That(job.Starts, Is.EqualTo(1));
        Assert.That(Directory.GetFiles(job.RunPath, "share-*", SearchOption.AllDirectories), Is.Empty, "files by which the processes found each other");
    }
}
