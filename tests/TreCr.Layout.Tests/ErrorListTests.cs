using System.Text.RegularExpressions;
using NUnit.Framework;

namespace TreCr.Layout.Tests;

/// <summary>docs/errors.md against the errors in the code.</summary>
public sealed partial class ErrorListTests
{
    private const string InCode = "coordinator/TreCr.Control/TrecrError.cs";

    [GeneratedRegex("""=\s*Add\((\d+),\s*(\d+),""")]
    private static partial Regex Added();

    /// <summary>A row: number, exit code of verbs other than run, meaning.</summary>
    [GeneratedRegex(@"^\| TRECR-(\d{4}) \| (\d+) \| (.*) \|\s*$", RegexOptions.Multiline)]
    private static partial Regex Row();

    private static (int Number, int ExitCode)[] Listed(Regex pattern, string text) =>
        [.. pattern.Matches(text).Select(m => (int.Parse(m.Groups[1].Value), int.Parse(m.Groups[2].Value)))];

    [Test]
    public void Every_error_is_explained_with_its_exit_code_and_no_other()
    {
        if (!File.Exists(Path.Combine(Repository.Root, InCode))) Assert.Ignore($"{InCode} does not exist yet");
        (int, int)[] inCode = Listed(Added(), Repository.Read(InCode));
        Assert.That(inCode, Is.Not.Empty);
        Assert.That(Listed(Row(), Repository.Read("docs/errors.md")), Is.EquivalentTo(inCode), "docs/errors.md and TrecrError.cs must list the same numbers and exit codes");
    }

    [Test]
    public void Every_explanation_says_something() =>
        Assert.That(Row().Matches(Repository.Read("docs/errors.md")).Where(m => m.Groups[3].Value.Length < 20).Select(m => m.Value), Is.Empty);

    [Test]
    public void Numbers_are_in_order_and_occur_once()
    {
        int[] numbers = [.. Listed(Row(), Repository.Read("docs/errors.md")).Select(r => r.Number)];
        Assert.That(numbers, Is.Ordered.And.Unique.And.Not.Empty);
    }
}
