using Microsoft.CodeAnalysis;

namespace TreCr.Calls.Generator.Model;

/// <summary>A class whose public methods are exported.</summary>
internal sealed record LocalExportsModel(string Namespace, string ClassName, string Runtime, string Prefix, EquatableArray<LocalCallModel> Calls)
{
    private static readonly SymbolDisplayFormat Full = SymbolDisplayFormat.FullyQualifiedFormat;

    public static LocalExportsModel Of(INamedTypeSymbol type, AttributeData attribute)
    {
        string runtime = ((INamedTypeSymbol)attribute.ConstructorArguments[0].Value!).ToDisplayString(Full), prefix = (string)attribute.ConstructorArguments[1].Value!;
        LocalCallModel[] calls = [.. type.GetMembers().OfType<IMethodSymbol>()
            .Where(m => m is { MethodKind: MethodKind.Ordinary, DeclaredAccessibility: Accessibility.Public, IsStatic: true })
            .Select(m => new LocalCallModel(m.Name, m.ReturnsVoid ? "" : m.ReturnType.ToDisplayString(Full), new EquatableArray<LocalParameterModel>([.. m.Parameters.Select(Parameter)])))];
        return new LocalExportsModel(type.ContainingNamespace.ToDisplayString(), type.Name, runtime, prefix, new EquatableArray<LocalCallModel>([.. calls]));
    }

    private static LocalParameterModel Parameter(IParameterSymbol p)
    {
        IMethodSymbol? from = null;
        bool ownsErrors = false;
        for (ITypeSymbol? t = p.Type; t is not null; t = t.BaseType)
        {
            from ??= t.GetMembers("From").OfType<IMethodSymbol>().FirstOrDefault(m => m.IsStatic && m.Parameters.Length == 1);
            ownsErrors |= t.Name == "ErrorOwner";
        }
        string type = p.Type.WithNullableAnnotation(NullableAnnotation.NotAnnotated).ToDisplayString(Full);
        return new LocalParameterModel("@" + p.Name, from is null ? p.Type.ToDisplayString(Full) : from.Parameters[0].Type.ToDisplayString(Full), from is null ? "" : type, ownsErrors);
    }
}

/// <param name="ReturnType">empty: an error code that says success</param>
internal sealed record LocalCallModel(string Name, string ReturnType, EquatableArray<LocalParameterModel> Parameters);

/// <param name="RawType">as the program gives it</param><param name="Converted">type with the method From; empty: as it is</param><param name="OwnsErrors">its error handler hears when the call fails (ErrorOwner)</param>
internal sealed record LocalParameterModel(string Name, string RawType, string Converted, bool OwnsErrors);

/// <summary>A class that exports names which are refused.</summary>
internal sealed record RefusedExportsModel(string Namespace, string ClassName, string File, string Runtime, string Prefix)
{
    public static RefusedExportsModel Of(INamedTypeSymbol type, AttributeData attribute) => new(type.ContainingNamespace.ToDisplayString(), type.Name, (string)attribute.ConstructorArguments[0].Value!,
        ((INamedTypeSymbol)attribute.ConstructorArguments[1].Value!).ToDisplayString(SymbolDisplayFormat.FullyQualifiedFormat), (string)attribute.ConstructorArguments[2].Value!);
}
