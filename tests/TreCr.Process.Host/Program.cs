namespace TreCr.Process.Host;

/// <summary>
/// Plays the supervisor of a rank (first form) and its engine inside the namespace (second form) for the tests of the process engine.
/// <code>host run INIT SCENARIO PROGRAM [ARGS...]     host engine</code>
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
