using TreCr.Surface.Tests;

// stubs --minutes N --report FILE: exit code 0: every implemented function is missed by a case when it does nothing.
// sequences --seed S --minutes N --report FILE: exit code 0: no difference. 1: not; 2: usage.
(string Text, bool Whole) result;
string name, report;
switch (args)
{
    case ["stubs", "--minutes", var minutes, "--report", var file]: (name, report, result) = ("stubs", file, StubSoak.Run(TimeSpan.FromMinutes(int.Parse(minutes)))); break;
    case ["sequences", "--seed", var seed, "--minutes", var minutes, "--report", var file]: (name, report, result) = ("sequences", file, SequenceSoak.Run(int.Parse(seed), TimeSpan.FromMinutes(int.Parse(minutes)))); break;
    default: return 2;
}
File.WriteAllText(report, result.Text);
Console.WriteLine($"soak {name}: {(result.Whole ? name == "stubs" ? "all functions proved" : "no difference" : name == "stubs" ? "some are not" : "differences")}; {report}");
return result.Whole ? 0 : 1;
