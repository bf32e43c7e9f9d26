using System.Text.RegularExpressions;

namespace TreCr.Samples.Tests;

/// <summary>A sample program with the options that the tests give it, and what its output means (docs/samples.md).</summary>
/// <param name="Name">file below samples/ and out/samples/</param>
/// <param name="Arguments">sizes for a software device</param>
/// <param name="ResultLine">start of the line that holds the fingerprint of the result</param>
/// <param name="Launches">kernels launched in a whole run</param>
public sealed partial record Sample(string Name, string[] Arguments, string ResultLine, int Launches)
{
    public static readonly Sample[] All =
    [
        new("heat2d", ["--size", "256", "--steps", "120", "--every", "4"], "heat2d: field ", 121),
        new("nbody", ["--bodies", "256", "--steps", "120", "--every", "4"], "nbody: state ", 240),
        new("histogram", ["--words", "65536", "--rounds", "60", "--every", "2"], "histogram: bins ", 180),
        new("pipeline", ["--chunks", "60", "--words", "16384", "--every", "2"], "pipeline: 60 chunks", 60),
        new("vectoradd_driver", ["--elements", "65536", "--rounds", "600", "--every", "20"], "vectoradd_driver: result ", 600),
    ];

    /// <summary>The program; the test programs outside of samples/ lie elsewhere.</summary>
    public string Path { get; init; } = System.IO.Path.Combine(Repository.Root, "out/samples", Name);

    [GeneratedRegex(@"^\w+: (step|round|chunk) (\d+) of (\d+)")]
    private static partial Regex Progress();

    [GeneratedRegex(@"^\w+: (begin|end) nonce=([0-9a-f]{32}) starts=(-?\d+) launches=(\d+)$")]
    private static partial Regex Mark();

    [GeneratedRegex("nonce=[0-9a-f]{32}")]
    private static partial Regex Nonce();

    /// <summary>The number of the unit of work that a line of progress names; 0 for other lines.</summary>
    public static int Unit(string line) => Progress().Match(line) is { Success: true } m ? int.Parse(m.Groups[2].Value) : 0;

    /// <summary>The first or last line's figures; null when there is no such line.</summary>
    public static RunMark? MarkOf(IEnumerable<string> lines, string when) =>
        lines.Select(l => Mark().Match(l)).Where(m => m.Success && m.Groups[1].Value == when)
            .Select(m => new RunMark(m.Groups[2].Value, long.Parse(m.Groups[3].Value), long.Parse(m.Groups[4].Value))).FirstOrDefault();

    /// <summary>Output of two runs can be compared when the nonce is taken out.</summary>
    public static string[] WithoutNonce(IEnumerable<string> lines) => [.. lines.Select(l => Nonce().Replace(l, "nonce="))];

    public override string ToString() => Name;
}
