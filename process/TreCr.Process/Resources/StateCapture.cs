using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Launch;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>Reads threads, signals, timers and process attributes of a frozen process: what /proc and ptrace show, and what only the threads themselves can say.</summary>
internal sealed unsafe class StateCapture(FrozenProcess frozen, StackInjector injector, ProcessImage image)
{
    /// <summary>(get, set, through a pointer): PR_ values that are per process, in the order in which they are put back.</summary>
    private static readonly (int Get, int Set, bool Pointer)[] s_prctls = [(2, 1, true), (7, 8, false), (27, 28, false), (37, 36, true), (42, 41, false), (3, 4, false), (39, 38, false), (66, 65, false)];

    public void Run(List<Vma> areas)
    {
        int pid = frozen.Pid;
        ProcStatus status = ProcStatus.Read(pid);
        image.FormatVersion = ProcessImageFormat.Current;
        image.Pid = pid;
        image.ProcessGroup = (int)status.Stat(5);
        image.Session = (int)status.Stat(6);
        image.ControllingTerminal = status.Stat(7) != 0;
        image.Executable = Sys.ReadLink($"/proc/{pid}/exe") ?? throw new ProcessException("cannot read the executable's path");
        image.WorkingDirectory = Sys.ReadLink($"/proc/{pid}/cwd") ?? throw new ProcessException("cannot read the working directory");
        image.Umask = Convert.ToUInt32(status["Umask"], 8);
        image.Personality = Convert.ToUInt64(File.ReadAllText($"/proc/{pid}/personality").Trim(), 16);
        image.Auxv = ByteString.CopyFrom(File.ReadAllBytes($"/proc/{pid}/auxv"));
        image.OomScoreAdjust = int.Parse(File.ReadAllText($"/proc/{pid}/oom_score_adj"));
        image.MonotonicNs = Sys.ClockNs(1);
        image.BoottimeNs = Sys.ClockNs(7);
        if (File.Exists("/proc/sys/kernel/ns_last_pid") && int.TryParse(File.ReadAllText("/proc/sys/kernel/ns_last_pid"), out int last)) image.LastPid = last;
        image.Host = HostFacts.Of(pid, areas, frozen.Leader.ExtendedState.Length);
        ulong* limit = stackalloc ulong[2];
        for (int i = 0; i < 16; i++)
        {
            Sys.Check(Sys.Raw(SyscallNumber.Prlimit64, pid, i, 0, (long)limit), "prlimit");
            image.ResourceLimits.Add(limit[0]);
            image.ResourceLimits.Add(limit[1]);
        }
        foreach (Tracee thread in frozen.Threads) image.Threads.Add(FromOutside(thread));
        for (int i = 0; i < frozen.Threads.Count; i++) FromInside(frozen.Threads[i], image.Threads[i], status);
        // After the timers were read: one that fired meanwhile is either still running or among these, never lost.
        foreach (byte[] info in Pending(pid, shared: true)) image.SharedPending.Add(ByteString.CopyFrom(info));
    }

    private ThreadImage FromOutside(Tracee thread)
    {
        int pid = frozen.Pid, tid = thread.Tid;
        UserRegisters registers = thread.Portable;
        ThreadImage to = new()
        {
            Tid = tid,
            Name = File.ReadAllText($"/proc/{pid}/task/{tid}/comm").TrimEnd('\n'),
            Registers = ByteString.CopyFrom(new ReadOnlySpan<byte>(&registers, sizeof(UserRegisters))),
            Xstate = ByteString.CopyFrom(thread.ExtendedState),
            SignalMask = thread.SignalMask,
        };
        foreach (byte[] info in Pending(tid, shared: false)) to.Pending.Add(ByteString.CopyFrom(info));
        ulong head, length;
        Sys.Check(Sys.Raw(SyscallNumber.GetRobustList, tid, (long)&head, (long)&length), "get_robust_list");
        (to.RobustList, to.RobustListLength) = (head, length);
        ulong* rseq = stackalloc ulong[3];
        if (Sys.Ptrace(Sys.PTRACE_GET_RSEQ_CONFIGURATION, tid, 24, (long)rseq) >= 0)
            (to.RseqAddress, to.RseqLength, to.RseqSignature, to.RseqFlags) = (rseq[0], (uint)rseq[1], (uint)(rseq[1] >> 32), (uint)rseq[2]);
        byte* buffer = stackalloc byte[128];
        *(uint*)buffer = 48;
        if (Sys.Raw(SyscallNumber.SchedGetattr, tid, (long)buffer, 48, 0) >= 0) to.Scheduling = ByteString.CopyFrom(new ReadOnlySpan<byte>(buffer, 48));
        long bytes = Sys.Raw(SyscallNumber.SchedGetaffinity, tid, 128, (long)buffer);
        if (bytes > 0) to.Affinity = ByteString.CopyFrom(new ReadOnlySpan<byte>(buffer, (int)bytes));
        long priority = Sys.Raw(SyscallNumber.IoprioGet, 1, tid);
        if (priority >= 0) to.IoPriority = (int)priority;
        CapabilitySets sets = CapabilitySets.Parse(ProcStatus.Read(pid, tid).Lines);
        to.Capabilities.AddRange([sets.Inheritable, sets.Permitted, sets.Effective, sets.Bounding, sets.Ambient]);
        return to;
    }

    private void FromInside(Tracee thread, ThreadImage to, ProcStatus status)
    {
        bool leader = thread.Tid == frozen.Pid;
        injector.Borrow(thread);
        try
        {
            to.AlternateStack = ByteString.CopyFrom(Get(thread, 24, at => injector.Call(thread, SyscallNumber.Sigaltstack, 0, at), "sigaltstack"));
            to.ClearTidAddress = BitConverter.ToUInt64(Get(thread, 8, at => injector.Call(thread, SyscallNumber.Prctl, 40, at), "prctl(PR_GET_TID_ADDRESS)"));
            to.TimerSlackNs = (ulong)injector.Call(thread, SyscallNumber.Prctl, 30);
            if (leader) LeaderState(thread, status);
        }
        finally { StackInjector.GiveBack(thread); }
    }

    private void LeaderState(Tracee leader, ProcStatus status)
    {
        byte[] actions = new byte[64 * 32];
        for (int signal = 1; signal <= 64; signal++)
            if (signal is not (Sys.SIGKILL or Sys.SIGSTOP))
                Get(leader, 32, at => injector.Call(leader, SyscallNumber.RtSigaction, signal, 0, at, 8), "rt_sigaction").CopyTo(actions, (signal - 1) * 32);
        image.SignalActions = ByteString.CopyFrom(actions);
        byte[] timers = new byte[3 * 32];
        for (int which = 0; which < 3; which++) Get(leader, 32, at => injector.Call(leader, SyscallNumber.Getitimer, which, at), "getitimer").CopyTo(timers, which * 32);
        image.IntervalTimers = ByteString.CopyFrom(timers);
        PosixTimers.Capture(frozen.Pid, image, id => Get(leader, 32, at => injector.Call(leader, SyscallNumber.TimerGettime, id, at), "timer_gettime"));
        ulong brk = (ulong)injector.Call(leader, SyscallNumber.Brk);
        image.MmFields.AddRange([(ulong)status.Stat(26), (ulong)status.Stat(27), (ulong)status.Stat(45), (ulong)status.Stat(46), (ulong)status.Stat(47), brk,
            (ulong)status.Stat(28), (ulong)status.Stat(48), (ulong)status.Stat(49), (ulong)status.Stat(50), (ulong)status.Stat(51)]);
        long registrations = injector.Call(leader, SyscallNumber.Membarrier, 512);
        if (registrations > 0) image.Membarrier = (ulong)registrations;
        if (injector.Call(leader, SyscallNumber.ArchPrctl, 0x1022, (long)injector.Scratch) >= 0) image.XcompPermissions = BitConverter.ToUInt64(Scratch(8));
        foreach (var (get, set, pointer) in s_prctls)
        {
            long value = injector.Call(leader, SyscallNumber.Prctl, get, pointer ? (long)injector.Scratch : 0);
            if (value < 0) continue; // this kernel does not have it
            if (pointer) value = BitConverter.ToInt32(Scratch(4));
            if (value != 0 || set == 4) image.Prctls.Add(new PrctlImage { Get = get, Set = set, Value = (ulong)value });
        }
    }

    private byte[] Get(Tracee thread, int bytes, Func<long, long> call, string name)
    {
        long result = call((long)injector.Scratch);
        if (result < 0) throw new ProcessException($"thread {thread.Tid}: {name}: {Errno.Describe((int)-result)}");
        return Scratch(bytes);
    }

    private byte[] Scratch(int bytes)
    {
        byte[] data = new byte[bytes];
        fixed (byte* p = data)
            if (Sys.ProcessVmRead(frozen.Pid, injector.Scratch, p, bytes) != bytes) throw new ProcessException("cannot read results from the program's stack");
        return data;
    }

    /// <summary>Queued signals, siginfo_t of 128 bytes each.</summary>
    private static List<byte[]> Pending(int tid, bool shared)
    {
        const int Batch = 32;
        List<byte[]> all = [];
        byte[] buffer = new byte[Batch * 128];
        ulong* arguments = stackalloc ulong[2]; // off; flags, nr
        while (true)
        {
            arguments[0] = (ulong)all.Count;
            arguments[1] = (shared ? 1UL : 0) | (ulong)Batch << 32;
            long n;
            fixed (byte* p = buffer) n = Sys.Check(Sys.Ptrace(Sys.PTRACE_PEEKSIGINFO, tid, (long)arguments, (long)p), "ptrace(PEEKSIGINFO)");
            for (int i = 0; i < n; i++) all.Add(buffer[(i * 128)..((i + 1) * 128)]);
            if (n < Batch) return all;
        }
    }
}
