using System.Xml.Linq;
using NUnit.Framework;

namespace TreCr.Layout.Tests;

/// <summary>Project references against the table in ARCHITECTURE.md.</summary>
public sealed class ReferenceTests
{
    private static readonly ReferenceTable s_table = ReferenceTable.Parse(Repository.Read("ARCHITECTURE.md"));

    /// <summary>Libraries referenced by each project; analyzers are not libraries.</summary>
    private static Dictionary<string, IReadOnlyList<string>> References(Func<string, bool> ofPath) =>
        Repository.Files(".csproj").Where(ofPath).ToDictionary(
            path => Path.GetFileNameWithoutExtension(path),
            IReadOnlyList<string> (path) => [.. XDocument.Parse(Repository.Read(path)).Descendants("ProjectReference")
                .Where(r => (string?)r.Attribute("OutputItemType") != "Analyzer")
                .Select(r => Path.GetFileNameWithoutExtension(((string)r.Attribute("Include")!).Replace('\\', '/')))]);

    [Test]
    public void Projects_reference_only_what_the_table_allows() =>
        Assert.That(s_table.Violations(References(path => !path.StartsWith("tests/"))), Is.Empty);

    [Test]
    public void Every_row_of_the_table_is_a_project() =>
        Assert.That(s_table.Projects.Select(p => "TreCr." + p), Is.EquivalentTo(References(path => !path.StartsWith("tests/")).Keys));

    [Test]
    public void Nothing_references_a_test_project() =>
        Assert.That(References(_ => true).SelectMany(p => p.Value.Select(used => (p.Key, used))).Where(r => r.used.EndsWith(".Tests")), Is.Empty);

    [Test]
    public void Nothing_references_the_generator_as_a_library() =>
        Assert.That(References(path => !path.StartsWith("tests/")).Where(p => p.Value.Contains("TreCr.Calls.Generator")).Select(p => p.Key), Is.Empty);

    [Test]
    public void A_forbidden_reference_is_found()
    {
        ReferenceTable table = ReferenceTable.Parse("<!-- references:begin -->\n| project | may |\n|---|---|\n| TreCr.A | B |\n| TreCr.C | * |\n| TreCr.D | |\n<!-- references:end -->");
        Dictionary<string, IReadOnlyList<string>> used = new() { ["TreCr.A"] = ["TreCr.B", "TreCr.C"], ["TreCr.C"] = ["TreCr.A"], ["TreCr.D"] = ["TreCr.A"], ["TreCr.E"] = [] };
        Assert.That(table.Violations(used), Is.EqualTo(new[]
        {
            "TreCr.A must not reference TreCr.C", "TreCr.D must not reference TreCr.A", "TreCr.E is not in the table of ARCHITECTURE.md",
        }));
    }

    [Test]
    public void Every_project_is_in_the_solution_and_the_other_way_round()
    {
        string[] inSolution = [.. Repository.Read("TreCr.sln").Split('"').Where(s => s.EndsWith(".csproj")).Select(s => s.Replace('\\', '/')).Order()];
        Assert.That(inSolution, Is.EqualTo(Repository.Files(".csproj").Order().ToArray()));
    }
}
