using System.Globalization;
using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>Limits of another process. Source: getrlimit(2), proc(5).</summary>
internal static unsafe class ResourceLimits
{
    /// <summary>RLIMIT_ numbers.</summary>
    public const int Kinds = 16;

    /// <returns>[2 × <see cref="Kinds"/>]: soft, hard; all ones: none</returns>
    public static ulong[] Of(int pid)
    {
        ulong[] limits = new ulong[2 * Kinds];
        fixed (ulong* limit = limits)
        {
            for (int i = 0; i < Kinds; i++)
            {
                long result = Sys.Raw(SyscallNumber.Prlimit64, pid, i, 0, (long)(limit + 2 * i));
                if (result == -Errno.EPERM) return Listed(pid); // of another user, and CAP_SYS_RESOURCE is not there, as in containers
                Sys.Check(result, "prlimit", $"process {pid}");
            }
        }
        return limits;
    }

    /// <summary>As /proc shows them: a line each, by number, whose columns begin where those of the first line do.</summary>
    private static ulong[] Listed(int pid)
    {
        string[] lines = ProcText.Read($"/proc/{pid}/limits").Split('\n');
        int soft = lines[0].IndexOf("Soft Limit", StringComparison.Ordinal), hard = lines[0].IndexOf("Hard Limit", StringComparison.Ordinal);
        if (soft < 0 || hard < 0 || lines.Length <= Kinds) throw new IOException($"/proc/{pid}/limits has another form");
        return [.. lines.Skip(1).Take(Kinds).SelectMany(line => new[] { Value(line[soft..hard]), Value(line[hard..]) })];
    }

    private static ulong Value(string column)
    {
        string word = column.Trim().Split(' ')[0];
        return word == "unlimited" ? ulong.MaxValue : ulong.Parse(word, CultureInfo.InvariantCulture);
    }
}
