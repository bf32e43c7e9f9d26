using System.Text;
using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>
/// Every fault point in every process that comes by, with every kind, at the 1st, 2nd, 3rd … time until a run ends without a hit (testing.md, "Faults");
/// each case with a job of its own, in an order that the seed picks.
/// </summary>
internal sealed class FaultSoak(int seed, TimeSpan limit)
{
    /// <summary>Points that a checkpoint passes hundreds of times are hit at about the 1.3-fold of the last time, to this bound.</summary>
    private const int LastNth = 400;

    private static readonly Sample[] s_samples = [FaultSweepTests.Small, new("pipeline", ["--chunks", "24", "--words", "4096", "--every", "2"], "pipeline: 24 chunks", 24)];
    private readonly List<Row> _rows = [];
    private readonly DateTime _begin = DateTime.UtcNow;
    private int _cases, _hits;

    private sealed record Row(Sample Sample, FaultCase First, bool OfRestart)
    {
        public List<int> Hit { get; } = [];
        public string Failure { get; set; } = "";
        public bool Done { get; set; }
    }

    public string Summary =>
        $"{_cases} cases, {_hits} hits, {_rows.Count(r => r.Failure.Length > 0)} failed, {_rows.Count(r => r.Done && r.Hit.Count == 0)} points never hit, {_rows.Count(r => !r.Done)} not reached in {limit.TotalMinutes} minutes";

    /// <returns>false: a case failed, or a point was never hit</returns>
    public bool Run()
    {
        foreach (Sample sample in s_samples)
            foreach (string kind in (string[])["kill", "errno", "delay"])
            {
                _rows.AddRange(FaultCase.Of(FaultCase.OfCheckpoint, kind).Select(f => new Row(sample, f, false)));
                _rows.AddRange(FaultCase.Of(FaultCase.OfRestart, kind).Select(f => new Row(sample, f, true)));
            }
        Row[] order = [.. _rows];
        new Random(seed).Shuffle(order);
        foreach (Row row in order)
        {
            if (DateTime.UtcNow - _begin > limit) break;
            Sweep(row);
            Console.WriteLine($"{row.Sample.Name} {row.First}: hit at {string.Join(' ', row.Hit)} {row.Failure}");
        }
        return _rows.All(r => r.Failure.Length == 0 && (!r.Done || r.Hit.Count > 0));
    }

    private void Sweep(Row row)
    {
        for (int nth = 1; nth <= LastNth; nth += 1 + nth / 3)
        {
            FaultCase fault = row.First with { Nth = nth };
            _cases++;
            try
            {
                using FaultSweep sweep = new(row.Sample);
                if (!(row.OfRestart ? Restart(sweep, fault) : Checkpoint(sweep, fault))) break;
            }
            catch (Exception e) when (e is not IgnoreException)
            {
                row.Failure = $"at {nth}: {e.Message.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).FirstOrDefault()}";
                break;
            }
            _hits++;
            row.Hit.Add(nth);
            if (DateTime.UtcNow - _begin > limit) return; // not done
        }
        row.Done = true;
    }

    private static bool Checkpoint(FaultSweep sweep, FaultCase fault)
    {
        bool hit = sweep.Checkpoint(fault);
        if (hit && fault.EndsTheProgram) sweep.RestartAfter(fault); else sweep.Finish();
        return hit;
    }

    private static bool Restart(FaultSweep sweep, FaultCase fault)
    {
        sweep.Kill();
        bool hit = sweep.FailRestart(fault);
        sweep.Restart(fault.ToString());
        return hit;
    }

    /// <summary>Markdown.</summary>
    public string Report()
    {
        StringBuilder text = new();
        text.AppendLine("# soak faults").AppendLine();
        text.AppendLine($"{_begin:yyyy-MM-dd HH:mm} UTC, seed {seed}, {Environment.ProcessorCount} cores, {Environment.OSVersion.VersionString}: {Summary}.").AppendLine();
        text.AppendLine("A case is one job: run, good checkpoint, checkpoint (or kill and restart) with the fault, then right result of the program that ran on, or of the restart from the");
        text.AppendLine("last good checkpoint; one start, one nonce; store verified; nothing left. \"Hit at\" says at which time the process passed the point; one more did not hit.").AppendLine();
        text.AppendLine("| sample | process | point | kind | hit at | failure |").AppendLine("|---|---|---|---|---|---|");
        foreach (Row r in _rows)
        {
            string hit = r.Hit.Count > 0 ? string.Join(' ', r.Hit) : r.Done ? "never" : "not reached in the time";
            text.AppendLine($"| {r.Sample.Name} | {r.First.Role} | {r.First.Point} | {r.First.Kind} | {hit} | {r.Failure.Replace('|', '/')} |");
        }
        return text.ToString();
    }
}
