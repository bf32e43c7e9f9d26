using TreCr.Ring.Tests;

// soak [--seed N] [--freezes N]: 10,000 random freezes, half of them with the delegator in a process of its own. delegator FDS: that process.
if (args.Length > 0 && args[0] == "delegator") return ProcessPeer.Serve(args[1..]);
if (args.Length == 0 || args[0] != "soak") return 2;
int seed = Environment.TickCount, freezes = 10_000;
for (int i = 1; i + 1 < args.Length; i += 2)
{
    if (args[i] == "--seed") seed = int.Parse(args[i + 1]);
    if (args[i] == "--freezes") freezes = int.Parse(args[i + 1]);
}
Console.WriteLine($"soak ring: {freezes} freezes, seed {seed}");
try
{
    Console.WriteLine("in one process: " + RingSoak.Run(freezes / 2, seed, processes: false));
    Console.WriteLine("in two processes: " + RingSoak.Run(freezes / 2, seed + 1, processes: true));
    return 0;
}
catch (InvalidOperationException e)
{
    Console.WriteLine("failed: " + e.Message);
    return 1;
}
