using System.Text;
using NUnit.Framework;
using NUnit.Framework.Internal;

namespace TreCr.Samples.Tests;

/// <summary>
/// Every fault point in every process that comes by, with every kind that it takes, at the 1st, 2nd, 3rd … time until a run ends without a hit (testing.md, "Faults").
/// A row is one sample, point, process and kind, in an order that the seed picks, with jobs of its own: one where the program survives, one for each hit where it does not.
/// What is done stands in a state file, so that a run that was ended goes on where it was, as long as the build is the same.
/// </summary>
internal sealed class FaultSoak
{
    /// <summary>Points that a checkpoint passes hundreds of times are hit at about the 1.3-fold of the last time, to this bound.</summary>
    private const int LastNth = 400;

    private static readonly Sample[] s_samples = [FaultSweepTests.Small, new("pipeline", ["--chunks", "24", "--words", "4096", "--every", "2"], "pipeline: 24 chunks", 24)];
    private readonly List<FaultSoakRow> _rows = [];
    private readonly FaultSoakState _state;
    private readonly TimeSpan _limit;
    private readonly DateTime _begin = DateTime.UtcNow;

    public FaultSoak(int seed, TimeSpan limit, string stateFile)
    {
        _limit = limit;
        foreach (Sample sample in s_samples)
            foreach (string kind in FaultCase.Kinds)
            {
                _rows.AddRange(FaultCase.Of(FaultCase.OfCheckpoint, kind).Select(f => new FaultSoakRow(sample, f, false)));
                _rows.AddRange(FaultCase.Of(FaultCase.OfRestart, kind).Select(f => new FaultSoakRow(sample, f, true)));
            }
        _state = FaultSoakState.Open(stateFile, seed, _rows);
    }

    public string Summary =>
        $"{_rows.Count} rows, {_rows.Sum(r => r.Cases)} cases, {_rows.Sum(r => r.Hit.Count)} hits, {_rows.Count(r => r.Failure.Length > 0)} failed, {_rows.Count(r => r.Done && r.Hit.Count == 0)} never hit, {_rows.Count(r => !r.Done)} not done; {_state.Minutes:0} minutes";

    /// <returns>false: a row failed, a point was never hit, or time was up before the end</returns>
    public bool Run()
    {
        FaultSoakRow[] order = [.. _rows];
        new Random(_state.Seed).Shuffle(order);
        foreach (FaultSoakRow row in order.Where(r => !r.Done || r.Failure.Length > 0))
        {
            if (DateTime.UtcNow - _begin > _limit) break;
            DateTime start = DateTime.UtcNow;
            Sweep(row);
            _state.Note(row, DateTime.UtcNow - start);
            Console.WriteLine($"{DateTime.UtcNow:HH:mm:ss} {row.Sample.Name} {row.First}: hit at {string.Join(' ', row.Hit)} {row.Failure}");
        }
        return _rows.All(r => r.Done && r.Failure.Length == 0 && r.Hit.Count > 0);
    }

    private static void Sweep(FaultSoakRow row)
    {
        row.Clear();
        using TestExecutionContext.IsolatedContext own = new(); // NUnit would tell an earlier row's failure again
        FaultSweep? sweep = null;
        int nth = 1;
        try
        {
            for (bool hit = true; hit && nth <= LastNth; nth += 1 + nth / 3)
            {
                FaultCase fault = row.First with { Nth = nth };
                row.Cases++;
                bool begins = sweep is null;
                sweep ??= new FaultSweep(row.Sample);
                if (begins && row.OfRestart) sweep.Kill();
                hit = row.OfRestart ? sweep.FailRestart(fault) : sweep.Checkpoint(fault);
                if (!hit) break;
                row.Hit.Add(nth);
                if (row.OfRestart || !fault.EndsTheProgram) continue;
                sweep.RestartAfter(fault);
                sweep.Dispose();
                sweep = null;
            }
            if (row.OfRestart) sweep?.Restart(row.First.ToString()); else sweep?.Finish();
        }
        catch (Exception e) when (e is not IgnoreException)
        {
            row.Failure = $"at {nth}: {string.Join(' ', e.Message.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Take(2))}";
        }
        finally { sweep?.Dispose(); }
        row.Done = true;
    }

    /// <summary>Markdown.</summary>
    public string Report()
    {
        StringBuilder text = new();
        text.AppendLine("# soak faults").AppendLine();
        text.AppendLine($"{DateTime.UtcNow:yyyy-MM-dd HH:mm} UTC, seed {_state.Seed}, build {_state.Build}, {Environment.ProcessorCount} cores, {Environment.OSVersion.VersionString}: {Summary}.").AppendLine();
        text.AppendLine("A row is a job: run, good checkpoint, then for each time that the process passes the point a checkpoint (or a restart) with the fault and a good one; at the end, or where the");
        text.AppendLine("fault ended the program, the right result of the program that ran on or of the restart from the last good checkpoint; one start, one nonce; store verified; nothing left.");
        text.AppendLine("\"Hit at\" says at which times the fault fired; one more did not hit.").AppendLine();
        text.AppendLine("| sample | process | point | kind | hit at | failure |").AppendLine("|---|---|---|---|---|---|");
        foreach (FaultSoakRow r in _rows)
        {
            string hit = r.Hit.Count > 0 ? string.Join(' ', r.Hit) : r.Done ? "never" : "not reached in the time";
            text.AppendLine($"| {r.Sample.Name} | {r.First.Role} | {r.First.Point} | {r.First.Kind} | {hit} | {r.Failure.Replace('|', '/')} |");
        }
        return text.ToString();
    }
}
