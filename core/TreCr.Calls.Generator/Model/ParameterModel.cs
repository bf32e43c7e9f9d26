namespace TreCr.Calls.Generator.Model;

/// <summary>One parameter of a call. Holds text only, no symbol.</summary>
/// <param name="Name">as declared, without @</param>
/// <param name="Type">fully qualified type as written in C#</param>
/// <param name="ElementType">of a pointer: what it points to; else the type itself</param>
/// <param name="Wraps">"int" or "ulong" where the (element) type is a struct with one Value; else ""</param>
/// <param name="HandleKind">member of HandleKind where the (element) type is a handle; else ""</param>
/// <param name="Length">index of the parameter that holds the length; -1 where there is none</param>
public sealed record ParameterModel(string Name, string Type, string ElementType, string Wraps, string HandleKind, ParameterRole Role, bool Optional, int Length)
{
    /// <summary>The name as an identifier, whatever keyword it may be.</summary>
    public string Identifier => "@" + Name;

    public bool IsPointer => Type.EndsWith("*", StringComparison.Ordinal);

    public bool IsStream => HandleKind == "Stream" && Role == ParameterRole.Handle;
}
