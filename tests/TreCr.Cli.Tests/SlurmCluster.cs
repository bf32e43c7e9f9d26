using NUnit.Framework;
using TreCr.Linux;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>A cluster of one node below Slurm (Debian's slurmctld, slurmd and munge) in namespaces of its own; its directory, and what a workplace starts on it, is shared with the machine.</summary>
internal sealed class SlurmCluster : IDisposable
{
    private static readonly string[] s_programs = ["/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/sbin/munged", "/usr/bin/srun", "/usr/bin/scancel", "/usr/bin/nsenter"];
    private readonly string _root = Directory.CreateTempSubdirectory("trecr-slurm-").FullName;
    private readonly RunningProgram _holder;
    private readonly int _init;

    public SlurmCluster()
    {
        _holder = new("/usr/bin/unshare", ["--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", Path.Combine(Repository.Root, "tests/TreCr.Cli.Tests/Programs/slurm.sh"), _root], new Dictionary<string, string>());
        try { _holder.WaitForLine(l => l == "ready", Workplace.Limit); }
        catch (TimeoutException e)
        {
            string why = $"{e.Message}\n{string.Join('\n', Directory.GetFiles($"{_root}/slurm", "*.log").Select(f => string.Join('\n', File.ReadLines(f).TakeLast(10))))}";
            Dispose();
            throw new InvalidOperationException(why);
        }
        _init = int.Parse(File.ReadAllText($"/proc/{_holder.Id}/task/{_holder.Id}/children").Trim());
    }

    /// <summary>What a cluster needs that is missing here; null: nothing.</summary>
    public static string? Missing => Sys.EffectiveUserId() != 0 ? "only root can make a cluster of namespaces" : s_programs.FirstOrDefault(p => !File.Exists(p)) is { } missing ? $"no Slurm: {missing} is not there" : null;

    /// <summary>For srun and scancel.</summary>
    public Dictionary<string, string> Variables => new() { ["SLURM_CONF"] = $"{_root}/slurm/slurm.conf", ["SLURM_JOB_ID"] = "1", ["SLURM_OVERLAP"] = "1" };

    /// <summary>The same, for a program that is not started with them.</summary>
    public string[] With => ["/usr/bin/env", .. Variables.Select(v => $"{v.Key}={v.Value}")];

    /// <summary>Everything that a workplace starts from here on runs on the cluster.</summary>
    public void Serve(Workplace place) => place.RunBehind("/usr/bin/nsenter", "-t", $"{_init}", "-n", "-u", "-m", "-p", "-i", $"--wdns={place.Root}");

    public void Dispose()
    {
        _holder.Dispose();
        Directory.Delete(_root, true);
    }
}
