namespace TreCr.Process.Host;

/// <summary>Whether an engine that does the same again and again needs more time, memory or descriptors for it.</summary>
internal sealed class Growth(int enginePid)
{
    /// <summary>With fewer nothing can be said.</summary>
    public const int LeastRounds = 100;

    private readonly List<(long Ms, long RssKb, int Descriptors)> _rounds = [];

    public void Note(long ms)
    {
        try
        {
            string rss = File.ReadLines($"/proc/{enginePid}/status").First(l => l.StartsWith("VmRSS:"));
            _rounds.Add((ms, long.Parse(rss.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]), Directory.EnumerateFileSystemEntries($"/proc/{enginePid}/fd").Count()));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidOperationException) { } // another engine by now
    }

    /// <summary>The second quarter against the last; "GREW" where something did.</summary>
    public string Describe()
    {
        int quarter = _rounds.Count / 4;
        if (quarter == 0) return "not measured";
        var early = _rounds.Skip(quarter).Take(quarter).ToArray();
        var late = _rounds.TakeLast(quarter).ToArray();
        (double ms, double lateMs) = (Median(early.Select(r => r.Ms)), Median(late.Select(r => r.Ms)));
        (double rss, double lateRss) = (Median(early.Select(r => r.RssKb)), Median(late.Select(r => r.RssKb)));
        (int fds, int lateFds) = (early.Max(r => r.Descriptors), late.Max(r => r.Descriptors));
        bool grew = lateFds > fds || lateRss > 1.5 * rss + 16_384 || lateMs > 3 * ms + 20;
        return $"{(grew ? "GREW" : "none")}: a cycle {ms:0} then {lateMs:0} ms; engine {rss / 1024:0} then {lateRss / 1024:0} MiB, {fds} then {lateFds} descriptors";
    }

    private static double Median(IEnumerable<long> values)
    {
        long[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }
}
