using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Surface.Tests.Differential;

/// <summary>One seed: its sequence by the wrapper, in a program under trecr, and by the back end itself; both must agree in every code and value, and with the codes of the real driver.</summary>
internal static class SequenceRun
{
    public const string Kernel = """
        .version 6.4
        .target sm_50
        .address_size 64
        .visible .global .align 4 .u32 table[16];
        .visible .entry affine(.param .u64 to, .param .u64 from, .param .u32 n)
        {
            .reg .pred %p<2>;
            .reg .b32 %r<8>;
            .reg .b64 %rd<6>;
            ld.param.u64 %rd1, [to];
            ld.param.u64 %rd2, [from];
            ld.param.u32 %r1, [n];
            mov.u32 %r2, %ctaid.x;
            mov.u32 %r3, %ntid.x;
            mov.u32 %r4, %tid.x;
            mad.lo.u32 %r5, %r2, %r3, %r4;
            setp.ge.u32 %p1, %r5, %r1;
            @%p1 bra DONE;
            mul.wide.u32 %rd3, %r5, 4;
            add.s64 %rd4, %rd2, %rd3;
            ld.global.u32 %r6, [%rd4];
            mad.lo.u32 %r7, %r6, 3, 7;
            add.s64 %rd5, %rd1, %rd3;
            st.global.u32 [%rd5], %r7;
        DONE:
            ret;
        }
        """;

    private static readonly Lazy<string> s_program = new(Compile);

    private static string Compile()
    {
        string program = Path.Combine(Directory.CreateDirectory(Path.Combine(Repository.Root, "artifacts/surface")).FullName, "sequence");
        using RunningProgram gcc = new("gcc", ["-O1", "-w", "-o", program + ".new", Path.Combine(Repository.Root, "tests/programs/cuda/sequence.c"), "-ldl"], new Dictionary<string, string>());
        Assert.That(gcc.WaitForExit(Job.Limit), Is.Zero, gcc.Errors);
        File.Move(program + ".new", program, true);
        return program;
    }

    /// <param name="restarted">the program is killed in the middle and goes on from a checkpoint</param>
    /// <returns>differences, one line each; empty: none</returns>
    public static List<string> Differences(int seed, int count, bool restarted)
    {
        Sequence sequence = new(seed, count, restarted ? count / 2 : -1);
        string directory = Directory.CreateTempSubdirectory("trecr-sequence-").FullName;
        try
        {
            File.WriteAllLines($"{directory}/calls", sequence.Calls.Select(c => c.ToString()));
            File.WriteAllText($"{directory}/ptx", Kernel);
            Sample sample = new("sequence", [$"{directory}/calls", $"{directory}/ptx"], "", 0) { Path = s_program.Value };
            using Job job = new(sample);
            string[] output = restarted ? WithRestart(job) : Whole(job);
            Dictionary<int, string> byWrapper = output.Select(l => l.Split(' ', 2)).Where(w => w.Length == 2 && int.TryParse(w[0], out _)).ToDictionary(w => int.Parse(w[0]), w => w[1]);
            return Compare(sequence, byWrapper);
        }
        finally { Directory.Delete(directory, true); }
    }

    private static List<string> Compare(Sequence sequence, Dictionary<int, string> byWrapper)
    {
        List<string> differences = [];
        using DirectRun direct = new(Kernel);
        for (int i = 0; i < sequence.Calls.Count; i++)
        {
            SequenceCall call = sequence.Calls[i];
            string wrapper = byWrapper.GetValueOrDefault(i, "nothing"), backend = direct.Run(call);
            // Of two things that are wrong in a call either may be named.
            bool bothRefuse = call.Expected is null && wrapper != "nothing" && !wrapper.StartsWith("0", StringComparison.Ordinal) && !backend.StartsWith("0", StringComparison.Ordinal);
            if (wrapper != backend && !bothRefuse) differences.Add($"{i}: {call}: by the wrapper {wrapper}, by the back end {backend}");
            if (call.Expected is { } code && wrapper.Split(' ')[0] != $"{code}") differences.Add($"{i}: {call}: by the wrapper {wrapper}, by the real driver {code}");
        }
        return differences;
    }

    private static string[] Whole(Job job)
    {
        RunningProgram run = job.Run(held: false);
        int code = run.WaitForExit(Job.Limit);
        Assert.That(code, Is.Zero, run.Errors);
        return run.Output;
    }

    private static string[] WithRestart(Job job)
    {
        (RunningProgram before, RunningProgram after) = job.CheckpointKillRestart("half done");
        return [.. before.Output, .. after.Output];
    }
}
