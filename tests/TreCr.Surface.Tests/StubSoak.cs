using System.Text;

namespace TreCr.Surface.Tests;

/// <summary><c>./build.sh soak stubs</c>: each implemented function once replaced by "return success, do nothing".</summary>
internal static class StubSoak
{
    public const string ReportPath = "docs/results/soak-stubs.md";

    /// <returns>the report; whether each function was missed by a case</returns>
    public static (string Report, bool Whole) Run(TimeSpan limit)
    {
        DateTime begin = DateTime.UtcNow;
        Dictionary<string, (string Case, string Reason)> found = SurfaceProgram.Stub(SurfaceProgram.Functions, limit);
        string[] functions = SurfaceProgram.Functions, silent = [.. functions.Where(f => !found.TryGetValue(f, out var c) || c.Case.Length == 0)];
        StringBuilder text = new();
        text.AppendLine("# soak stubs").AppendLine();
        text.AppendLine($"{begin:yyyy-MM-dd HH:mm} UTC: {functions.Length - silent.Length} of {functions.Length} implemented functions are proved: replaced by \"return success, do nothing\", each turned a named case red.").AppendLine();
        text.AppendLine("Cases are those of tests/TreCr.Surface.Tests/Programs; each is also run unreplaced, through cuGetProcAddress, in its per-thread form, and with checkpoint, kill and restart.").AppendLine();
        text.AppendLine($"No case misses: {(silent.Length == 0 ? "none" : string.Join(", ", silent))}.").AppendLine();
        text.AppendLine("| function | case | what it saw |").AppendLine("|---|---|---|");
        foreach (string f in functions.Except(silent))
        {
            (string name, string reason) = found[f];
            // Figures of one run would make each report differ.
            text.AppendLine($"| {f} | {name} | `{reason.Split(" is ")[0].Replace("|", "\\|")}` |");
        }
        return (text.ToString(), silent.Length == 0);
    }

    /// <summary>Functions with a row in a report.</summary>
    public static IEnumerable<string> Proved(string report) => report.Split('\n').Where(l => l.StartsWith("| cu")).Select(l => l.Split(' ')[1]);
}
