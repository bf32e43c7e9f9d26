namespace TreCr.Store;

/// <summary>How much memory a writer may hold by default.</summary>
internal static class MemoryLimit
{
    private const long Most = 4L << 30, Least = 64L << 20;

    /// <summary>A quarter of MemAvailable or of what a control group allows, at most 4 GiB, at least 64 MiB. Source: proc_meminfo(5).</summary>
    internal static long Default() => Math.Clamp(Math.Min(Available(), GC.GetGCMemoryInfo().TotalAvailableMemoryBytes) / 4, Least, Most);

    private static long Available()
    {
        try
        {
            foreach (string line in File.ReadLines("/proc/meminfo"))
            {
                if (!line.StartsWith("MemAvailable:", StringComparison.Ordinal)) continue;
                ReadOnlySpan<char> number = line.AsSpan("MemAvailable:".Length).Trim();
                if (number.EndsWith(" kB") && long.TryParse(number[..^3], out long kib)) return kib * 1024;
            }
        }
        catch (IOException) { }
        catch (UnauthorizedAccessException) { }
        return 0;
    }
}
