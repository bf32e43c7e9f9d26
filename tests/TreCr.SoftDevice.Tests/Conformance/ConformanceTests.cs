using NUnit.Framework;
using TreCr.SoftDevice.Emit;

namespace TreCr.SoftDevice.Tests.Conformance;

/// <summary>Every row of the instruction table, through the real compiler: threads one by one, and in groups with vectors of 32 and of 64 bytes.</summary>
[NonParallelizable, CancelAfter(600_000)]
public sealed class ConformanceTests
{
    static readonly string[] Families = [.. Rows.All.Select(r => Family(r.Form)).Distinct().Order()];

    /// <summary>First word of the form.</summary>
    static string Family(string form) => form.Split('.', ' ')[0].TrimStart('@');

    [TearDown]
    public void AsUsual() => SimdTests.Usual();

    [Test]
    public void EveryRowIsRight([ValueSource(nameof(Families))] string family, [Values(0, 32, 64)] int vectorBytes)
    {
        if (vectorBytes > 0) SimdTests.Always(vectorBytes);
        else ProgramBuilder.UseSimd = false;
        using RowKernel kernel = new();
        List<string> wrong = [];
        int rows = 0;
        foreach (InstructionRow row in Rows.All)
        {
            if (Family(row.Form) != family) continue;
            rows++;
            if (kernel.Run(row) is { } why) wrong.Add($"{row.Form}: {why}");
        }
        Assert.That(wrong, Is.Empty, $"{wrong.Count} of {rows} rows:\n{string.Join('\n', wrong.Take(40))}");
    }

    [Test]
    public void TheTableIsLarge() => Assert.That(Rows.All, Has.Count.GreaterThan(2000));
}
