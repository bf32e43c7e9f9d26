namespace TreCr.Process.Host;

/// <summary>
/// Plays the supervisor of a rank (first form) and its engine inside the namespace (second form) for the tests of the process engine.
/// <code>host run INIT SCENARIO PROGRAM [ARGS...]     host engine     host workload</code>
/// The third form is a program for the first.
/// </summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        try
        {
            return args switch
            {
                ["engine", ..] => EngineLoop.Run(),
                ["soak", var init, var sources, var seed, var minutes] => new Soak(init, sources, int.Parse(seed), double.Parse(minutes, System.Globalization.CultureInfo.InvariantCulture)).Run(),
                ["workload"] => Workload.Run().GetAwaiter().GetResult(),
                ["run", var init, var scenario, .. var command] => new Scenario(init, scenario, command).Run(),
                _ => 2,
            };
        }
        catch (Exception e)
        {
            Console.Error.WriteLine($"host: {e}");
            return 99;
        }
    }
}
