namespace TreCr.Store;

/// <summary>How much memory a writer may hold by default.</summary>
internal static class MemoryLimit
{
    private const long Most = 4L << 30, Least = 64L << 20;

    /// <summary>A quarter of MemAvailable, at most 4 GiB, at least 64 MiB. Source: proc_meminfo(5).</summary>
    internal static long Default()
    {
        try
        {
            foreach (string line in File.ReadLines("/proc/meminfo"))
            {
                if (!line.StartsWith("MemAvailable:", StringComparison.Ordinal)) continue;
                ReadOnlySpan<char> number = line.AsSpan("MemAvailable:".Length).Trim();
                if (number.EndsWith(" kB") && long.TryParse(number[..^3], out long kib)) return Math.Clamp(kib * 1024 / 4, Least, Most);
            }
        }
        catch (IOException) { }
        catch (UnauthorizedAccessException) { }
        return Least;
    }
}
