using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>NCCL on the software device: the calls, and jobs that are checkpointed inside of collectives, killed and restarted.</summary>
public sealed class NcclTests
{
    /// <summary>The sample that has its tests here.</summary>
    public const string Name = "allreduce";

    private string _directory = "";

    [OneTimeSetUp]
    public void Create() => _directory = Directory.CreateTempSubdirectory("trecr-nccl-").FullName;

    [OneTimeTearDown]
    public void Remove() => Directory.Delete(_directory, true);

    private Sample Compiled(string name, params string[] arguments)
    {
        Sample program = new(name, arguments, $"{name}: ", 0) { Path = $"{_directory}/{name}" };
        if (File.Exists(program.Path)) return program;
        using RunningProgram compile = new(Path.Combine(Repository.Root, "samples/compile.sh"), [Path.Combine(Repository.Root, $"tests/programs/cuda/{name}.cu"), program.Path, $"{_directory}/obj"], new Dictionary<string, string>());
        Assert.That(compile.WaitForExit(Job.Limit), Is.Zero, compile.Errors);
        return program;
    }

    private static string[] ToItsEnd(Sample program, int devices = 1)
    {
        using Job job = new(program) { Environment = { ["TRECR_SOFT_DEVICES"] = $"{devices}" } };
        RunningProgram run = job.Run(held: false);
        int code = run.WaitForExit(Job.Limit);
        Assert.That(code, Is.Zero, run.Errors);
        Assert.That(Directory.GetFiles(job.RunPath, "nccl-*", SearchOption.AllDirectories), Is.Empty, "places where communicators met");
        return run.Output;
    }

    [Test]
    public void Every_collective_type_and_operation_beside_the_CPU_in_three_processes()
        => Assert.That(ToItsEnd(Compiled("collectives", "3", "1", "40")), Is.EqualTo(new[] { "collectives: 3 ranks, 504 cases, 40 groups: right" }));

    [Test]
    public void Every_collective_type_and_operation_beside_the_CPU_with_two_devices()
        => Assert.That(ToItsEnd(Compiled("collectives", "0", "2", "40"), devices: 2), Is.EqualTo(new[] { "collectives: 2 ranks, 504 cases, 40 groups: right" }));

    [Test]
    public void Communicators_made_of_others_bad_input_and_members_that_fail() => Assert.That(ToItsEnd(Compiled("communicators")), Is.EqualTo(new[] { "communicators: 0 failures" }));

    /// <param name="ranks">processes; 0: one with two devices</param>
    /// <param name="work">the first rank comes so much later than the others, which are in the collective</param>
    [TestCase(0, 1), TestCase(2, 8), TestCase(4, 8)]
    public void Killed_inside_of_collectives_and_restarted_it_ends_as_if_nothing_had_happened(int ranks, int work)
    {
        string[] processes = ranks == 0 ? [] : ["--ranks", $"{ranks}"];
        Sample sample = new(Name, ["--elements", "30000", "--rounds", "60", "--every", "4", "--work", $"{work}", .. processes], "allreduce: ", 0);
        string expected = ToItsEnd(sample, 2).Single(l => l.Contains("totals"));
        using Job job = new(sample) { Environment = { ["TRECR_SOFT_DEVICES"] = "2" } };
        RunningProgram run = job.Run(held: true), restart = job.KilledAndRestarted(run, checkpoints: 3);
        Assert.That(restart.Output, Does.Contain(expected).And.Contain("allreduce: PASSED"));
        Assert.That(Sample.MarkOf(restart.Output, "end")?.Nonce, Is.Not.Null.And.EqualTo(Sample.MarkOf(run.Output, "begin")?.Nonce));
        Assert.That(job.Starts, Is.EqualTo(1));
    }

    /// <summary>Communicators over pairs only, which hang together all the same: the late member is named at the deadline, the program runs on, and checkpoints in the middle of the rest restart.</summary>
    [Test]
    public void A_late_member_is_named_and_rows_and_columns_are_cut_at_one_place()
    {
        string comes = $"{_directory}/comes";
        using Job job = new(Compiled("latepeer", comes, "200"));
        RunningProgram run = job.Run(held: true);
        run.WaitForLine(l => l == "latepeer: waiting", Job.Limit);
        (int code, _, string errors) = job.Do("checkpoint", "job", "--deadline", "2");
        Assert.That(code, Is.Not.Zero);
        Assert.That(errors, Does.Match("rank [01] of communicator [0-9a-f]{8}, which has launched [0-9]+ collectives while rank [01] has launched [0-9]+|process [0-9]+, which has").And.Contain("TRECR-0204"));
        File.WriteAllText(comes, "");
        string id = job.Checkpoint();
        run.Kill();
        job.Release();
        RunningProgram restart = job.Restart(id);
        Assert.That(restart.WaitForExit(Job.Limit), Is.Zero, restart.Errors);
        Assert.That(restart.Output, Is.EqualTo(new[] { "latepeer: PASSED" }));
    }
}
