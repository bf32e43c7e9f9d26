using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;

namespace TreCr.GpuCheck;

/// <summary>Proof 5 of the design: many fresh processes must get the same slot, and the driver's own addresses (globals, functions) should repeat.</summary>
internal static class ManySlots
{
    private static readonly TimeSpan One = TimeSpan.FromSeconds(30);

    /// <param name="limit">no process is begun after this</param>
    public static Findings Run(int processes, TimeSpan limit, int parallel, string ptxDirectory)
    {
        Findings findings = new();
        long start = Stopwatch.GetTimestamp();
        ConcurrentBag<JsonElement> reports = [];
        int next = 0;
        void Work()
        {
            while (Interlocked.Increment(ref next) is var n && n <= processes && Stopwatch.GetElapsedTime(start) < limit)
                // Every tenth reserves its slot after the modules are loaded.
                reports.Add(Child.Run(One, "child", n % 10 == 0 ? "slot-late" : "slot", "--ptx", ptxDirectory));
        }
        // The first alone: it fills the driver's cache of compiled kernels, and on a machine without a device the others need not run.
        reports.Add(Child.Run(One, "child", "slot", "--ptx", ptxDirectory));
        next = 1;
        // A machine without a device, or a driver that hangs: the others would only take time.
        bool hopeless = reports.First().TryGetProperty("error", out JsonElement text)
            && (text.GetString()!.StartsWith("no device", StringComparison.Ordinal) || text.GetString()!.StartsWith("not finished", StringComparison.Ordinal));
        if (!hopeless)
        {
            Thread[] threads = [.. Enumerable.Range(0, parallel).Select(_ => new Thread(Work))];
            foreach (Thread thread in threads) thread.Start();
            foreach (Thread thread in threads) thread.Join();
        }

        JsonElement[] all = [.. reports], good = [.. all.Where(r => r.GetProperty("pass").GetBoolean())];
        findings.Set("processes_wanted", processes);
        findings.Set("processes_run", all.Length);
        findings.Set("processes_good", good.Length);
        findings.Set("ms", (long)Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        if (all.Length < processes && !hopeless) findings.Set("cut_short_by", "time");
        findings.Set("errors", all.Where(r => r.TryGetProperty("error", out _)).Select(r => r.GetProperty("error").GetString()!).GroupBy(e => e)
            .OrderByDescending(g => g.Count()).Take(6).Select(g => $"{g.Count()} x {g.Key}"));
        int got = all.Count(r => r.TryGetProperty("slot", out _));
        findings.Set("processes_with_slot", got);
        findings.Set("processes_with_slot_after_modules", all.Count(r => r.TryGetProperty("slot", out _) && r.GetProperty("late").GetBoolean()));
        findings.Expect("same_slot_in_all", got == all.Length && all.Length == processes);
        if (good.Length == 0)
        {
            findings.Fail(hopeless ? text.GetString()! : "no process finished in order");
            return findings;
        }
        findings.Set("randomised", good.Count(r => r.GetProperty("randomised").GetBoolean()));
        foreach (string kind in new[] { "global.", "function.", "memory." })
        {
            bool repeats = true;
            foreach (string name in good[0].EnumerateObject().Select(p => p.Name).Where(n => n.StartsWith(kind, StringComparison.Ordinal)))
            {
                (string Address, int Count)[] seen = [.. good.GroupBy(r => r.GetProperty(name).GetString()!).Select(g => (g.Key, g.Count())).OrderByDescending(g => g.Item2)];
                findings.Set(name, seen.Length == 1 ? seen[0].Address : string.Join(", ", seen.Take(5).Select(s => $"{s.Address} x {s.Count}")) + $" ({seen.Length} values)");
                repeats &= seen.Length == 1;
            }
            findings.Expect($"addresses_repeat_{kind.TrimEnd('.')}", repeats);
        }
        findings.Expect("all_good", good.Length == processes);
        foreach (string time in new[] { "ms_init", "ms_modules", "ms_all" })
        {
            long[] values = [.. good.Select(r => r.GetProperty(time).GetInt64()).Order()];
            findings.Set($"{time}_median", values[values.Length / 2]);
        }
        return findings;
    }
}
