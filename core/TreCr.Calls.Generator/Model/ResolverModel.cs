namespace TreCr.Calls.Generator.Model;

/// <summary>A class with [ResolverOf].</summary>
public sealed record ResolverModel(string Namespace, string ClassName, string File);

/// <summary>A function that the library exports: hand-written or generated.</summary>
/// <param name="Pointer">type of a pointer to it</param>
/// <param name="Path">fully qualified method</param>
public sealed record ExportModel(string EntryPoint, string Pointer, string Path);

/// <summary>One line of a file of names.</summary>
public sealed record NameRow(string Name, int Version, string Symbol, string PerThread);
