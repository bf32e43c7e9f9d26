using TreCr.Linux;

namespace TreCr.Cli;

/// <summary><c>trecr faults list</c>.</summary>
internal static class FaultsVerb
{
    public static int Run(Arguments arguments)
    {
        if (arguments.Operands[0] != "list") throw arguments.Usage($"'{arguments.Operands[0]}': only list");
        FaultPoint[] points = [.. Enum.GetValues<FaultPoint>().Where(p => p != FaultPoint.None)];
        if (arguments.Json)
            Output.Json("trecr.faults/1", j =>
            {
                j.WriteStrings("points", points.Select(p => p.ToString()));
                j.WriteStrings("kinds", Enum.GetValues<FaultKind>().Select(Name));
                j.WriteObjects("kinds_of_points", points, p =>
                {
                    j.WriteString("point", p.ToString());
                    j.WriteStrings("kinds", Fault.KindsOf(p).Select(Name));
                });
            });
        else
        {
            List<string[]> rows = [["POINT", "KINDS"]];
            rows.AddRange(points.Select(p => (string[])[p.ToString(), string.Join(' ', Fault.KindsOf(p).Select(Name))]));
            Output.Table(rows);
        }
        return 0;
    }

    private static string Name(FaultKind kind) => kind.ToString().ToLowerInvariant();
}
