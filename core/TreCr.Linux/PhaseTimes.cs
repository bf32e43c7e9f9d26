namespace TreCr.Linux;

/// <summary>What one step of a checkpoint spent its time on: named spans of CLOCK_MONOTONIC, one after the other. One thread at a time.</summary>
public sealed class PhaseTimes
{
    private readonly List<Phase> _all = [];
    private long _last = Sys.ClockNs(1);

    /// <summary>In order.</summary>
    public IReadOnlyList<Phase> All => _all;

    /// <summary>Forgets what was noted; the next span begins now.</summary>
    public void Restart()
    {
        _all.Clear();
        _last = Sys.ClockNs(1);
    }

    /// <summary>Ends a span that began with the one before.</summary>
    /// <param name="bytes">that it moved; 0: none, or not known</param>
    public void Mark(string name, long bytes = 0)
    {
        long now = Sys.ClockNs(1);
        _all.Add(new Phase(name, (now - _last) / 1000, bytes));
        _last = now;
    }

    /// <param name="Microseconds">of CLOCK_MONOTONIC</param>
    public readonly record struct Phase(string Name, long Microseconds, long Bytes);
}
