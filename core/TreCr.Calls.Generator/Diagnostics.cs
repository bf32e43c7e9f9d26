using Microsoft.CodeAnalysis;

namespace TreCr.Calls.Generator;

/// <summary>What can be wrong with a declaration. All are errors, reported at its line.</summary>
public static class Diagnostics
{
    public static readonly DiagnosticDescriptor UnknownLength = Rule("TRECR001", "Unknown length parameter", "'{0}': there is no integer parameter '{1}' to take the length from");
    public static readonly DiagnosticDescriptor PointerWithoutRule = Rule("TRECR002", "Pointer without attribute", "'{0}' of '{1}' is a pointer: say [Out], [In], [InBytes], [OutBytes] or [InString]");
    public static readonly DiagnosticDescriptor DuplicateId = Rule("TRECR003", "Duplicate call id", "call id {0} is already that of '{1}'");
    public static readonly DiagnosticDescriptor UnknownObject = Rule("TRECR004", "Unknown parameter", "'{0}' has no parameter '{1}'");
    public static readonly DiagnosticDescriptor CreatesNeedsOut = Rule("TRECR005", "[Creates] needs an [Out] parameter", "'{0}' of '{1}' is neither [Out] nor [ProgramAddress]: what is created must have a name");
    public static readonly DiagnosticDescriptor MissingCall = Rule("TRECR006", "Method without [Call]", "'{0}' has no [Call]: every method of a call table is a call");
    public static readonly DiagnosticDescriptor RuleOnValue = Rule("TRECR007", "Pointer attribute on a value", "'{0}' of '{1}' is not a pointer");
    public static readonly DiagnosticDescriptor UnsupportedType = Rule("TRECR008", "Type that a record cannot carry", "'{0}': type '{1}' is neither a number, nor an enum, nor a struct with one Value");
    public static readonly DiagnosticDescriptor NotPartial = Rule("TRECR009", "Class is not partial", "'{0}' must be partial to receive generated members{1}");
    public static readonly DiagnosticDescriptor NotACallTable = Rule("TRECR010", "Not a call table", "'{0}' has no [CallTable]{1}");
    public static readonly DiagnosticDescriptor WrongReturn = Rule("TRECR011", "Wrong return type", "'{0}' returns '{1}'; a call returns the library's result code, an enum");
    public static readonly DiagnosticDescriptor TooManyParameters = Rule("TRECR012", "Too many parameters", "'{0}' has more than 32 parameters{1}");

    private static readonly Dictionary<string, DiagnosticDescriptor> Rules = new[] { UnknownLength, PointerWithoutRule, DuplicateId, UnknownObject, CreatesNeedsOut, MissingCall,
        RuleOnValue, UnsupportedType, NotPartial, NotACallTable, WrongReturn, TooManyParameters }.ToDictionary(r => r.Id);

    public static DiagnosticDescriptor ById(string id) => Rules[id];

    private static DiagnosticDescriptor Rule(string id, string title, string message) => new(id, title, message, "TreCr.Calls", DiagnosticSeverity.Error, true);
}
