using NUnit.Framework;
using TreCr.Linux;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>
/// Three hosts on this machine: network namespaces with virtual Ethernet devices in one bridge, each with a name, processes, shared memory, runtime directory and configuration of its own, and Debian's sshd; the store and the
/// programs lie in a file system that all have.
/// </summary>
internal sealed class Hosts : IDisposable
{
    public const string A = "nodea", B = "nodeb", C = "nodec";
    private static readonly string[] s_all = [A, B, C];
    private readonly Workplace _place;
    private readonly Dictionary<string, RunningProgram> _holders = [];
    private readonly Dictionary<string, int> _inits = [];

    public Hosts(Workplace place)
    {
        _place = place;
        if (Sys.EffectiveUserId() != 0) Assert.Ignore("only root can make hosts of namespaces");
        foreach (string needed in (string[])["/usr/sbin/sshd", "/usr/bin/ssh-keygen", "/usr/bin/nsenter"])
            if (!File.Exists(needed)) Assert.Ignore($"no {Path.GetFileName(needed)}");
        foreach (string key in (string[])["key", "hostkey"]) Run("/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", $"{Root}/{key}");
        File.WriteAllText($"{Root}/hosts", $"127.0.0.1 localhost\n{string.Concat(s_all.Select((host, i) => $"{AddressOf(i)} {host}\n"))}");
        File.WriteAllText($"{Root}/sshd_config", $"HostKey {Root}/hostkey\nAuthorizedKeysFile {Root}/key.pub\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\n"
            + $"SetEnv XDG_RUNTIME_DIR={Root}/run XDG_CONFIG_HOME={Root}/config TRECR_STORE={place.StorePath} TMPDIR={Root}/t\n");
        File.WriteAllText($"{Root}/ssh_config", $"Host *\n  IdentityFile {Root}/key\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n");
        File.WriteAllText($"{Root}/ssh", $"#!/bin/sh\nexec ssh -F {Root}/ssh_config \"$@\"\n");
        File.SetUnixFileMode($"{Root}/ssh", (UnixFileMode)0x1C0);
        Directory.CreateDirectory($"{Root}/t");
        foreach (string host in s_all) Start(host);
        Join();
    }

    private static string AddressOf(int number) => $"10.99.0.{number + 1}";

    private string Root => _place.Root;

    public IReadOnlyDictionary<string, string> Variables => new Dictionary<string, string>
    {
        ["OMPI_ALLOW_RUN_AS_ROOT"] = "1", ["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1", ["TMPDIR"] = $"{Root}/t", ["XDG_CONFIG_HOME"] = $"{Root}/config", ["HOME"] = Root,
    };

    /// <summary>Open MPI's launcher with so many ranks on each.</summary>
    public string[] OpenMpi(params (string Host, int Ranks)[] ranks)
        => ["/usr/bin/mpirun.openmpi", "-n", $"{ranks.Sum(r => r.Ranks)}", "-H", string.Join(',', ranks.Select(r => $"{r.Host}:{r.Ranks}")), "--mca", "plm_rsh_agent", $"{Root}/ssh", "--bind-to", "none"];

    /// <summary>Everything that the workplace starts from here on runs on this host.</summary>
    public void WorkOn(string host) => _place.RunBehind("/usr/bin/nsenter", "-t", $"{_inits[host]}", "-n", "-u", "-m", "-p", "-i", $"--wdns={Root}");

    /// <summary>Loses the host: all its processes and connections, without a word to anybody.</summary>
    public void Lose(string host)
    {
        Workplace.Kill(_inits[host]);
        _holders[host].WaitForExit(Workplace.Limit);
    }

    /// <summary>All hosts are there again, as after a start of the machines.</summary>
    public void StartAgain()
    {
        foreach (string host in s_all)
        {
            if (Directory.Exists($"/proc/{_inits[host]}")) Lose(host);
            Start(host);
        }
        Join();
    }

    private void Start(string host)
    {
        RunningProgram holder = new("/usr/bin/unshare", ["--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", Path.Combine(Repository.Root, "tests/TreCr.Cli.Tests/Programs/host.sh"), host, Root],
            new Dictionary<string, string>());
        _holders[host] = holder;
        try { holder.WaitForLine(l => l == "ready", Workplace.Limit); }
        catch (TimeoutException) { Assert.Ignore($"no namespaces for a host here: {holder.Errors}"); }
        _inits[host] = int.Parse(File.ReadAllText($"/proc/{holder.Id}/task/{holder.Id}/children").Trim());
    }

    private void Join()
    {
        // The first host has the bridge, and its address there.
        In(A, "link", "add", "br0", "type", "bridge");
        for (int i = 0; i < s_all.Length; i++)
        {
            string host = s_all[i], device = i == 0 ? "br0" : "eth0";
            if (i > 0)
            {
                Run("ip", "link", "add", "name", $"port{i}", "netns", $"{_inits[A]}", "type", "veth", "peer", "name", device, "netns", $"{_inits[host]}");
                In(A, "link", "set", $"port{i}", "master", "br0", "up");
            }
            In(host, "address", "add", $"{AddressOf(i)}/24", "dev", device);
            In(host, "link", "set", device, "up");
        }
        foreach (RunningProgram holder in _holders.Values) holder.WaitForError("Server listening", Workplace.Limit);
    }

    private void In(string host, params string[] ip) => Run("/usr/bin/nsenter", ["-t", $"{_inits[host]}", "-n", "ip", .. ip]);

    private static void Run(string program, params string[] arguments)
    {
        using RunningProgram p = new(program, arguments, new Dictionary<string, string>());
        if (p.WaitForExit(Workplace.Limit) != 0) Assert.Ignore($"no namespaces for a host here: {program} {string.Join(' ', arguments)}: {p.Errors}");
    }

    public void Dispose()
    {
        foreach (RunningProgram holder in _holders.Values) holder.Dispose();
    }
}
