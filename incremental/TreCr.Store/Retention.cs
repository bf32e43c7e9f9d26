namespace TreCr.Store;

/// <summary>Which checkpoints of a job are kept: the last few, and of older ones the newest of each hour and of each day that has any.</summary>
/// <remarks>
/// Checkpoints are ordered by their number, never by their time, and no time is compared with now: where the clock jumped, back or ahead, a checkpoint falls into another hour, and none
/// is taken for newer or older than it is.
/// </remarks>
public sealed record Retention
{
    /// <summary>Newest checkpoints kept.</summary>
    public int Last { get; init; } = 3;

    /// <summary>So many hours (UTC) that have a checkpoint, counted from the newest one, keep their newest.</summary>
    public int Hourly { get; init; }

    /// <summary>The same for days (UTC).</summary>
    public int Daily { get; init; }

    /// <summary>Whether the times of checkpoints matter.</summary>
    internal bool LooksAtTimes => Hourly > 0 || Daily > 0;

    /// <summary>Decides for one job.</summary>
    /// <param name="createdUnixMs">of the checkpoints, by descending number</param>
    /// <returns>[createdUnixMs.Count]: whether each is kept</returns>
    public bool[] Keeps(IReadOnlyList<ulong> createdUnixMs)
    {
        const ulong HourMs = 3_600_000;
        HashSet<ulong> hours = [], days = [];
        bool[] keep = new bool[createdUnixMs.Count];
        for (int i = 0; i < keep.Length; i++)
        {
            ulong hour = createdUnixMs[i] / HourMs;
            keep[i] = i < Last | (hours.Count < Hourly && hours.Add(hour)) | (days.Count < Daily && days.Add(hour / 24));
        }
        return keep;
    }
}
