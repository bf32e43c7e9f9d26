using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using TreCr.Calls.Generator.Model;

namespace TreCr.Calls.Generator;

/// <summary>
/// From one declaration of a call: its checks (errors at its line), the facts table and lock text (in the assembly of the spec), and what consumers ask for with
/// [ExportsOf], [DispatchOf], [BindingOf], there or in another assembly.
/// </summary>
[Generator]
public sealed class CallsGenerator : IIncrementalGenerator
{
    /// <summary>Names of the tracked steps, for the test that looks whether they were cached.</summary>
    public const string SpecStep = "Spec", ConsumerStep = "Consumer";

    public void Initialize(IncrementalGeneratorInitializationContext context)
    {
        IncrementalValuesProvider<SpecModel> specs = context.SyntaxProvider
            .ForAttributeWithMetadataName("TreCr.Calls.CallTableAttribute", (node, _) => node is InterfaceDeclarationSyntax, (c, _) => Parse.Spec((INamedTypeSymbol)c.TargetSymbol))
            .WithTrackingName(SpecStep);
        context.RegisterSourceOutput(specs, (output, spec) => Report(output, spec.Problems));
        context.RegisterSourceOutput(specs.Collect(), Tables);
        IncrementalValuesProvider<CallNumber> numbers = context.SyntaxProvider
            .ForAttributeWithMetadataName("TreCr.Calls.CallAttribute", (node, _) => node is MethodDeclarationSyntax, (c, _) => Parse.Number(c));
        context.RegisterSourceOutput(numbers.Collect(), ReportDoubles);
        IncrementalValuesProvider<ConsumerModel> exporters = Consumer(context, "TreCr.Calls.ExportsOfAttribute", "Exports", Emit.Exports);
        Consumer(context, "TreCr.Calls.DispatchOfAttribute", "Dispatch", Emit.Dispatch);
        Consumer(context, "TreCr.Calls.BindingOfAttribute", "Binding", Emit.Binding);
        Resolver(context, exporters);
    }

    private static void Resolver(IncrementalGeneratorInitializationContext context, IncrementalValuesProvider<ConsumerModel> exporters)
    {
        IncrementalValuesProvider<ResolverModel> resolvers = context.SyntaxProvider
            .ForAttributeWithMetadataName("TreCr.Calls.ResolverOfAttribute", (node, _) => node is ClassDeclarationSyntax, (c, _) => Parse.Resolver(c));
        IncrementalValueProvider<ImmutableArray<ExportModel?>> written = context.SyntaxProvider
            .ForAttributeWithMetadataName("System.Runtime.InteropServices.UnmanagedCallersOnlyAttribute", (node, _) => node is MethodDeclarationSyntax, (c, _) => Parse.Export(c)).Collect();
        IncrementalValueProvider<ImmutableArray<(string File, EquatableArray<NameRow> Names)>> files = context.AdditionalTextsProvider
            .Select((text, cancel) => (Path.GetFileName(text.Path), Parse.Names(text.GetText(cancel)?.ToString() ?? ""))).Collect();
        context.RegisterSourceOutput(resolvers.Combine(written).Combine(exporters.Collect()).Combine(files), (output, all) =>
        {
            (((ResolverModel model, ImmutableArray<ExportModel?> hand), ImmutableArray<ConsumerModel> generated), ImmutableArray<(string File, EquatableArray<NameRow> Names)> texts) = all;
            EquatableArray<NameRow> names = texts.FirstOrDefault(t => t.File == model.File).Names;
            output.AddSource(model.ClassName + ".Resolver.g.cs", Emit.Resolver(model, [.. names], [.. hand.OfType<ExportModel>().Concat(generated.SelectMany(Emit.ExportsOf))]));
        });
    }

    private static IncrementalValuesProvider<ConsumerModel> Consumer(IncrementalGeneratorInitializationContext context, string attribute, string part, Func<ConsumerModel, string> emit)
    {
        IncrementalValuesProvider<ConsumerModel> consumers = context.SyntaxProvider
            .ForAttributeWithMetadataName(attribute, (node, _) => node is ClassDeclarationSyntax, (c, _) => Parse.Consumers(c))
            .SelectMany((all, _) => all).WithTrackingName(ConsumerStep);
        context.RegisterSourceOutput(consumers, (output, consumer) =>
        {
            Report(output, consumer.Problems);
            if (consumer.Problems.Count == 0 && consumer.Spec.Problems.Count == 0)
                output.AddSource($"{consumer.ClassName}.{consumer.Spec.Name}.{part}.g.cs", emit(consumer));
        });
        return consumers;
    }

    private static void Tables(SourceProductionContext output, ImmutableArray<SpecModel> specs)
    {
        if (specs.Length > 0 && specs.All(s => s.Problems.Count == 0)) output.AddSource("CallTables.g.cs", Emit.Tables(specs));
    }

    private static void ReportDoubles(SourceProductionContext output, ImmutableArray<CallNumber> numbers)
    {
        foreach (IGrouping<(string, ushort), CallNumber> same in numbers.GroupBy(n => (n.Library, n.Id)))
            foreach (CallNumber later in same.Skip(1)) output.ReportDiagnostic((later.IfDouble with { B = same.First().Name }).ToDiagnostic());
    }

    private static void Report(SourceProductionContext output, EquatableArray<Problem> problems)
    {
        foreach (Problem problem in problems) output.ReportDiagnostic(problem.ToDiagnostic());
    }
}
