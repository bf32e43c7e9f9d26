using System.Text.Json;
using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>
/// A job moves from a GPU to the software device, or says why not. The GPU is the stand-in for its driver with which gpu-check rehearses (tests/programs/gpu/driver.c, compute capability 9.0):
/// the delegator takes its way for a real driver, in everything that is saved too.
/// </summary>
public sealed class PortableTests
{
    private string _directory = "";
    private Sample _program = null!, _machine = null!;

    [OneTimeSetUp]
    public void Compile()
    {
        _directory = Directory.CreateTempSubdirectory("trecr-portable-").FullName;
        Gcc("-shared", "-fPIC", Source("driver.c"), "-o", $"{_directory}/libcuda.so.1");
        Gcc(Source("portable.c"), "-o", $"{_directory}/portable", "-ldl");
        _program = new Sample("portable", [], "half done", 1) { Path = $"{_directory}/portable" };
        _machine = _program with { Arguments = ["machine"] };
    }

    [OneTimeTearDown]
    public void Remove() => Directory.Delete(_directory, true);

    private static string Source(string name) => Path.Combine(Repository.Root, "tests/programs/gpu", name);

    private static void Gcc(params string[] arguments)
    {
        using RunningProgram gcc = new("gcc", ["-O2", "-w", .. arguments], new Dictionary<string, string>());
        Assert.That(gcc.WaitForExit(Job.Limit), Is.Zero, gcc.Errors);
    }

    private Job On(Sample sample)
    {
        Job job = new(sample);
        job.Environment["TRECR_LIBCUDA"] = $"{_directory}/libcuda.so.1";
        return job;
    }

    [Test]
    public void A_portable_job_of_a_GPU_goes_on_on_the_software_device_and_is_restarted_there()
    {
        Sample sample = Sample.All.Single(s => s.Name == "vectoradd_driver");
        using Job job = On(sample);
        RunningProgram run = job.Run(held: true, "cuda", "--portable");
        run.WaitForLine(l => Sample.Unit(l) > 0, Job.Limit);
        string id = job.Checkpoint();
        Assert.That(run.Errors, Does.Contain("device rehearsal without a GPU"));
        Job.KillProgramAndDelegator(run, sample);
        run.WaitForExit(Job.Limit);
        Assert.That(Inspect(job, id).GetProperty("device_kind").GetString(), Is.EqualTo("cuda"));
        Assert.That(Inspect(job, id).GetProperty("gpu_only").GetBoolean(), Is.False);

        job.Environment.Remove("TRECR_LIBCUDA");
        RunningProgram moved = job.Restart(id, "--device", "soft");
        job.WaitUntilRegistered(moved);
        Assert.That(job.Rank().GetProperty("sessions")[0].GetProperty("device_name").GetString(), Is.EqualTo("TreCr Software Device"));
        string second = job.Checkpoint();
        Job.KillProgramAndDelegator(moved, sample);
        moved.WaitForExit(Job.Limit);
        Assert.That(Inspect(job, second).GetProperty("device_kind").GetString(), Is.EqualTo("soft"));

        job.Release();
        RunningProgram last = job.Restart(second);
        Assert.That(last.WaitForExit(Job.Limit), Is.Zero, last.Errors);
        SampleCheck.Whole(sample, [.. run.Output.Where(l => Sample.MarkOf([l], "begin") is not null), .. last.Output], job);
    }

    [TestCase("cuda", "--portable", "capability 10.0, shared 101376, clusters 0"), TestCase("cuda", null, "capability 9.0, shared 232448, clusters 1"), TestCase("soft", "--portable", "capability 10.0, shared 101376, clusters 0")]
    public void The_program_is_told_of_a_device_for_which_libraries_choose_PTX(string device, string? option, string told)
    {
        using Job job = On(_program);
        job.Environment["TRECR_SOFT_CC"] = "9.0";
        RunningProgram run = job.Run(held: false, device, option is null ? [] : [option]);
        Assert.That(run.WaitForExit(Job.Limit), Is.Zero, run.Errors + string.Join('\n', run.Output));
        Assert.That(run.Output, Does.Contain(told));
    }

    [Test]
    public void Machine_code_keeps_a_checkpoint_on_GPUs_and_is_named()
    {
        const string Module = @"module [0-9a-f]{12} \(kernel only_machine_code\) has no PTX for the software device: machine code only";
        using Job job = On(_machine);
        RunningProgram run = job.Run(held: true, "cuda", "--portable");
        run.WaitForLine(l => l == "half done", Job.Limit);
        string id = job.Checkpoint();
        JsonElement seen = Inspect(job, id), listed = JsonDocument.Parse(job.Do("list", "--json").Output.Single()).RootElement.GetProperty("checkpoints")[0];
        foreach (JsonElement summary in new[] { seen, listed })
        {
            Assert.That(summary.GetProperty("gpu_only").GetBoolean(), Is.True);
            Assert.That(summary.GetProperty("gpu_only_modules").GetInt32(), Is.EqualTo(1));
            Assert.That(summary.GetProperty("gpu_only_reasons")[0].GetString(), Does.Match($"^{Module}$"));
        }
        Assert.That(job.Do("list").Output, Has.Some.Contains("cuda (GPU only)"));
        Assert.That(job.Do("inspect", id).Output, Has.Some.Match($"GPU only +{Module}"));

        job.Release();
        Assert.That(run.WaitForExit(Job.Limit), Is.Zero, "it goes on untouched");
        using RunningProgram refused = job.Restart(id, "--device", "soft");
        Assert.That(refused.WaitForExit(Job.Limit), Is.EqualTo(8), refused.Errors);
        Assert.That(refused.Errors, Does.Match($@"^trecr: cannot restart job\.1 with --device soft: it is for GPUs only \(rehearsal without a GPU\), since 1 of its modules cannot go: {Module}; .*\(TRECR-0305\)"));
        Assert.That(job.Processes(coordinator: false), Is.Empty);
        Assert.That(job.Starts, Is.EqualTo(1));
    }

    private static JsonElement Inspect(Job job, string id)
    {
        (int code, string[] output, string errors) = job.Do("inspect", id, "--json");
        Assert.That(code, Is.Zero, errors);
        return JsonDocument.Parse(output.Single()).RootElement;
    }
}
