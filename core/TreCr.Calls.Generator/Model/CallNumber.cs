namespace TreCr.Calls.Generator.Model;

/// <summary>Number of a call, and the problem to report if another call has it too.</summary>
public sealed record CallNumber(string Library, ushort Id, string Name, Problem IfDouble);
