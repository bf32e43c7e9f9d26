namespace TreCr.Store;

/// <summary>
/// Which zstd level a store's writers use, and how many threads: by what compressing costs and saves on the frames that come, and by how fast the place takes what is written. Both are measured on the way; nothing is known at first.
/// Any thread.
/// </summary>
/// <remarks>
/// A plain byte costs the slower of two: the processors, c(level) / threads, and the place, ratio(level) * d. The level with the least of that is taken, of equals the one that stores less. Now and then a frame is compressed at another
/// level, so that its figures stay true. d is known where the place was what writers waited for (the last sync took a tenth of the work or more); where it kept up, it is at least twice as fast as was needed, until that shows to be wrong.
/// </remarks>
internal sealed class CompressionChoice
{
    /// <summary>Fast ones are negative. Level 1 is what is used before anything is known.</summary>
    internal static readonly int[] Levels = [-5, 1, 3];

    internal const int FirstLevel = 1;

    /// <summary>One frame of so many is compressed at another level than the one chosen.</summary>
    private const int ProbeEvery = 64;

    /// <summary>Figures of so many plain bytes count; older ones fade.</summary>
    private const double WindowBytes = 32 << 20;

    private readonly int? _fixed;
    private readonly Lock _lock = new();
    private readonly double[] _plain = new double[Levels.Length], _nanoseconds = new double[Levels.Length], _stored = new double[Levels.Length];
    private double _otherNs, _otherBytes; // hashing and looking up, of all frames
    private double _placeNs; // a stored byte; 0: not known
    private int _chosen = Array.IndexOf(Levels, FirstLevel);

    /// <param name="level">always this one; null: chosen</param>
    internal CompressionChoice(int? level) => _fixed = level;

    /// <summary>The level of a writer's n-th frame.</summary>
    internal int LevelOf(long frame)
    {
        if (_fixed is { } level) return level;
        int chosen = Volatile.Read(ref _chosen);
        if (frame % ProbeEvery != ProbeEvery - 1) return Levels[chosen];
        int other = (int)(frame / ProbeEvery % (Levels.Length - 1));
        return Levels[other < chosen ? other : other + 1];
    }

    /// <summary>What compressing frames took.</summary>
    /// <param name="storedBytes">what became of them; those that do not compress as they are</param>
    internal void Compressed(int level, long plainBytes, long storedBytes, long nanoseconds)
    {
        int i = Array.IndexOf(Levels, level);
        if (i < 0 || plainBytes == 0) return;
        lock (_lock)
        {
            double fade = Math.Min(1, WindowBytes / (_plain[i] + plainBytes));
            _plain[i] = (_plain[i] + plainBytes) * fade;
            _stored[i] = (_stored[i] + storedBytes) * fade;
            _nanoseconds[i] = (_nanoseconds[i] + nanoseconds) * fade;
        }
    }

    /// <summary>A writer has ended.</summary>
    /// <param name="threads">it had</param><param name="workNs">of all of them, compressing, appending and all else</param><param name="compressNs">of that, compressing</param><param name="appendNs">of that, writing</param>
    /// <param name="plainBytes">that went through them</param>
    /// <param name="storedBytes">written</param><param name="syncNs">until all was durable</param>
    internal void Ended(int threads, long workNs, long compressNs, long appendNs, long plainBytes, long storedBytes, long syncNs)
    {
        const long Enough = 4 << 20; // less says nothing of a place
        if (storedBytes < Enough || plainBytes < Enough) return;
        lock (_lock)
        {
            double wall = workNs / (double)threads, perByte = (wall + syncNs) / storedBytes;
            _placeNs = syncNs * 10 >= wall ? perByte : Math.Min(_placeNs > 0 ? _placeNs : double.MaxValue, perByte / 2);
            (_otherNs, _otherBytes) = (workNs - compressNs - appendNs, plainBytes);
            Choose(threads);
        }
    }

    private void Choose(int threads)
    {
        int best = _chosen;
        double least = Cost(best, threads);
        for (int i = 0; i < Levels.Length; i++)
        {
            double cost = Cost(i, threads);
            if (cost < least * 0.97 || cost <= least * 1.001 && i != best && Ratio(i) < Ratio(best) * 0.99) (best, least) = (i, cost);
        }
        Volatile.Write(ref _chosen, best);
    }

    /// <summary>ns a plain byte; not known: none is worse.</summary>
    private double Cost(int i, int threads) => _plain[i] == 0 ? double.MaxValue : Math.Max(Work(i) / threads, Ratio(i) * _placeNs);

    private double Work(int i) => _nanoseconds[i] / _plain[i] + (_otherBytes == 0 ? 0 : _otherNs / _otherBytes);

    private double Ratio(int i) => _plain[i] == 0 ? 1 : _stored[i] / _plain[i];

    /// <summary>How many threads keep the place busy, with one to spare.</summary>
    /// <param name="most">where nothing is known, or where it is fast</param>
    internal int Threads(int most)
    {
        lock (_lock)
        {
            if (_fixed is not null || _placeNs == 0 || _plain[_chosen] == 0 || Ratio(_chosen) == 0) return most;
            return (int)Math.Clamp(Math.Ceiling(Work(_chosen) / (Ratio(_chosen) * _placeNs)) + 1, 1, most);
        }
    }

    /// <summary>The level that most frames get.</summary>
    internal int Level => _fixed ?? Levels[Volatile.Read(ref _chosen)];
}
