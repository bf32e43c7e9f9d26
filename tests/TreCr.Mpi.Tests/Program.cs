using System.Diagnostics;

namespace TreCr.Mpi.Tests;

/// <summary><c>soak [--seed N] [--minutes M]</c>: more delays, and random runs until the time is over.</summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        int seed = Option(args, "--seed", 1), minutes = Option(args, "--minutes", 10);
        Stopwatch clock = Stopwatch.StartNew();
        try
        {
            foreach ((int ranks, int what, int delays, int stride) in new[] { (2, 0, 2, 3), (2, 1, 2, 2), (3, 1, 2, 4), (3, 0, 2, 6), (2, 2, 2, 7), (2, 3, 0, 40) })
            {
                using Explorer explorer = new(ranks);
                explorer.Explore(what, delays, stride);
                Console.WriteLine($"{ranks} ranks, program {what}, all schedules with up to {delays} delays at every {stride}. step: {explorer.Runs} runs, {explorer.BusyCuts} with messages under way at the checkpoint, 0 wrong ({clock.Elapsed.TotalSeconds:0} s)");
                if (clock.Elapsed.TotalMinutes > minutes) break;
            }
            int random = 0, busy = 0;
            for (int round = 0; clock.Elapsed.TotalMinutes < minutes || round == 0; round++)
            {
                using Explorer explorer = new(2 + round % 5);
                for (int i = 0; i < 500; i++) explorer.RunRandomly(seed++);
                (random, busy) = (random + explorer.Runs, busy + explorer.BusyCuts);
            }
            Console.WriteLine($"random, 2 to 6 ranks: {random} runs, {busy} with messages under way at the checkpoint, 0 wrong");
            return 0;
        }
        catch (ProtocolViolation e)
        {
            Console.WriteLine($"WRONG: {e.Message}");
            return 1;
        }
    }

    private static int Option(string[] args, string name, int otherwise) => Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length ? int.Parse(args[at + 1]) : otherwise;
}
