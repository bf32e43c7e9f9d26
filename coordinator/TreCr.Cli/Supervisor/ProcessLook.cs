using System.Globalization;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary>What /proc tells of a process that may end at any time.</summary>
internal static class ProcessLook
{
    private const ulong PF_EXITING = 4; // include/linux/sched.h

    /// <summary>Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat); 0: gone.</summary>
    public static long StartTime(int pid) => Fields(pid) is { } fields ? long.Parse(fields[19], CultureInfo.InvariantCulture) : 0;

    /// <summary>Its parent; 0: gone.</summary>
    public static int Parent(int pid) => Fields(pid) is { } fields ? int.Parse(fields[1], CultureInfo.InvariantCulture) : 0;

    /// <summary>Gone, ended, or on its way there: a deadly signal has reached it, or it has begun to exit.</summary>
    /// <remarks>Such a signal is SIGKILL in each thread's pending set until that thread takes it (kernel/signal.c, complete_signal).</remarks>
    public static bool IsEnding(int pid)
    {
        if (Fields(pid) is not { } fields || fields[0] is "Z" or "X" || (ulong.Parse(fields[6], CultureInfo.InvariantCulture) & PF_EXITING) != 0) return true;
        try
        {
            foreach (string line in File.ReadLines($"/proc/{pid}/status"))
                if (line.StartsWith("SigPnd:", StringComparison.Ordinal)) return (Convert.ToUInt64(line[7..].Trim(), 16) >> (Sys.SIGKILL - 1) & 1) != 0;
            return false;
        }
        catch (IOException) { return true; }
    }

    /// <returns>from the third on, the state; null: gone</returns>
    private static string[]? Fields(int pid)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{pid}/stat");
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields.Length > 19 ? fields : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return null; }
    }
}
