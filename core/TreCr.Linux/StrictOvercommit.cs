using System.Globalization;

namespace TreCr.Linux;

/// <summary>The kernel's strict accounting of private memory, vm.overcommit_memory=2: what could be written counts, whether it is or not.</summary>
public static class StrictOvercommit
{
    /// <summary>What may still be committed on this machine.</summary>
    /// <param name="root">where proc is; for tests</param>
    /// <returns>bytes, 0 or more; null: not strict, or unknown</returns>
    /// <remarks>Source: proc_meminfo(5), the kernel's overcommit-accounting.rst.</remarks>
    public static long? RestBytes(string root = "")
    {
        try
        {
            if (File.ReadAllText($"{root}/proc/sys/vm/overcommit_memory").Trim() != "2") return null;
            long? limit = null, used = null;
            foreach (string line in File.ReadLines($"{root}/proc/meminfo"))
            {
                limit ??= KiB(line, "CommitLimit:");
                used ??= KiB(line, "Committed_AS:");
            }
            return (limit - used) is { } rest ? Math.Max(0, rest << 10) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return null; }
    }

    private static long? KiB(string line, string name)
        => line.StartsWith(name, StringComparison.Ordinal) && long.TryParse(line.AsSpan(name.Length).TrimEnd("kB").Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out long kib) ? kib : null;
}
