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
                j.WriteStrings("kinds", Enum.GetValues<FaultKind>().Select(k => k.ToString().ToLowerInvariant()));
            });
        else
            foreach (FaultPoint point in points) Output.Line(point.ToString());
        return 0;
    }
}
