using TreCr.Surface.Tests;

// stubs --minutes N --report FILE: exit code 0: every implemented function is missed by a case when it does nothing; 1: not; 2: usage.
if (args is not ["stubs", "--minutes", var minutes, "--report", var report]) return 2;
(string text, bool whole) = StubSoak.Run(TimeSpan.FromMinutes(int.Parse(minutes)));
File.WriteAllText(report, text);
Console.WriteLine($"soak stubs: {(whole ? "all functions proved" : "some are not")}; {report}");
return whole ? 0 : 1;
