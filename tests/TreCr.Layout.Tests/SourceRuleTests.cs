using System.Text.RegularExpressions;
using NUnit.Framework;

namespace TreCr.Layout.Tests;

/// <summary>Rules that all sources keep and that the compiler does not check.</summary>
public sealed partial class SourceRuleTests
{
    [GeneratedRegex("""(DllImport|LibraryImport)\s*\(\s*"(libc|libc\.so\.6|c|libdl|libpthread|libm|librt)(\.so[.0-9]*)?"|DllImport\s*\(\s*Libc|LibraryImport\s*\(\s*Libc""")]
    private static partial Regex LibcImport();

    [GeneratedRegex(@"\b(TODO|FIXME|XXX|HACK)\b")]
    private static partial Regex Unfinished();

    [GeneratedRegex(@"^namespace [\w.]+\s*(\{|$)", RegexOptions.Multiline)]
    private static partial Regex BlockNamespace();

    [GeneratedRegex(@"Version\s*=")]
    private static partial Regex PackageVersion();

    private static IEnumerable<string> Offenders(Regex pattern, IEnumerable<string> paths) => paths.Where(p => pattern.IsMatch(Repository.Read(p)));

    private static bool IsThisProject(string path) => path.StartsWith("tests/TreCr.Layout.Tests/");

    [Test]
    public void Libc_is_imported_in_TreCr_Linux_only() =>
        Assert.That(Offenders(LibcImport(), Repository.Files(".cs").Where(p => !p.StartsWith("core/TreCr.Linux/") && !IsThisProject(p))), Is.Empty);

    [Test]
    public void The_rule_for_libc_recognises_an_import() =>
        Assert.That(Offenders(LibcImport(), Repository.Files(".cs", "core/TreCr.Linux")), Is.Not.Empty);

    [Test]
    public void No_marks_of_unfinished_work() =>
        Assert.That(Offenders(Unfinished(), Repository.Files(".cs").Concat(Repository.Files(".cu", "samples")).Where(p => !IsThisProject(p))), Is.Empty);

    [Test]
    public void Namespaces_are_file_scoped() =>
        Assert.That(Offenders(BlockNamespace(), Repository.Files(".cs")), Is.Empty);

    [Test]
    public void Package_versions_stand_in_one_file() =>
        Assert.That(Repository.Files(".csproj").Where(p => Repository.Read(p).Split('\n').Any(l => l.Contains("<PackageReference") && PackageVersion().IsMatch(l))), Is.Empty);

    /// <summary>Style: mostly under 300 lines; over 800 wants a reason at the top, a comment that begins with "Long because".</summary>
    [Test]
    public void Long_files_give_a_reason() =>
        Assert.That(Repository.Files(".cs").Where(p => Repository.Read(p) is var text && text.Count(c => c == '\n') > 800 && !text[..Math.Min(400, text.Length)].Contains("Long because")), Is.Empty);

    [Test]
    public void Text_files_end_with_a_line_feed_and_have_no_carriage_returns() =>
        Assert.That(new[] { ".cs", ".csproj", ".props", ".proto", ".sh", ".md", ".cu", ".h" }.SelectMany(e => Repository.Files(e))
            .Where(p => Repository.Read(p) is var text && text.Length > 0 && (text.Contains('\r') || text[^1] != '\n')), Is.Empty);
}
