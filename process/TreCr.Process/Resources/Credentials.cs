using System.Globalization;
using TreCr.Images;
using TreCr.Process.Launch;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>
/// Users and groups of processes that have become another user: servers that root starts. All other processes belong to whom the job belongs to, and after a restart to who restarts it. Source: credentials(7),
/// user_namespaces(7).
/// </summary>
internal static class Credentials
{
    private const int CAP_SETGID = 6, CAP_SETUID = 7;

    /// <summary>This engine's, which never change: looked at once, not for each process that stands still.</summary>
    private static readonly Lazy<ProcStatus> s_own = new(() => ProcStatus.Read(Environment.ProcessId));

    /// <returns>null: it has this engine's</returns>
    public static CredentialsImage? Capture(ProcStatus status)
    {
        if (Array.TrueForAll((string[])["Uid", "Gid", "Groups"], line => status[line] == s_own.Value[line])) return null;
        CredentialsImage image = new();
        image.Users.AddRange(Ids(status["Uid"]));
        image.Groups.AddRange(Ids(status["Gid"]));
        image.Supplementary.AddRange(Ids(status["Groups"]));
        return image;
    }

    /// <returns>null: this engine can have a process become that</returns>
    /// <exception cref="ImageException">these are no credentials</exception>
    public static string? WhyNot(ProcessImage process)
    {
        if (process.Credentials is not { } wanted) return null;
        if (wanted.Users.Count != 4 || wanted.Groups.Count != 4) throw new ImageException($"users and groups of process {process.Pid} are damaged");
        ulong may = CapabilitySets.OfThisProcess().Effective;
        bool can = (may >> CAP_SETUID & 1) != 0 && (may >> CAP_SETGID & 1) != 0
            && wanted.Users.All(id => IsMapped("uid_map", id)) && wanted.Groups.Concat(wanted.Supplementary).All(id => IsMapped("gid_map", id));
        return can ? null : $"process {process.Pid} has become user {wanted.Users[1]}, group {wanted.Groups[1]}, which this user may not: restart it as root";
    }

    private static IEnumerable<uint> Ids(string line) => line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries).Select(id => uint.Parse(id, CultureInfo.InvariantCulture));

    private static bool IsMapped(string file, uint id)
    {
        foreach (string line in File.ReadLines($"/proc/self/{file}"))
        {
            uint[] range = [.. Ids(line)]; // first inside, first outside, number
            if (range.Length == 3 && id >= range[0] && id - range[0] < range[2]) return true;
        }
        return false;
    }
}
