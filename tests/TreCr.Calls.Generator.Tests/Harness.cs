using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace TreCr.Calls.Generator.Tests;

/// <summary>Runs the generator over source text against the real TreCr.Calls, Ring and Wrapper.Runtime assemblies.</summary>
internal static class Harness
{
    private static readonly MetadataReference[] References = [.. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
        .Where(p => !Path.GetFileName(p).StartsWith("TreCr.Calls.Generator", StringComparison.Ordinal)).Select(p => MetadataReference.CreateFromFile(p))];

    public static CSharpCompilation Compile(string source) => CSharpCompilation.Create("Sample",
        [CSharpSyntaxTree.ParseText("using System; using TreCr.Calls; using TreCr.Calls.Cuda;\n" + source, new CSharpParseOptions(LanguageVersion.Preview), "Sample.cs")], References,
        new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, allowUnsafe: true, nullableContextOptions: NullableContextOptions.Enable));

    public static GeneratorDriver Driver() => CSharpGeneratorDriver.Create([new CallsGenerator().AsSourceGenerator()], parseOptions: new CSharpParseOptions(LanguageVersion.Preview),
        driverOptions: new GeneratorDriverOptions(IncrementalGeneratorOutputKind.None, trackIncrementalGeneratorSteps: true));

    /// <summary>Errors of generator and compiler together, as <c>ID line</c> (1-based), without the "using" line.</summary>
    public static (string[] Errors, string[] Sources) Run(string source)
    {
        GeneratorDriver driver = Driver().RunGeneratorsAndUpdateCompilation(Compile(source), out Compilation result, out var problems);
        string[] errors = [.. problems.Concat(result.GetDiagnostics()).Where(d => d.Severity == DiagnosticSeverity.Error)
            .Select(d => $"{d.Id} {(d.Location.GetLineSpan().StartLinePosition.Line)}: {d.GetMessage()}").Distinct()];
        return (errors, [.. driver.GetRunResult().GeneratedTrees.Select(t => t.ToString())]);
    }
}
