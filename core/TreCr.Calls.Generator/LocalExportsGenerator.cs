using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using TreCr.Calls.Generator.Model;

namespace TreCr.Calls.Generator;

/// <summary>
/// Exports of calls that are carried out in the program itself (MPI): for every public method of a class with [LocalExports] a function of its name, and one of its name
/// behind the prefix (PMPI_). A parameter of a type with a static method <c>From</c> is taken as that method's parameter and converted; what a method throws becomes the
/// error code that the class's runtime makes of it. Where such a type also has <c>FromLarge</c>, there is a function with large counts too (MPI_Send_c). A method that
/// returns an object with the methods <c>Run</c>, <c>Begin</c> and <c>Init</c> is these functions: MPI_Bcast, MPI_Ibcast, MPI_Bcast_init and MPIX_Bcast_init.
/// </summary>
[Generator]
public sealed class LocalExportsGenerator : IIncrementalGenerator
{
    public void Initialize(IncrementalGeneratorInitializationContext context)
    {
        IncrementalValuesProvider<LocalExportsModel> classes = context.SyntaxProvider
            .ForAttributeWithMetadataName("TreCr.Calls.LocalExportsAttribute", (node, _) => node is ClassDeclarationSyntax, (c, _) => LocalExportsModel.Of((INamedTypeSymbol)c.TargetSymbol, c.Attributes[0]));
        context.RegisterSourceOutput(classes, (output, model) => output.AddSource(model.ClassName + ".Exports.g.cs", Emit.LocalExports(model)));
        IncrementalValuesProvider<(string File, EquatableArray<string> Names)> files = context.AdditionalTextsProvider
            .Select((text, cancel) => (Path.GetFileName(text.Path), new EquatableArray<string>([.. (text.GetText(cancel)?.ToString() ?? "").Split(['\n'], StringSplitOptions.RemoveEmptyEntries)])));
        IncrementalValuesProvider<RefusedExportsModel> refused = context.SyntaxProvider
            .ForAttributeWithMetadataName("TreCr.Calls.RefusedExportsAttribute", (node, _) => node is ClassDeclarationSyntax, (c, _) => RefusedExportsModel.Of((INamedTypeSymbol)c.TargetSymbol, c.Attributes[0]));
        context.RegisterSourceOutput(refused.Combine(files.Collect()), (output, both) =>
            output.AddSource(both.Left.ClassName + ".Exports.g.cs", Emit.RefusedExports(both.Left, [.. both.Right.FirstOrDefault(f => f.File == both.Left.File).Names])));
    }
}
