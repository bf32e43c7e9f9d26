using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using NUnit.Framework;

namespace TreCr.Calls.Generator.Tests;

/// <summary>An edit that changes no declaration makes nothing new.</summary>
public class IncrementalTests
{
    private const string Source = """
        [CallTable(Library.Nccl)] public unsafe interface ISample { [Call(1, CallClass.Answer)] CUresult a([Out] CUstream* s); }
        [ExportsOf(typeof(ISample))] static unsafe partial class X;
        """;

    private static IncrementalStepRunReason[] Rerun(string edited)
    {
        CSharpCompilation first = Harness.Compile(Source);
        GeneratorDriver driver = Harness.Driver().RunGenerators(first);
        GeneratorRunResult result = driver.RunGenerators(Harness.Compile(edited)).GetRunResult().Results[0];
        return [.. new[] { CallsGenerator.SpecStep, CallsGenerator.ConsumerStep }.SelectMany(step => result.TrackedSteps[step]).SelectMany(s => s.Outputs).Select(o => o.Reason)];
    }

    [Test]
    public void A_comment_changes_nothing()
        => Assert.That(Rerun("// moved down a line\n" + Source), Is.All.AnyOf(IncrementalStepRunReason.Unchanged, IncrementalStepRunReason.Cached));

    [Test]
    public void A_changed_call_is_made_anew()
        => Assert.That(Rerun(Source.Replace("CallClass.Answer", "CallClass.Blocking", StringComparison.Ordinal)), Has.Some.EqualTo(IncrementalStepRunReason.Modified));
}
