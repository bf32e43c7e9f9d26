using TreCr.Samples.Tests;

// soak --seed N --minutes N --report FILE --state FILE: the whole fault sweep. Exit code 0: all as it must be; 1: a row failed, was never hit or not reached; 2: usage.
if (args.Length == 0 || args[0] != "soak") return 2;
int seed = Environment.TickCount, minutes = 60;
string report = "soak-faults.md", state = Path.Combine(Repository.Root, "out/soak-faults.state");
for (int i = 1; i + 1 < args.Length; i += 2)
{
    if (args[i] == "--seed") seed = int.Parse(args[i + 1]);
    if (args[i] == "--minutes") minutes = int.Parse(args[i + 1]);
    if (args[i] == "--report") report = args[i + 1];
    if (args[i] == "--state") state = args[i + 1];
}
FaultSoak soak = new(seed, TimeSpan.FromMinutes(minutes), state);
bool whole = soak.Run();
File.WriteAllText(report, soak.Report());
Console.WriteLine($"soak faults: {soak.Summary}; {report}");
return whole ? 0 : 1;
