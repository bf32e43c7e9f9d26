using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Text;

namespace TreCr.Calls.Generator.Model;

/// <summary>A finding and where it is, without a syntax tree (that would keep a compilation alive).</summary>
public sealed record Problem(string Id, string Path, int Start, int Length, int Line, int Column, int EndLine, int EndColumn, string A, string B)
{
    public static Problem At(DiagnosticDescriptor rule, Location? location, string a, string b = "")
    {
        if (location is not { IsInSource: true }) return new Problem(rule.Id, "", 0, 0, 0, 0, 0, 0, a, b);
        FileLinePositionSpan span = location.GetLineSpan();
        return new Problem(rule.Id, span.Path, location.SourceSpan.Start, location.SourceSpan.Length, span.StartLinePosition.Line, span.StartLinePosition.Character,
            span.EndLinePosition.Line, span.EndLinePosition.Character, a, b);
    }

    public Diagnostic ToDiagnostic() => Diagnostic.Create(Diagnostics.ById(Id), Path.Length == 0 && Length == 0 ? Location.None
        : Location.Create(Path, new TextSpan(Start, Length), new LinePositionSpan(new LinePosition(Line, Column), new LinePosition(EndLine, EndColumn))), A, B);
}
