using Microsoft.CodeAnalysis;

namespace TreCr.Calls.Generator.Model;

/// <summary>A class whose public methods are exported.</summary>
/// <param name="IsFortran">called by Fortran: arguments by reference, the error in one more, names in all spellings</param>
internal sealed record LocalExportsModel(string Namespace, string ClassName, string Runtime, string Prefix, bool IsFortran, EquatableArray<LocalCallModel> Calls)
{
    private static readonly SymbolDisplayFormat Full = SymbolDisplayFormat.FullyQualifiedFormat;

    public static LocalExportsModel Of(INamedTypeSymbol type, AttributeData attribute)
    {
        string runtime = ((INamedTypeSymbol)attribute.ConstructorArguments[0].Value!).ToDisplayString(Full), prefix = (string)attribute.ConstructorArguments[1].Value!;
        IMethodSymbol[] methods = [.. type.GetMembers().OfType<IMethodSymbol>().Where(IsExported)];
        List<LocalCallModel> calls = [];
        foreach (IMethodSymbol method in methods)
        foreach (LocalCallModel call in Variants(method))
        {
            calls.Add(call);
            LocalParameterModel[] all = [.. call.Parameters];
            // What takes other types with large counts is written by hand under its own name.
            if (!all.Any(p => p.LargeType.Length > 0) || methods.Any(m => m.Name == call.Name + "_c")) continue;
            calls.Add(call with { Name = call.Name + "_c", Parameters = new EquatableArray<LocalParameterModel>([.. all.Select(p => p.LargeType.Length == 0 ? p : p with { RawType = p.LargeType, Conversion = "FromLarge" })]) });
        }
        return new LocalExportsModel(type.ContainingNamespace.ToDisplayString(), type.Name, runtime, prefix, attribute.NamedArguments.Any(a => a.Key == "Fortran" && a.Value.Value is true), new EquatableArray<LocalCallModel>([.. calls]));

        static bool IsExported(IMethodSymbol m) => m is { MethodKind: MethodKind.Ordinary, DeclaredAccessibility: Accessibility.Public, IsStatic: true };
    }

    /// <summary>The method itself; or where it returns an operation, what can be done with that: run it, begin it, or prepare it to be begun again and again.</summary>
    private static IEnumerable<LocalCallModel> Variants(IMethodSymbol method)
    {
        LocalParameterModel[] own = [.. method.Parameters.Select(p => Parameter(p))];
        IMethodSymbol? Operation(string name) => method.ReturnType.GetMembers(name).OfType<IMethodSymbol>().FirstOrDefault(m => !m.IsStatic && m.DeclaredAccessibility == Accessibility.Public);
        if (Operation("Run") is null)
        {
            yield return new LocalCallModel(method.Name, method.Name, "", method.ReturnsVoid ? "" : method.ReturnType.ToDisplayString(Full), new EquatableArray<LocalParameterModel>(own));
            yield break;
        }
        int start = method.Name.IndexOf('_') + 1;
        string immediate = method.Name.Substring(0, start) + "I" + char.ToLowerInvariant(method.Name[start]) + method.Name.Substring(start + 1);
        // Libraries of MPI-3.1 have the third under a name of the extensions.
        string extension = method.Name.Insert(start - 1, "X");
        foreach ((string name, string operation) in new[] { (method.Name, "Run"), (immediate, "Begin"), (method.Name + "_init", "Init"), (extension + "_init", "Init") })
            if (Operation(operation) is { } does)
                yield return new LocalCallModel(name, method.Name, operation, "", new EquatableArray<LocalParameterModel>([.. own, .. does.Parameters.Select(p => Parameter(p) with { IsOfOperation = true })]));
    }

    private static LocalParameterModel Parameter(IParameterSymbol p)
    {
        IMethodSymbol? from = Conversion(p, "From"), large = Conversion(p, "FromLarge");
        string type = p.Type.WithNullableAnnotation(NullableAnnotation.NotAnnotated).ToDisplayString(Full);
        return new LocalParameterModel("@" + p.Name, from is null ? p.Type.ToDisplayString(Full) : Raw(from), from is null ? "" : type, "From", large is null ? "" : Raw(large), OwnsErrors(p.Type), false);

        static string Raw(IMethodSymbol conversion) => conversion.Parameters[0].Type.ToDisplayString(Full);
    }

    private static bool OwnsErrors(ITypeSymbol? type) => type is not null && (type.Name == "ErrorOwner" || OwnsErrors(type.BaseType));

    private static IMethodSymbol? Conversion(IParameterSymbol p, string name)
    {
        for (ITypeSymbol? t = p.Type; t is not null; t = t.BaseType)
            if (t.GetMembers(name).OfType<IMethodSymbol>().FirstOrDefault(m => m.IsStatic && m.Parameters.Length == 1) is { } found) return found;
        return null;
    }
}

/// <param name="Name">exported</param><param name="Method">that carries it out</param><param name="Operation">method of what that returns; empty: none</param>
/// <param name="ReturnType">empty: an error code that says success</param>
internal sealed record LocalCallModel(string Name, string Method, string Operation, string ReturnType, EquatableArray<LocalParameterModel> Parameters);

/// <param name="RawType">as the program gives it</param><param name="Converted">type with the conversion; empty: as it is</param><param name="Conversion">its method</param>
/// <param name="LargeType">as the program gives it to the function with large counts; empty: the same</param><param name="OwnsErrors">its error handler hears when the call fails (ErrorOwner)</param>
/// <param name="IsOfOperation">an argument of the operation</param>
internal sealed record LocalParameterModel(string Name, string RawType, string Converted, string Conversion, string LargeType, bool OwnsErrors, bool IsOfOperation);

/// <summary>A class that exports names which are refused.</summary>
internal sealed record RefusedExportsModel(string Namespace, string ClassName, string File, string Runtime, string Prefix)
{
    public static RefusedExportsModel Of(INamedTypeSymbol type, AttributeData attribute) => new(type.ContainingNamespace.ToDisplayString(), type.Name, (string)attribute.ConstructorArguments[0].Value!,
        ((INamedTypeSymbol)attribute.ConstructorArguments[1].Value!).ToDisplayString(SymbolDisplayFormat.FullyQualifiedFormat), (string)attribute.ConstructorArguments[2].Value!);
}
