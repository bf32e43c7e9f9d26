using NUnit.Framework;
using TreCr.SoftDevice.Emit;

namespace TreCr.SoftDevice.Tests.Conformance;

/// <summary>
/// Changes one thing at a time in what the compiler emits for a row's instruction (an opcode, a constant, a helper) and asks whether the row turns red. A test runs a seeded sample; all of them:
/// <c>./build.sh soak mutate</c>.
/// </summary>
[NonParallelizable, CancelAfter(3_600_000)]
public sealed class MutationTests
{
    [TestCase(11)]
    public void ASampleOfChangesTurnsRowsRed(int seed)
    {
        Random random = new(seed);
        InstructionRow[] rows = [.. Rows.All];
        random.Shuffle(rows);
        Report(rows[..700], points => [.. Enumerable.Range(0, points).Where(_ => random.Next(6) == 0)], 2);
    }

    [Test, Explicit("soak mutate")]
    public void EveryChangeTurnsARowRed() => Report([.. Rows.All], points => [.. Enumerable.Range(0, points)], 0);

    /// <param name="deviations">how many standard deviations a sample may lie below 95 %</param>
    static void Report(InstructionRow[] rows, Func<int, int[]> choose, int deviations)
    {
        RowKernel kernel = new();
        List<string> survivors = [];
        int changes = 0;
        try
        {
            foreach (InstructionRow row in rows)
            {
                string instruction = row.Mutated ?? row.Form.Split(' ')[0];
                Mutation count = ProgramBuilder.Mutation = new(instruction, -1);
                if (kernel.Run(row) is { } red) Assert.Fail($"{row.Form} is red without a change: {red}");
                if (count.Seen == 0) continue;
                foreach (int point in choose(count.Seen))
                {
                    Mutation one = ProgramBuilder.Mutation = new(instruction, point);
                    changes++;
                    if (Environment.GetEnvironmentVariable("TRECR_MUTATE_LOG") is { } log) File.WriteAllText(log, $"{row.Form}: {point}\n");
                    string? result;
                    try { result = kernel.Run(row); }
                    catch (InvalidProgramException) { result = "not a program"; }
                    // A fault stays with its context.
                    if (result is not null && result.Contains("CUDA_ERROR", StringComparison.Ordinal)) { kernel.Dispose(); kernel = new(); }
                    if (result is null) survivors.Add($"{row.Form}: {one.What}");
                }
            }
        }
        finally
        {
            ProgramBuilder.Mutation = null;
            kernel.Dispose();
        }
        TestContext.Out.WriteLine($"{changes} changes, {changes - survivors.Count} seen ({100.0 * (changes - survivors.Count) / changes:F1} %); not seen:\n{string.Join('\n', survivors)}");
        Assert.That(changes, Is.GreaterThan(rows.Length / 4));
        Assert.That(survivors, Has.Count.LessThanOrEqualTo(changes / 20 + (int)(deviations * Math.Sqrt(changes * 0.05 * 0.95))));
    }
}
