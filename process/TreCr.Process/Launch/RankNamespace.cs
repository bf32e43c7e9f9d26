using System.Runtime.InteropServices;
using TreCr.Linux;

namespace TreCr.Process.Launch;

/// <summary>
/// The namespaces of one rank, made by its supervisor: pid, mount and, where it can be had, time; and user where the capabilities at hand
/// do not suffice. Pid 1 inside is trecr-init. Closing this (or the death of the supervisor) ends every process inside.
/// </summary>
/// <remarks>Any thread; requests are answered one at a time. Source: process.md §8, namespaces(7), user_namespaces(7).</remarks>
public sealed unsafe class RankNamespace : IDisposable
{
    private readonly Lock _lock = new();
    private readonly int _control, _pidfd;
    private readonly CapabilitySets _own;
    private bool _closed;

    private RankNamespace(int control, int events, CloneResult init, bool hasUserNamespace, CapabilitySets own)
        => (_control, EventDescriptor, InitPid, _pidfd, HasUserNamespace, _own) = (control, events, init.Pid, init.Pidfd, hasUserNamespace, own);

    /// <summary>Readable when <see cref="TryReadEvent"/> has something to give.</summary>
    public int EventDescriptor { get; }

    /// <summary>Pid of init, as outside sees it.</summary>
    public int InitPid { get; }

    /// <summary>True when a user namespace had to be made: programs inside hold no capability.</summary>
    public bool HasUserNamespace { get; }

    /// <summary>Makes the namespaces and starts init. Blocks until init has said that it runs, at most 30 s.</summary>
    /// <exception cref="LaunchException">neither way is permitted here; says which step failed and how to permit it</exception>
    public static RankNamespace Start(NamespaceOptions options)
    {
        CapabilitySets own = CapabilitySets.OfThisProcess();
        (int control, int initControl) = Sys.SocketPair();
        (int events, int initEvents) = Sys.SocketPair();
        try
        {
            CloneResult init = Clone(options, own, initControl, initEvents, withUser: false);
            bool user = !init.Succeeded && init.ErrorNumber is Errno.EPERM or Errno.EACCES;
            if (user) init = Clone(options, own, initControl, initEvents, withUser: true);
            if (!init.Succeeded)
                throw new LaunchException(125, init.ErrorNumber, $"cannot make the namespaces of the job: {init.FailedStep}: {Errno.Describe(init.ErrorNumber)}", Cure(init));
            Sys.Close(initControl); initControl = -1;
            Sys.Close(initEvents); initEvents = -1;
            Span<PollEntry> ready = [new PollEntry { Fd = control, Events = Sys.POLLIN }];
            byte hello;
            if (Sys.Poll(ready, 30_000) <= 0 || Sys.Receive(control, new Span<byte>(&hello, 1), default, out _) != 1)
            {
                Sys.Raw(SyscallNumber.PidfdSendSignal, init.Pidfd, Sys.SIGKILL);
                Sys.Wait(init.Pid, Sys.WALL, out int status);
                Sys.Close(init.Pidfd);
                throw new LaunchException(125, 0, $"{options.InitPath} did not start (wait status {status:x})");
            }
            return new RankNamespace(control, events, init, user, own);
        }
        catch
        {
            Sys.Close(control); Sys.Close(events); Sys.Close(initControl); Sys.Close(initEvents);
            throw;
        }
    }

    private static string Cure(CloneResult init) => init.FailedStep == "mount(/proc)" && init.ErrorNumber == Errno.EPERM
        ? "parts of /proc are hidden here, as containers do, and then the kernel permits no other: podman run --security-opt unmask=ALL, docker run --security-opt systempaths=unconfined" : init.FailedStep == "clone3" && init.ErrorNumber is Errno.EPERM or Errno.ENOSPC
        ? "user namespaces are off: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns" : "";

    private static CloneResult Clone(NamespaceOptions options, CapabilitySets own, int control, int events, bool withUser)
    {
        using CloneTable table = new();
        int controlCopy = Sys.Duplicate(control, 64), eventsCopy = Sys.Duplicate(events, 64);
        try
        {
            if (withUser)
            {
                // A process may map its own id in its own new namespace (user_namespaces(7)), so nobody outside has to help.
                uint uid = (uint)Sys.Raw(SyscallNumber.Geteuid), gid = (uint)Sys.Raw(SyscallNumber.Getegid);
                table.AddWriteFile("/proc/self/setgroups", "deny", optional: true);
                table.AddWriteFile("/proc/self/uid_map", $"{uid} {uid} 1");
                table.AddWriteFile("/proc/self/gid_map", $"{gid} {gid} 1");
            }
            table.AddOptional("unshare(NEWTIME)", SyscallNumber.Unshare, (long)CloneTable.CLONE_NEWTIME);
            if (options.MonotonicOffsetNs != 0 || options.BoottimeOffsetNs != 0)
                table.AddWriteFile("/proc/self/timens_offsets", $"monotonic {Offset(options.MonotonicOffsetNs)}\nboottime {Offset(options.BoottimeOffsetNs)}\n", optional: true);
            table.Add("mount(/ private)", SyscallNumber.Mount, table.Text("none"), table.Text("/"), 0, 0x4000 | 0x40000, 0);
            table.Add("mount(/proc)", SyscallNumber.Mount, table.Text("proc"), table.Text("/proc"), table.Text("proc"), 2 | 4 | 8, 0);
            table.AddOptional("mount(/dev/mqueue)", SyscallNumber.Mount, table.Text("mqueue"), table.Text("/dev/mqueue"), table.Text("mqueue"), 2 | 4 | 8, 0);
            AddCapabilities(table, withUser ? (1UL << LastCapability + 1) - 1 : own.Permitted);
            // Descriptors are placed from copies above 63; then 0 to 2 are the lowest free numbers.
            table.Add("dup3", SyscallNumber.Dup3, controlCopy, InitProtocol.ControlDescriptor, 0);
            table.Add("dup3", SyscallNumber.Dup3, eventsCopy, InitProtocol.EventDescriptor, 0);
            table.Add("close_range", SyscallNumber.CloseRange, InitProtocol.EventDescriptor + 1, uint.MaxValue, 0);
            table.Add("close_range", SyscallNumber.CloseRange, 0, 2, 0);
            for (int i = 0; i <= 2; i++) table.Add("open(/dev/null)", SyscallNumber.Open, table.Text("/dev/null"), Sys.O_RDWR);
            table.Add("chdir(/)", SyscallNumber.Chdir, table.Text("/"));
            table.AddOptional("setsid", SyscallNumber.Setsid);
            table.AddExecute(options.InitPath, ["trecr-init"], []);
            ulong namespaces = CloneTable.CLONE_NEWPID | CloneTable.CLONE_NEWNS | CloneTable.CLONE_NEWIPC | (withUser ? CloneTable.CLONE_NEWUSER : 0);
            return table.Run(namespaces);
        }
        finally { Sys.Close(controlCopy); Sys.Close(eventsCopy); }
    }

    private static string Offset(long ns)
    {
        long seconds = Math.DivRem(ns, 1_000_000_000, out long rest);
        return rest < 0 ? $"{seconds - 1} {rest + 1_000_000_000}" : $"{seconds} {rest}";
    }

    /// <summary>Inheritable and ambient: capabilities would otherwise end at execve for a user that is not 0.</summary>
    private static void AddCapabilities(CloneTable table, ulong permitted)
    {
        uint[] header = [0x20080522, 0]; // _LINUX_CAPABILITY_VERSION_3
        uint low = (uint)permitted, high = (uint)(permitted >> 32);
        uint[] data = [low, low, low, high, high, high]; // effective, permitted, inheritable
        table.Add("capset", SyscallNumber.Capset, table.Bytes(MemoryMarshal.AsBytes(header.AsSpan())), table.Bytes(MemoryMarshal.AsBytes(data.AsSpan())));
        for (int capability = 0; capability <= LastCapability; capability++)
            if ((permitted >> capability & 1) != 0) table.AddOptional("prctl(PR_CAP_AMBIENT)", SyscallNumber.Prctl, 47, 2, capability);
    }

    private const int LastCapability = 40; // CAP_CHECKPOINT_RESTORE

    /// <summary>Starts the program of the rank.</summary>
    /// <param name="path">file to execute; the caller has searched PATH</param>
    /// <param name="environment">NAME=VALUE strings</param>
    /// <param name="standardStreams">three descriptors of the caller, which stay the caller's</param>
    /// <param name="controllingTerminal">the first of them is a terminal that becomes the controlling one of a new session</param>
    /// <param name="wantedPid">pid inside; the supervisor's own outside, so that pids differ between ranks of a host</param>
    /// <exception cref="LaunchException">exit code 127 not found, 126 not executable, 125 anything else</exception>
    public SpawnedProcess SpawnProgram(string path, IReadOnlyList<string> arguments, IReadOnlyList<string> environment, string workingDirectory,
        ReadOnlySpan<int> standardStreams, bool controllingTerminal, int wantedPid)
    {
        SpawnRequest request = new()
        {
            Path = path, Arguments = [.. arguments], Environment = [.. environment], WorkingDirectory = workingDirectory, Pid = wantedPid,
            Targets = [0, 1, 2], ControllingTerminal = controllingTerminal,
        };
        if (!HasUserNamespace)
            (request.Inheritable, request.Permitted, request.Effective, request.Ambient) = (_own.Inheritable, _own.Permitted, _own.Effective, _own.Ambient);
        return Spawn(request, standardStreams);
    }

    /// <summary>Starts a process with all capabilities of the namespace: the engine. Its pids lie far above the program's.</summary>
    /// <param name="descriptors">become 3, 4, … there; 0 and 1 are /dev/null, 2 is the caller's standard error</param>
    /// <exception cref="LaunchException">the path does not execute</exception>
    public SpawnedProcess SpawnEngine(string path, IReadOnlyList<string> arguments, ReadOnlySpan<int> descriptors, IReadOnlyList<string>? environment = null)
    {
        environment ??= [.. Environment.GetEnvironmentVariables().Cast<System.Collections.DictionaryEntry>().Select(e => $"{e.Key}={e.Value}")];
        SpawnRequest request = new() { Path = path, Arguments = [.. arguments], Environment = [.. environment], WorkingDirectory = "", IsEngine = true, Targets = [2] };
        for (int i = 0; i < descriptors.Length; i++) request.Targets.Add(3 + i);
        return Spawn(request, [2, .. descriptors]);
    }

    private SpawnedProcess Spawn(SpawnRequest request, ReadOnlySpan<int> descriptors)
    {
        byte[] bytes = request.Serialize();
        int payload = Sys.MemfdCreate("trecr-spawn");
        try
        {
            fixed (byte* p = bytes) Sys.Check(Sys.Raw(SyscallNumber.Pwrite64, payload, (long)p, bytes.Length, 0), "pwrite");
            (int result, string step, int pidfd) = Ask(InitProtocol.Spawn, 0, 0, [payload, .. descriptors]);
            if (result > 0) return new SpawnedProcess(HostPid(pidfd), result, pidfd);
            int exit = step != CloneTable.ExecuteStep ? 125 : result is -Errno.ENOENT or -Errno.ENOTDIR ? 127 : 126;
            throw new LaunchException(exit, -result, exit == 125 ? $"cannot start {request.Path}: {step}: {Errno.Describe(-result)}" : $"{request.Path}: {Errno.Describe(-result)}");
        }
        finally { Sys.Close(payload); }
    }

    /// <summary>A process inside that somebody else made, such as a restored program.</summary>
    /// <param name="pid">pid inside</param>
    /// <exception cref="LinuxException">ESRCH: no such process</exception>
    public SpawnedProcess AdoptProgram(int pid)
    {
        (int result, _, int pidfd) = Ask(InitProtocol.Open, pid, 0, []);
        Sys.Check(result, "pidfd_open", $"pid {pid} of the namespace");
        return new SpawnedProcess(HostPid(pidfd), pid, pidfd);
    }

    /// <summary>Sends a signal to a process inside.</summary>
    /// <param name="pid">pid inside; negative: a process group</param>
    /// <returns>0, or -errno (ESRCH: gone)</returns>
    public int Signal(int pid, int signal) => Ask(InitProtocol.Signal, pid, signal, []).Result;

    /// <summary>What init reaped (or saw stopped or continued) next; does not block.</summary>
    /// <param name="pid">pid inside</param>
    /// <param name="status">as waitpid(2) gives it</param>
    /// <returns>false: nothing there now; also when init is gone, see <see cref="InitEnded"/></returns>
    public bool TryReadEvent(out int pid, out int status)
    {
        (pid, status) = (0, 0);
        Span<PollEntry> ready = [new PollEntry { Fd = EventDescriptor, Events = Sys.POLLIN }];
        if (Sys.Poll(ready, 0) <= 0) return false;
        int* message = stackalloc int[2];
        if (Sys.Receive(EventDescriptor, new Span<byte>(message, 8), default, out _) != 8)
        {
            InitEnded = true;
            return false;
        }
        (pid, status) = (message[0], message[1]);
        return true;
    }

    /// <summary>Set by <see cref="TryReadEvent"/> when init is gone and with it every process inside.</summary>
    public bool InitEnded { get; private set; }

    /// <summary>Waits for the end of one process inside; drops events of others. For callers with nothing else to do.</summary>
    /// <returns>its wait status, or null on timeout or when init ended</returns>
    public int? WaitForExit(int pid, int timeoutMs)
    {
        long end = Environment.TickCount64 + timeoutMs;
        while (!InitEnded)
        {
            while (TryReadEvent(out int who, out int status))
                if (who == pid && (status & 0xff) != 0x7f && status != 0xffff) return status;
            long left = end - Environment.TickCount64;
            if (left <= 0) return null;
            Span<PollEntry> ready = [new PollEntry { Fd = EventDescriptor, Events = Sys.POLLIN }];
            Sys.Poll(ready, (int)left);
        }
        return null;
    }

    private (int Result, string Step, int Pidfd) Ask(byte verb, int a, int b, ReadOnlySpan<int> descriptors)
    {
        Span<byte> request = stackalloc byte[12];
        request.Clear();
        request[0] = verb;
        BitConverter.TryWriteBytes(request[4..], a);
        BitConverter.TryWriteBytes(request[8..], b);
        lock (_lock)
        {
            Span<byte> reply = stackalloc byte[256];
            Span<int> came = stackalloc int[1];
            int count = 0;
            long n = _closed ? -Errno.EPIPE : Sys.Send(_control, request, descriptors);
            if (n > 0) n = Sys.Receive(_control, reply, came, out count);
            if (n < 4) throw new LaunchException(125, 0, "init of the namespace is gone");
            return (BitConverter.ToInt32(reply), System.Text.Encoding.UTF8.GetString(reply[4..(int)n]), count == 1 ? came[0] : -1);
        }
    }

    private static int HostPid(int pidfd)
    {
        foreach (string line in File.ReadLines($"/proc/self/fdinfo/{pidfd}"))
            if (line.StartsWith("Pid:", StringComparison.Ordinal)) return int.Parse(line.AsSpan(4));
        return -1;
    }

    /// <summary>Ends every process inside and waits for init.</summary>
    public void Dispose()
    {
        Sys.Raw(SyscallNumber.PidfdSendSignal, _pidfd, Sys.SIGKILL); // first: who is asking gets no answer any more, and gives up the lock
        lock (_lock)
        {
            _closed = true; // the descriptor's number may be another file's next
            Sys.Close(_control);
        }
        Sys.Wait(InitPid, Sys.WALL, out _);
        Sys.Close(EventDescriptor);
        Sys.Close(_pidfd);
    }
}
