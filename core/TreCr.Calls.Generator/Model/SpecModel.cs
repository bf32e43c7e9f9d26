namespace TreCr.Calls.Generator.Model;

/// <summary>A spec: an interface with [CallTable].</summary>
/// <param name="Library">member of Library</param>
/// <param name="FullName">fully qualified, with global::</param>
public sealed record SpecModel(string Name, string FullName, string Library, EquatableArray<CallModel> Calls, EquatableArray<Problem> Problems);

/// <summary>A class that asks for a generated part of a spec.</summary>
/// <param name="Members">names that the class has already (hand-written)</param>
public sealed record ConsumerModel(string Namespace, string ClassName, string Accessibility, SpecModel Spec, EquatableArray<string> Members, EquatableArray<Problem> Problems);
