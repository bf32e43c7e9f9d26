using System.Globalization;
using TreCr.Linux;
using TreCr.Rank;

namespace TreCr.Cli;

/// <summary>What the steps of one checkpoint or restart took, printed on stderr where <c>TRECR_TIMING</c> is 1: a line per step, and per phase that engine and delegator tell.</summary>
/// <remarks>Any thread. A step ending in "all" is what the supervisor saw of it, the messages included; these add up to the stop time.</remarks>
internal sealed class StepTiming
{
    private static readonly bool s_wanted = Environment.GetEnvironmentVariable("TRECR_TIMING") == "1";

    private readonly List<(string Name, long Microseconds, long Bytes)> _rows = [];
    private long _last = Sys.ClockNs(1);

    /// <summary>The stop begins; what is marked from now on is part of it.</summary>
    public void BeginStop() => _last = Sys.ClockNs(1);

    /// <summary>A step of another process, as it tells it itself.</summary>
    /// <param name="notes">receives what the reply has to say besides; null: not wanted</param>
    public void Add(string step, Reply reply, List<string>? notes = null)
    {
        lock (_rows)
        {
            notes?.AddRange(reply.Findings);
            if (!s_wanted) return;
            _rows.Add((step, (long)reply.Microseconds, 0));
            foreach (PhaseTime phase in reply.Phases) _rows.Add(($"{step}: {phase.Name}", (long)phase.Microseconds, (long)phase.Bytes));
        }
    }

    /// <summary>A step of the stop has ended, which began with the end of the one before.</summary>
    public void Mark(string step)
    {
        long now = Sys.ClockNs(1);
        lock (_rows) _rows.Add((step, (now - _last) / 1000, 0));
        _last = now;
    }

    /// <param name="title">what it was, and what it took in all</param>
    public void Print(string title)
    {
        if (!s_wanted) return;
        lock (_rows)
        {
            List<string> lines = [$"timing of {title}:"];
            foreach ((string name, long microseconds, long bytes) in _rows)
                lines.Add($"  {name,-36} {Ms(microseconds),10} ms{(bytes > 0 ? $"  {Output.Bytes((ulong)bytes)}" : "")}");
            Output.Note(string.Join("\n", lines));
        }
    }

    public static string Ms(long microseconds) => (microseconds / 1000.0).ToString("0.00", CultureInfo.InvariantCulture);
}
