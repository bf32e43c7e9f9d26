using System.Net;
using System.Net.Sockets;

namespace TreCr.Process.Tests;

/// <summary>What cannot be saved is named before anything is touched, all findings at once, and the program goes on.</summary>
[TestFixture, Parallelizable(ParallelScope.Self)]
public sealed class CheckTests
{
    [TestCase("tcp", "TCP socket 127.0.0.1:", "of a program outside the job")]
    [TestCase("unix", "Unix socket connected to", "outside the job")]
    [TestCase("raw", "a raw socket")]
    [TestCase("packet", "a packet socket")]
    [TestCase("netlink", "a netlink socket")]
    [TestCase("filter", "packet filter (BPF)")]
    [TestCase("io_uring", "io_uring")]
    [TestCase("fanotify", "fanotify")]
    [TestCase("perf", "perf_event")]
    [TestCase("bpf", "bpf-map")]
    [TestCase("userfaultfd", "userfaultfd")]
    [TestCase("seccomp", "seccomp filter")]
    [TestCase("namespace", "another uts namespace")]
    [TestCase("lease", "holds a lease")]
    [TestCase("linked", "the file has another name")]
    [TestCase("sharedvm", "shares memory with its parent")]
    [TestCase("unshared", "a table of descriptors of its own")]
    [TestCase("timer", "processor time of a thread")]
    [TestCase("pty", "terminal (/dev/pts/")]
    [TestCase("chroot", "root directory is /tmp (chroot)")]
    [TestCase("kvm", "maps a device: a virtual processor of KVM")]
    [TestCase("block", "/dev/loop0 maps a device")]
    [TestCase("ring", "is the ring of a socket (AF_PACKET")]
    [TestCase("uring-map", "anon_inode:[io_uring] is shared with the kernel")]
    [TestCase("perf-map", "anon_inode:[perf_event] is shared with the kernel")]
    [TestCase("secret", "is secret memory (memfd_secret), which nobody else can read")]
    [TestCase("secretfd", "is secret memory (memfd_secret)")]
    [TestCase("net", "another net namespace")]
    [TestCase("ipc", "another ipc namespace")]
    [TestCase("mnt", "another mnt namespace")]
    [TestCase("user", "another user namespace")]
    [TestCase("cgroup", "another cgroup namespace")]
    [TestCase("pid", "its children would be in another pid namespace")]
    [TestCase("pidchild", "another pid namespace")]
    [TestCase("time", "its children would be in another time namespace")]
    [TestCase("traced", "is being traced (debugged) by process")]
    [TestCase("tracer", "is being traced (debugged) by process")]
    [TestCase("many", "TCP socket", "processor time", "lease")]
    public void Names(string what, params string[] findings)
    {
        using Socket server = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        string path = $"/tmp/trecr-refuse-{Environment.ProcessId}";
        File.Delete(path);
        server.Bind(new UnixDomainSocketEndPoint(path));
        server.Listen(8);
        lock (Runner.Ports) Names(what, path, findings);
    }

    private static void Names(string what, string path, string[] findings)
    {
        using Socket tcp = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        tcp.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        tcp.Listen(8);
        (int master, int terminal) = TreCr.Linux.Sys.OpenPseudoTerminal();
        string slave = TreCr.Linux.Sys.ReadLink($"/proc/self/fd/{terminal}")!;
        string port = ((IPEndPoint)tcp.LocalEndPoint!).Port.ToString();
        Outcome outcome = Runner.Run("check", [Runner.Program("refuse"), what, path, port, slave]);
        if (outcome.ExitCode == 77 || outcome.Output.Contains("cannot be had here")) Assert.Ignore($"not to be had on this machine: {what}: {outcome.Output}");
        outcome.Expect(0);
        foreach (string finding in findings) Assert.That(outcome.Output, Does.Contain(finding));
        // A dump is refused, and the program still runs and checks itself.
        outcome = Runner.Run("refused", [Runner.Program("refuse"), what, path, port, slave]).Expect(0);
        TreCr.Linux.Sys.Close(master);
        TreCr.Linux.Sys.Close(terminal);
        Assert.That(outcome.Output, Does.Contain("done"));
    }

    /// <summary>In a network namespace whose receive buffers may not grow, so that bytes under way cannot be taken over. Root would not be bound by it.</summary>
    [Test]
    public void BytesWithoutRoom()
    {
        const string Python = "/usr/bin/python3", Narrow = """
            import ctypes, fcntl, os, socket, struct, sys
            if ctypes.CDLL(None).unshare(0x40000000): sys.exit(77)
            fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh", b"lo", 0x49))
            try: open("/proc/sys/net/ipv4/tcp_rmem", "w").write("4096 4096 8192")
            except OSError: sys.exit(77)
            os.execvp(sys.argv[1], sys.argv[1:])
            """;
        if (!File.Exists(Python)) Assert.Ignore("no /usr/bin/python3");
        Outcome outcome = Runner.Run("refused", [Runner.Program("refuse"), "room"], unprivileged: true, through: [Python, "-c", Narrow]);
        if (outcome.ExitCode == 77) Assert.Ignore("no network namespace of our own");
        Assert.That(outcome.Expect(0).Output, Does.Match("has [0-9]+ bytes under way for which its reader has no room.*net.ipv4.tcp_rmem").And.Contain("done"));
    }

    /// <summary>Of a thread that is not the first: the kernel shows them there only.</summary>
    [TestCase("threadnet", "another net namespace"), TestCase("threaduts", "another uts namespace")]
    public void NamesOfThreads(string what, string finding)
    {
        Outcome outcome = Runner.Run("check", [Runner.Program("refuse"), what]).Expect(0);
        Assert.That(outcome.Output, Does.Match("finding: thread [0-9]+ is in " + finding).And.Contain("done"));
    }

    [Test]
    public void NothingToSay() => Assert.That(Runner.Run("check", [Runner.Program("counter")]).Expect(7).Output, Does.Not.Contain("finding:"));
}
