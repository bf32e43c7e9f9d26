using System.Text;
using TreCr.Calls.Generator.Model;

namespace TreCr.Calls.Generator;

/// <summary>Facts of all calls of a compilation: CallTables.All and the text of calls.lock.</summary>
internal static partial class Emit
{
    public static string Tables(IEnumerable<SpecModel> specs)
    {
        CodeWriter w = CodeWriter.File("Facts of all calls.");
        w.Line("namespace TreCr.Calls.Dispatch;").Line();
        w.Open("partial class CallTables");
        w.Line("/// <summary>What calls.lock must hold: records are saved in snapshots, so that a number keeps its name, arguments and their kinds for ever.</summary>");
        StringBuilder text = new("# Call numbers and record layouts: an on-disk format. Written by ./build.sh; a number is never reused.\n# library id name class argument:kind ...\n");
        List<(SpecModel Spec, CallModel Call)> calls = [.. specs.SelectMany(s => s.Calls.Select(c => (s, c))).OrderBy(c => c.s.Library, StringComparer.Ordinal).ThenBy(c => c.c.Id)];
        foreach ((SpecModel spec, CallModel call) in calls)
            text.Append(spec.Library).Append(' ').Append(Parse.Hex(call.Id)).Append(' ').Append(call.Name).Append(' ').Append(call.Class)
                .Append(string.Concat(call.Parameters.Select(p => " " + p.Name + ":" + Kind(call, p)))).Append('\n');
        w.Line("public const string LockText = " + CodeWriter.Quote(text.ToString()) + ";").Line();
        w.Line("/// <summary>All calls, ordered by library and number.</summary>");
        w.Line("public static global::System.Collections.Generic.IReadOnlyList<CallTraits> All { get; } =");
        w.Open("new CallTraits[]");
        foreach ((SpecModel spec, CallModel call) in calls)
        {
            string creates = call.Creates < 0 ? "" : call.Parameters[call.Creates].HandleKind, destroys = call.Destroys < 0 ? "" : call.Parameters[call.Destroys].HandleKind;
            w.Line($"new(\"{call.Name}\", Library.{spec.Library}, {Parse.Hex(call.Id)}, CallClass.{call.Class}, {call.Parameters.Count}, {call.Stream}, {Bool(call.Creates >= 0)}, "
                + $"{Bool(call.Destroys >= 0)}, {Bool(call.Logged)}, HandleKind.{(creates.Length == 0 ? "None" : creates)}, HandleKind.{(destroys.Length == 0 ? "None" : destroys)}),");
        }
        w.Close(";");
        w.Close();
        return w.ToString();
    }

    private static string Bool(bool value) => value ? "true" : "false";

    private static string Kind(CallModel call, ParameterModel p)
    {
        string type = p.ElementType.Substring(p.ElementType.LastIndexOf('.') + 1);
        return p.Role switch
        {
            ParameterRole.Value or ParameterRole.Handle => type,
            ParameterRole.ProgramAddress => "address",
            ParameterRole.InBytes or ParameterRole.OutBytes => $"{p.Role}({call.Parameters[p.Length].Name})",
            ParameterRole.InString => "InString",
            ParameterRole.Raw => type + "*",
            _ => $"{p.Role}({type})",
        };
    }
}
