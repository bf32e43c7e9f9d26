using System.Diagnostics;
using System.Text;
using TreCr.Surface.Tests.Differential;

namespace TreCr.Surface.Tests;

/// <summary>`soak sequences`: random sequences of driver calls, seed after seed, every fourth with a kill and a restart in its middle.</summary>
internal static class SequenceSoak
{
    private const int Calls = 2000, RestartEvery = 4, ToldDifferences = 20;

    /// <returns>the report, and whether there was no difference</returns>
    public static (string Report, bool Whole) Run(int seed, TimeSpan limit)
    {
        Stopwatch time = Stopwatch.StartNew();
        List<string> differences = [];
        int sequences = 0, restarts = 0;
        for (; time.Elapsed < limit; sequences++)
        {
            bool restarted = sequences % RestartEvery == RestartEvery - 1;
            if (restarted) restarts++;
            differences.AddRange(SequenceRun.Differences(seed + sequences, Calls, restarted).Select(d => $"seed {seed + sequences}, call {d}"));
        }
        StringBuilder report = new();
        report.AppendLine("# soak sequences").AppendLine();
        report.AppendLine($"{DateTime.UtcNow:yyyy-MM-dd HH:mm} UTC, {Environment.ProcessorCount} cores, first seed {seed}. The same random driver calls by the wrapper (a program under `trecr run`) and on the software device itself; codes and values must be the same, and the codes those of the real driver.").AppendLine();
        report.AppendLine($"{sequences} sequences of {Calls} calls, {restarts} of them killed and restarted in the middle: {differences.Count} differences.");
        foreach (string difference in differences.Take(ToldDifferences)) report.AppendLine($"- {difference}");
        return (report.ToString(), differences.Count == 0);
    }
}
