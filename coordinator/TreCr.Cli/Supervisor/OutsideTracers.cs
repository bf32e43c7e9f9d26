using System.Globalization;

namespace TreCr.Cli;

/// <summary>Debuggers that are attached to a job from outside of it. The engine cannot see them: their pids mean nothing in the job's pid namespace, and the kernel shows 0 there.</summary>
internal static class OutsideTracers
{
    /// <summary>Findings as the engine's own; of who is traced from within the job nothing, the engine tells that. Any thread; 20 µs for each thread of the job.</summary>
    /// <param name="init">pid 1 of the job, as seen here</param>
    /// <param name="engine">not the program's; 0: none</param>
    public static List<string> Find(int init, int engine)
    {
        HashSet<int> inside = [init];
        List<(string Who, int Tracer)> traced = [];
        Queue<int> next = new([init]);
        while (next.TryDequeue(out int pid))
        {
            try
            {
                foreach (string task in Directory.EnumerateDirectories($"/proc/{pid}/task"))
                {
                    foreach (string child in File.ReadAllText($"{task}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
                        if (int.Parse(child, CultureInfo.InvariantCulture) is var p && p != engine && inside.Add(p)) next.Enqueue(p);
                    string[] status = File.ReadAllLines($"{task}/status");
                    if (Value(status, "TracerPid:") is { Length: > 0 } tracer && tracer != "0")
                        traced.Add(($"thread {Value(status, "NSpid:").Split('\t')[^1]} ({Value(status, "Name:")})", int.Parse(tracer, CultureInfo.InvariantCulture)));
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { } // it has ended
        }
        List<string> findings = [];
        foreach (var (who, tracer) in traced)
        {
            string[] status = [];
            try { status = File.ReadAllLines($"/proc/{tracer}/status"); } catch (IOException) { continue; } // the debugger has ended
            // It may be a thread of its process.
            if (!inside.Contains(int.Parse(Value(status, "Tgid:"), CultureInfo.InvariantCulture))) findings.Add($"{who} is being traced (debugged) by process {tracer} ({Value(status, "Name:")}), outside the job");
        }
        return findings;
    }

    private static string Value(string[] status, string name) => status.FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal))?[name.Length..].Trim() ?? "0";
}
