using Microsoft.CodeAnalysis;
using TreCr.Calls.Generator.Model;

namespace TreCr.Calls.Generator;

/// <summary>From symbols to models. Nothing of Roslyn's leaves this file.</summary>
internal static class Parse
{
    private static readonly SymbolDisplayFormat Full = SymbolDisplayFormat.FullyQualifiedFormat;

    /// <summary>A spec from its interface, in this compilation or a referenced one.</summary>
    public static SpecModel Spec(INamedTypeSymbol type)
    {
        List<Problem> problems = [];
        List<CallModel> calls = [];
        AttributeData? table = Find(type, "CallTableAttribute");
        if (table == null) problems.Add(Problem.At(Diagnostics.NotACallTable, type.Locations.FirstOrDefault(), type.Name));
        string library = table == null ? "Cuda" : EnumMember(table.ConstructorArguments[0]);
        foreach (IMethodSymbol method in type.GetMembers().OfType<IMethodSymbol>())
            if (Call(method, problems) is { } call)
                calls.Add(call);
        return new SpecModel(type.Name, type.ToDisplayString(Full), library, new([.. calls]), new([.. problems]));
    }

    /// <summary>Number and place of one call, to find two with one number. Kept apart from the models, which must not change when a line moves.</summary>
    public static CallNumber Number(GeneratorAttributeSyntaxContext context)
    {
        AttributeData? table = Find(context.TargetSymbol.ContainingType, "CallTableAttribute");
        string library = table == null ? "" : EnumMember(table.ConstructorArguments[0]);
        ushort id = context.Attributes[0].ConstructorArguments[0].Value is ushort value ? value : (ushort)0;
        return new CallNumber(library, id, context.TargetSymbol.Name, Problem.At(Diagnostics.DuplicateId, context.TargetSymbol.Locations[0], Hex(id)));
    }

    /// <summary>A class with [ExportsOf], [DispatchOf] or [BindingOf].</summary>
    public static EquatableArray<ConsumerModel> Consumers(GeneratorAttributeSyntaxContext context)
    {
        List<ConsumerModel> all = [];
        INamedTypeSymbol target = (INamedTypeSymbol)context.TargetSymbol;
        foreach (AttributeData attribute in context.Attributes)
        {
            if (attribute.ConstructorArguments.Length != 1 || attribute.ConstructorArguments[0].Value is not INamedTypeSymbol specType) continue;
            List<Problem> problems = [];
            Location where = attribute.ApplicationSyntaxReference?.GetSyntax().GetLocation() ?? context.TargetNode.GetLocation();
            if (context.TargetNode is Microsoft.CodeAnalysis.CSharp.Syntax.ClassDeclarationSyntax c && !c.Modifiers.Any(m => m.Text == "partial"))
                problems.Add(Problem.At(Diagnostics.NotPartial, where, target.Name));
            SpecModel spec = Spec(specType);
            // A fault of a spec in this compilation is reported at the spec; of a referenced one, here.
            if (Find(specType, "CallTableAttribute") == null) problems.Add(Problem.At(Diagnostics.NotACallTable, where, specType.Name));
            else if (!specType.Locations.Any(l => l.IsInSource))
                foreach (Problem p in spec.Problems) problems.Add(Problem.At(Diagnostics.ById(p.Id), where, p.A, p.B));
            string accessibility = target.DeclaredAccessibility == Accessibility.Public ? "public" : "internal";
            all.Add(new ConsumerModel(target.ContainingNamespace.IsGlobalNamespace ? "" : target.ContainingNamespace.ToDisplayString(), target.Name, accessibility, spec,
                new([.. target.GetMembers().OfType<IMethodSymbol>().Select(m => m.Name).Distinct()]), new([.. problems])));
        }
        return new([.. all]);
    }

    /// <summary>A class with [ResolverOf].</summary>
    public static ResolverModel Resolver(GeneratorAttributeSyntaxContext context) => new(context.TargetSymbol.ContainingNamespace.ToDisplayString(), context.TargetSymbol.Name,
        context.Attributes[0].ConstructorArguments[0].Value as string ?? "");

    /// <summary>A hand-written exported function; null where it has no entry point.</summary>
    public static ExportModel? Export(GeneratorAttributeSyntaxContext context)
    {
        IMethodSymbol method = (IMethodSymbol)context.TargetSymbol;
        string? entry = context.Attributes[0].NamedArguments.FirstOrDefault(a => a.Key == "EntryPoint").Value.Value as string;
        return entry == null ? null : new ExportModel(entry, "delegate* unmanaged<" + string.Concat(method.Parameters.Select(p => p.Type.ToDisplayString(Full) + ", "))
            + method.ReturnType.ToDisplayString(Full) + ">", method.ContainingType.ToDisplayString(Full) + "." + method.Name);
    }

    /// <summary>Lines of a file of names; comments begin with #.</summary>
    public static EquatableArray<NameRow> Names(string text) => new([.. text.Split('\n').Select(l => l.TrimEnd('\r')).Where(l => l.Length != 0 && l[0] != '#')
        .Select(l => l.Split('\t')).Where(f => f.Length == 4).Select(f => new NameRow(f[0], int.Parse(f[1], System.Globalization.CultureInfo.InvariantCulture), f[2], f[3]))]);

    private static CallModel? Call(IMethodSymbol method, List<Problem> problems)
    {
        Location where = method.Locations[0];
        AttributeData? call = Find(method, "CallAttribute");
        if (call == null)
        {
            problems.Add(Problem.At(Diagnostics.MissingCall, where, method.Name));
            return null;
        }
        string callClass = EnumMember(call.ConstructorArguments[1]);
        AttributeData? manual = Find(method, "ManualAttribute");
        if (method.ReturnType.TypeKind != TypeKind.Enum) problems.Add(Problem.At(Diagnostics.WrongReturn, where, method.Name, method.ReturnType.ToDisplayString()));
        if (method.Parameters.Length > 32) problems.Add(Problem.At(Diagnostics.TooManyParameters, where, method.Name));
        ParameterModel[] parameters = [.. method.Parameters.Select(p => Parameter(method, p, callClass != "Local", problems))];
        int creates = Named("CreatesAttribute"), destroys = Named("DestroysAttribute");
        if (creates >= 0 && parameters[creates].Role is not (ParameterRole.Out or ParameterRole.ProgramAddress))
            problems.Add(Problem.At(Diagnostics.CreatesNeedsOut, where, parameters[creates].Name, method.Name));
        return new CallModel(method.Name, method.ReturnType.ToDisplayString(Full), (ushort)call.ConstructorArguments[0].Value!, callClass, Flag(call, "Internal"),
            Flag(call, "Logged"), Flag(call, "NoContext"), manual != null, manual != null && Flag(manual, "Dispatch"), creates, destroys, new(parameters));

        int Named(string attributeName)
        {
            if (Find(method, attributeName) is not { } attribute) return -1;
            string wanted = (string)attribute.ConstructorArguments[0].Value!;
            int index = Array.FindIndex(parameters, p => p.Name == wanted);
            if (index < 0) problems.Add(Problem.At(Diagnostics.UnknownObject, where, method.Name, wanted));
            return index;
        }
    }

    private static ParameterModel Parameter(IMethodSymbol method, IParameterSymbol parameter, bool hasRecord, List<Problem> problems)
    {
        Location where = parameter.Locations[0];
        ITypeSymbol element = parameter.Type is IPointerTypeSymbol pointer ? pointer.PointedAtType : parameter.Type;
        bool isPointer = parameter.Type is IPointerTypeSymbol;
        ParameterRole role = ParameterRole.Value;
        bool optional = false;
        int length = -1;
        foreach (AttributeData attribute in parameter.GetAttributes())
        {
            ParameterRole? found = attribute.AttributeClass?.Name switch
            {
                "OutAttribute" => ParameterRole.Out,
                "InAttribute" => ParameterRole.In,
                "InBytesAttribute" => ParameterRole.InBytes,
                "OutBytesAttribute" => ParameterRole.OutBytes,
                "InStringAttribute" => ParameterRole.InString,
                "ProgramAddressAttribute" => ParameterRole.ProgramAddress,
                _ => null,
            };
            if (found == null || attribute.AttributeClass!.ContainingNamespace.ToDisplayString() != "TreCr.Calls") continue;
            role = found.Value;
            optional = Flag(attribute, "Optional");
            if (role is not (ParameterRole.InBytes or ParameterRole.OutBytes)) continue;
            string wanted = (string)attribute.ConstructorArguments[0].Value!;
            for (int i = 0; i < method.Parameters.Length; i++)
                if (method.Parameters[i].Name == wanted && IsInteger(method.Parameters[i].Type)) length = i;
            if (length < 0) problems.Add(Problem.At(Diagnostics.UnknownLength, where, parameter.Name, wanted));
        }
        string handle = Find(element, "HandleAttribute") is { } h ? EnumMember(h.ConstructorArguments[0]) : "";
        string wraps = Wrapped(element);
        if (isPointer && role is ParameterRole.Value)
        {
            role = ParameterRole.Raw;
            if (hasRecord) problems.Add(Problem.At(Diagnostics.PointerWithoutRule, where, parameter.Name, method.Name));
        }
        else if (!isPointer && role is not (ParameterRole.Value or ParameterRole.ProgramAddress))
            problems.Add(Problem.At(Diagnostics.RuleOnValue, where, parameter.Name, method.Name));
        else if (!isPointer && wraps.Length == 0 && !IsNumber(element))
            problems.Add(Problem.At(Diagnostics.UnsupportedType, where, parameter.Name, element.ToDisplayString()));
        if (role == ParameterRole.Value && handle.Length != 0) role = ParameterRole.Handle;
        return new ParameterModel(parameter.Name, parameter.Type.ToDisplayString(Full), element.ToDisplayString(Full), wraps, handle, role, optional, length);
    }

    private static string Wrapped(ITypeSymbol type)
    {
        if (type.TypeKind != TypeKind.Struct || type.SpecialType != SpecialType.None) return "";
        IPropertySymbol[] properties = [.. type.GetMembers().OfType<IPropertySymbol>().Where(p => !p.IsStatic && p.DeclaredAccessibility == Accessibility.Public)];
        if (properties.Length != 1 || properties[0].Name != "Value") return "";
        return properties[0].Type.SpecialType switch { SpecialType.System_Int32 => "int", SpecialType.System_UInt64 => "ulong", _ => "" };
    }

    private static bool IsInteger(ITypeSymbol type) => type.SpecialType is SpecialType.System_Int32 or SpecialType.System_UInt32 or SpecialType.System_UInt64
        or SpecialType.System_UIntPtr or SpecialType.System_Int64;

    private static bool IsNumber(ITypeSymbol type) => IsInteger(type) || type.TypeKind == TypeKind.Enum
        || type.SpecialType is SpecialType.System_Byte or SpecialType.System_UInt16 or SpecialType.System_Single or SpecialType.System_IntPtr;

    private static AttributeData? Find(ISymbol symbol, string name) => symbol.GetAttributes()
        .FirstOrDefault(a => a.AttributeClass?.Name == name && a.AttributeClass.ContainingNamespace.ToDisplayString() == "TreCr.Calls");

    private static bool Flag(AttributeData attribute, string name) => attribute.NamedArguments.Any(a => a.Key == name && a.Value.Value is true);

    private static string EnumMember(TypedConstant value) => value.Type!.GetMembers().OfType<IFieldSymbol>()
        .FirstOrDefault(f => f.HasConstantValue && Equals(f.ConstantValue, value.Value))?.Name ?? "";

    public static string Hex(ushort id) => "0x" + id.ToString("x4");
}
