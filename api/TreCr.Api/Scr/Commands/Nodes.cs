using System.Diagnostics;

namespace TreCr.Api.Scr.Commands;

/// <summary>The nodes of an allocation, as the resource manager says them, and which of them do not answer.</summary>
internal static class Nodes
{
    private const int AnswerMs = 10_000;

    public static string Here() => Environment.GetEnvironmentVariable("SCR_NODE_NAME") is { Length: > 0 } name ? name : Environment.MachineName;

    /// <summary>SCR_NODELIST, Slurm's, PBS's and LSF's lists; else this machine.</summary>
    public static IReadOnlyList<string> OfAllocation()
    {
        string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
        if (Variable("SCR_NODELIST") is { } list) return Expand(list);
        if ((Variable("SLURM_JOB_NODELIST") ?? Variable("SLURM_NODELIST")) is { } slurm) return Expand(slurm);
        if (Variable("PBS_NODEFILE") is { } file && File.Exists(file)) return [.. File.ReadAllLines(file).Where(l => l.Length > 0).Distinct()];
        if (Variable("LSB_HOSTS") is { } hosts) return [.. hosts.Split(' ', StringSplitOptions.RemoveEmptyEntries).Distinct()];
        return [Here()];
    }

    /// <summary>Those that SCR_EXCLUDE_NODES or the caller names, and those on which `ssh NODE true` does not succeed.</summary>
    /// <param name="known">names of nodes known to be down</param>
    public static IReadOnlyList<(string Node, string Reason)> Down(IEnumerable<string> nodes, string? known)
    {
        List<(string, string)> down = [];
        HashSet<string> excluded = [.. Expand(Environment.GetEnvironmentVariable("SCR_EXCLUDE_NODES") ?? "")], said = [.. Expand(known ?? "")];
        foreach (string node in nodes)
        {
            if (excluded.Contains(node)) down.Add((node, "excluded by SCR_EXCLUDE_NODES"));
            else if (said.Contains(node)) down.Add((node, "said to be down"));
            else if (node != Here() && node != "localhost" && !Answers(node)) down.Add((node, "does not answer to ssh"));
        }
        return down;
    }

    /// <summary>a[1-3,7],b as Slurm writes it.</summary>
    public static IReadOnlyList<string> Expand(string list)
    {
        List<string> names = [];
        int start = 0, depth = 0;
        for (int i = 0; i <= list.Length; i++)
        {
            if (i < list.Length && list[i] == '[') depth++;
            if (i < list.Length && list[i] == ']') depth--;
            if (i < list.Length && (list[i] != ',' || depth > 0)) continue;
            if (i > start) names.AddRange(ExpandOne(list[start..i].Trim()));
            start = i + 1;
        }
        return names;
    }

    private static IEnumerable<string> ExpandOne(string name)
    {
        int open = name.IndexOf('['), close = name.IndexOf(']');
        if (open < 0 || close < open) return [name];
        List<string> names = [];
        foreach (string range in name[(open + 1)..close].Split(','))
        {
            string[] ends = range.Split('-');
            if (!int.TryParse(ends[0], out int first) || !int.TryParse(ends[^1], out int last)) return [name];
            for (int i = first; i <= last; i++) names.AddRange(ExpandOne(name[..open] + i.ToString().PadLeft(ends[0].Length, '0') + name[(close + 1)..]));
        }
        return names;
    }

    private static bool Answers(string node)
    {
        try
        {
            using Process ssh = Process.Start(new ProcessStartInfo("ssh", ["-o", "BatchMode=yes", "-o", "ConnectTimeout=5", node, "true"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            if (ssh.WaitForExit(AnswerMs)) return ssh.ExitCode == 0;
            ssh.Kill();
            return false;
        }
        catch (System.ComponentModel.Win32Exception) { return false; }
    }
}
