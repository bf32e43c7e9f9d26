using TreCr.Linux;
using TreCr.Process.Launch;
using TreCr.Process.Readouts;

namespace TreCr.Init;

/// <summary>
/// Pid 1 of a rank's namespace. Starts what the supervisor asks for, reaps everything, reports it, and ends when the supervisor's socket
/// closes, which ends all processes of the namespace with it. It holds no state that a checkpoint needs. For engines it reads out what can only be taken out and put back
/// (<see cref="ReadoutProtocol"/>).
/// </summary>
/// <remarks>
/// Started by RankNamespace with all signals blocked, descriptor 3 the control socket and 4 the event socket. One loop, no other threads of
/// ours. Signals from inside the namespace that have no handler here are dropped by the kernel (pid_namespaces(7)).
/// </remarks>
internal static unsafe class Program
{
    private const int WUNTRACED = 2, WCONTINUED = 8;

    private static readonly Queue<(int Pid, int Status)> s_events = new();

    private static readonly List<int> s_engines = [];

    private static int Main()
    {
        if (Environment.ProcessId != 1)
        {
            ReadOnlySpan<byte> message = "trecr-init is started by trecr run\n"u8;
            fixed (byte* p = message) Sys.Write(2, p, message.Length);
            return 2;
        }
        int signals = Sys.SignalDescriptor(1UL << (Sys.SIGCHLD - 1));
        Sys.Send(InitProtocol.ControlDescriptor, [1]);
        while (true)
        {
            PollEntry[] entries = new PollEntry[3 + s_engines.Count];
            for (int i = 3; i < entries.Length; i++) entries[i] = new PollEntry { Fd = s_engines[i - 3], Events = Sys.POLLIN };
            entries[0] = new PollEntry { Fd = InitProtocol.ControlDescriptor, Events = Sys.POLLIN };
            entries[1] = new PollEntry { Fd = signals, Events = Sys.POLLIN };
            entries[2] = new PollEntry { Fd = InitProtocol.EventDescriptor, Events = s_events.Count > 0 ? Sys.POLLOUT : (short)0 };
            if (Sys.Poll(entries, -1) < 0) return 1;
            if (entries[1].Returned != 0) Reap(signals);
            if (s_events.Count > 0) SendEvents();
            for (int i = entries.Length - 1; i >= 3; i--)
                if (entries[i].Returned != 0 && !ReadoutServer.Answer(entries[i].Fd))
                {
                    Sys.Close(entries[i].Fd);
                    s_engines.RemoveAt(i - 3);
                }
            if (entries[0].Returned != 0 && !Answer()) return 0;
        }
    }

    private static void Reap(int signals)
    {
        byte* info = stackalloc byte[128 * 16];
        while (Sys.Read(signals, info, 128 * 16) > 0) { }
        while (true)
        {
            int pid = Sys.Wait(-1, Sys.WNOHANG | Sys.WALL | WUNTRACED | WCONTINUED, out int status);
            if (pid <= 0) return;
            s_events.Enqueue((pid, status));
        }
    }

    private static void SendEvents()
    {
        Span<PollEntry> ready = stackalloc PollEntry[1];
        int* message = stackalloc int[2];
        while (s_events.Count > 0)
        {
            ready[0] = new PollEntry { Fd = InitProtocol.EventDescriptor, Events = Sys.POLLOUT };
            if (Sys.Poll(ready, 0) <= 0) return;
            (message[0], message[1]) = s_events.Dequeue();
            if (Sys.Send(InitProtocol.EventDescriptor, new ReadOnlySpan<byte>(message, 8)) < 0) return;
        }
    }

    /// <returns>false: the supervisor is gone</returns>
    private static bool Answer()
    {
        Span<byte> request = stackalloc byte[16];
        Span<int> descriptors = stackalloc int[Sys.MaxPassedDescriptors];
        long n = Sys.Receive(InitProtocol.ControlDescriptor, request, descriptors, out int count);
        if (n <= 0) return false;
        int a = BitConverter.ToInt32(request[4..]), b = BitConverter.ToInt32(request[8..]);
        (int Result, string Step, int Pidfd) reply = (-Errno.EINVAL, "", -1);
        try
        {
            switch (request[0])
            {
                case InitProtocol.Spawn: reply = Spawn(descriptors[..count]); break;
                case InitProtocol.Signal: reply.Result = (int)Sys.Kill(a, b); break;
                case InitProtocol.Open:
                    reply.Pidfd = Sys.PidfdOpen(a);
                    reply.Result = reply.Pidfd < 0 ? reply.Pidfd : a;
                    break;
            }
        }
        catch (LinuxException e) { reply = (-e.ErrorNumber, e.Call, -1); }
        foreach (int fd in descriptors[..count]) Sys.Close(fd);
        byte[] bytes = [.. BitConverter.GetBytes(reply.Result), .. System.Text.Encoding.UTF8.GetBytes(reply.Step)];
        long sent = reply.Pidfd >= 0 ? Sys.Send(InitProtocol.ControlDescriptor, bytes, [reply.Pidfd]) : Sys.Send(InitProtocol.ControlDescriptor, bytes);
        Sys.Close(reply.Pidfd);
        return sent >= 0;
    }

    private static (int, string, int) Spawn(ReadOnlySpan<int> descriptors)
    {
        long length = Sys.Check(Sys.Raw(SyscallNumber.Lseek, descriptors[0], 0, 2), "lseek");
        byte[] bytes = new byte[length];
        fixed (byte* p = bytes) Sys.Check(Sys.Raw(SyscallNumber.Pread64, descriptors[0], (long)p, length, 0), "pread");
        SpawnRequest request = SpawnRequest.Parse(bytes);
        ReadOnlySpan<int> passed = descriptors[1..];

        // Copies above every target, so that no dup3 below overwrites a source that comes later.
        const int Above = 64;
        List<int> copies = [];
        int readouts = -1;
        try
        {
            foreach (int fd in passed) copies.Add(Sys.Duplicate(fd, Above));
            int opened = Sys.Open("/dev/null", Sys.O_RDWR | Sys.O_CLOEXEC), idle = Sys.Duplicate(opened, Above);
            Sys.Close(opened);
            copies.Add(idle);
            using CloneTable table = new();
            for (int standard = 0; standard <= 2; standard++)
                if (!request.Targets.Contains(standard)) table.Add("dup3", SyscallNumber.Dup3, idle, standard, 0);
            int last = 2;
            for (int i = 0; i < passed.Length; i++)
            {
                table.Add("dup3", SyscallNumber.Dup3, copies[i], request.Targets[i], 0);
                last = Math.Max(last, request.Targets[i]);
            }
            if (request.IsEngine)
            {
                (readouts, int theirs) = Sys.SocketPair();
                copies.Add(Sys.Duplicate(theirs, Above));
                Sys.Close(theirs);
                table.Add("dup3", SyscallNumber.Dup3, copies[^1], ReadoutProtocol.EngineDescriptor, 0);
                table.Add("close_range", SyscallNumber.CloseRange, last + 1, ReadoutProtocol.EngineDescriptor - 1, 0);
                last = ReadoutProtocol.EngineDescriptor;
            }
            table.Add("close_range", SyscallNumber.CloseRange, last + 1, uint.MaxValue, 0);
            table.Add("setsid", SyscallNumber.Setsid);
            if (request.ControllingTerminal) table.Add("ioctl(TIOCSCTTY)", SyscallNumber.Ioctl, 0, 0x540E, 0);
            if (!request.IsEngine) AddCapabilities(table, request);
            if (request.WorkingDirectory.Length > 0) table.Add("chdir", SyscallNumber.Chdir, table.Text(request.WorkingDirectory));
            table.AddDefaultSignals();
            table.AddExecute(request.Path, request.Arguments, request.Environment);
            CloneResult result = Start(table, request);
            if (readouts >= 0 && result.Succeeded)
            {
                s_engines.Add(readouts);
                readouts = -1;
            }
            return result.Succeeded ? (result.Pid, "", result.Pidfd) : (-result.ErrorNumber, result.FailedStep, -1);
        }
        finally
        {
            foreach (int fd in copies) Sys.Close(fd);
            Sys.Close(readouts);
        }
    }

    /// <summary>
    /// Pids after the program's go up from it, as outside. An engine and its threads get high ones, and the program's count goes on where it was.
    /// </summary>
    private static CloneResult Start(CloneTable table, SpawnRequest request)
    {
        const string LastPid = "/proc/sys/kernel/ns_last_pid";
        if (!request.IsEngine)
        {
            if (request.Pid > 0) WriteFile(LastPid, request.Pid.ToString());
            return table.Run(0, request.Pid);
        }
        string before = ReadSmall(LastPid);
        WriteFile(LastPid, (InitProtocol.EngineFirstPid + Random.Shared.Next(500_000)).ToString());
        CloneResult result = table.Run();
        if (int.TryParse(before, out int last) && last < InitProtocol.EngineFirstPid && last > 1) WriteFile(LastPid, before);
        return result;
    }

    private static void AddCapabilities(CloneTable table, SpawnRequest request)
    {
        const int PR_CAP_AMBIENT = 47, Raise = 2, ClearAll = 4;
        table.AddOptional("prctl(PR_CAP_AMBIENT)", SyscallNumber.Prctl, PR_CAP_AMBIENT, ClearAll);
        uint[] header = [0x20080522, 0]; // _LINUX_CAPABILITY_VERSION_3
        uint[] data = [(uint)request.Effective, (uint)request.Permitted, (uint)request.Inheritable,
            (uint)(request.Effective >> 32), (uint)(request.Permitted >> 32), (uint)(request.Inheritable >> 32)];
        table.Add("capset", SyscallNumber.Capset, table.Bytes(System.Runtime.InteropServices.MemoryMarshal.AsBytes(header.AsSpan())),
            table.Bytes(System.Runtime.InteropServices.MemoryMarshal.AsBytes(data.AsSpan())));
        for (int capability = 0; capability < 64; capability++)
            if ((request.Ambient >> capability & 1) != 0) table.AddOptional("prctl(PR_CAP_AMBIENT)", SyscallNumber.Prctl, PR_CAP_AMBIENT, Raise, capability);
    }

    private static void WriteFile(string path, string text)
    {
        long fd = Sys.TryOpen(path, Sys.O_WRONLY | Sys.O_CLOEXEC);
        if (fd < 0) return; // without it only the numbers differ
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(text);
        fixed (byte* p = bytes) Sys.Write((int)fd, p, bytes.Length);
        Sys.Close((int)fd);
    }

    private static string ReadSmall(string path)
    {
        long fd = Sys.TryOpen(path, Sys.O_RDONLY | Sys.O_CLOEXEC);
        if (fd < 0) return "";
        byte* buffer = stackalloc byte[64];
        long n = Sys.Read((int)fd, buffer, 64);
        Sys.Close((int)fd);
        return n <= 0 ? "" : System.Text.Encoding.UTF8.GetString(buffer, (int)n).Trim();
    }
}
