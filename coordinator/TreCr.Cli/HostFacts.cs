namespace TreCr.Cli;

/// <summary>What an image depends on of its machine.</summary>
internal static class HostFacts
{
    public static string HostName { get; } = File.ReadAllText("/proc/sys/kernel/hostname").Trim();

    public static string KernelRelease { get; } = ReadLine("/proc/sys/kernel/osrelease");

    public static string Machine => "x86_64";

    /// <summary>CPU features, as /proc/cpuinfo names them.</summary>
    public static IReadOnlyList<string> CpuFlags { get; } = Flags();

    private static string[] Flags()
    {
        try
        {
            foreach (string line in File.ReadLines("/proc/cpuinfo"))
                if (line.StartsWith("flags", StringComparison.Ordinal)) return line[(line.IndexOf(':') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        }
        catch (IOException) { }
        return [];
    }

    public static string ReadLine(string path)
    {
        try { return File.ReadLines(path).FirstOrDefault()?.Trim() ?? ""; }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return ""; }
    }
}
