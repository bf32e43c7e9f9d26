using NUnit.Framework;

namespace TreCr.Wrapper.Tests;

/// <summary>SUPPORTED.md is what the declarations say, with the cases that soak stubs found; TRECR_UPDATE=1 rewrites it.</summary>
public class SupportedTests
{
    private static readonly string Root = Find();

    [Test]
    public void Supported_md_is_up_to_date()
    {
        string file = Path.Combine(Root, "SUPPORTED.md"), text = WithProofs();
        if (Environment.GetEnvironmentVariable("TRECR_UPDATE") == "1") File.WriteAllText(file, text);
        Assert.That(text, Is.EqualTo(File.ReadAllText(file)));
    }

    [Test]
    public void At_least_90_functions_are_proved()
        => Assert.That(WithProofs().Split('\n').Count(l => l.Contains(": proved by ")), Is.GreaterThanOrEqualTo(90));

    private static string WithProofs()
    {
        Dictionary<string, string> proofs = File.ReadLines(Path.Combine(Root, "docs/results/soak-stubs.md")).Where(l => l.StartsWith("| cu")).Select(l => l.Split(' ')).ToDictionary(w => w[1], w => w[3]);
        return string.Join('\n', Cuda.CudaNames.SupportedText.Split('\n').Select(l => !l.StartsWith("- ") ? l : l + (proofs.TryGetValue(l.Split(' ')[1], out string? by) ? $": proved by {by}" : ": not proved")));
    }

    private static string Find()
    {
        DirectoryInfo? at = new(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(at!.FullName, "TreCr.sln"))) at = at.Parent;
        return at.FullName;
    }
}
