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
    private const int PR_GET_TID_ADDRESS = 40, PR_GET_TIMERSLACK = 30;

    private readonly List<Asked> _asked = [];
    private readonly ProcessCalls _process = new(frozen.Pid);
    private ProcStatus? _status;

    /// <summary>What one thread is asked.</summary>
    private sealed record Asked(Tracee Thread, CallChain Chain, InjectedCall AlternateStack, InjectedCall ClearTidAddress, InjectedCall TimerSlack);

    /// <summary>Reads what can be seen from outside, and lets all threads begin with their calls.</summary>
    public void Begin(List<Vma> areas)
    {
        int pid = frozen.Pid;
        ProcStatus status = _status = ProcStatus.Read(pid);
        image.FormatVersion = ProcessImageFormat.Plain;
        image.Pid = pid;
        image.ProcessGroup = (int)status.Stat(5);
        image.Session = (int)status.Stat(6);
        image.ControllingTerminal = status.Stat(7) != 0;
        image.Executable = Sys.ReadLink($"/proc/{pid}/exe") ?? throw new ProcessException("cannot read the executable's path");
        image.WorkingDirectory = Sys.ReadLink($"/proc/{pid}/cwd") ?? throw new ProcessException("cannot read the working directory");
        image.Umask = Convert.ToUInt32(status["Umask"], 8);
        image.Personality = Convert.ToUInt64(ProcText.Read($"/proc/{pid}/personality").Trim(), 16);
        image.Auxv = ByteString.CopyFrom(File.ReadAllBytes($"/proc/{pid}/auxv"));
        image.OomScoreAdjust = int.Parse(ProcText.Read($"/proc/{pid}/oom_score_adj"));
        image.MonotonicNs = Sys.ClockNs(1);
        image.BoottimeNs = Sys.ClockNs(7);
        if (File.Exists("/proc/sys/kernel/ns_last_pid") && int.TryParse(File.ReadAllText("/proc/sys/kernel/ns_last_pid"), out int last)) image.LastPid = last;
        image.Host = HostFacts.Of(pid, areas, frozen.Leader.ExtendedState.Length);
        if (Credentials.Capture(status) is { } credentials) (image.Credentials, image.FormatVersion) = (credentials, ProcessImageFormat.WithCredentials);
        image.ResourceLimits.AddRange(ResourceLimits.Of(pid));
        foreach (Tracee thread in frozen.Threads)
        {
            image.Threads.Add(FromOutside(thread));
            Ask(thread);
        }
    }

    private void Ask(Tracee thread)
    {
        InjectedCall stack = new(SyscallNumber.Sigaltstack, 0, InjectedCall.Memory, 0, 24), address = new(SyscallNumber.Prctl, PR_GET_TID_ADDRESS, InjectedCall.Memory, 0, 8), slack = new(SyscallNumber.Prctl, PR_GET_TIMERSLACK);
        Asked asked = new(thread, new CallChain(injector, thread, thread == frozen.Leader ? [stack, address, slack, .. _process.Others] : [stack, address, slack]), stack, address, slack);
        _asked.Add(asked);
        asked.Chain.Start();
    }

    /// <summary>Reads what the threads said.</summary>
    public void Finish()
    {
        for (int i = 0; i < _asked.Count; i++)
        {
            Asked asked = _asked[i];
            asked.Chain.Finish();
            if (i == 0)
            {
                CallChain signals = new(injector, asked.Thread, _process.OfSignals, ProcessCalls.SignalSetBytes);
                signals.Start();
                signals.Finish();
                _process.Fill(image, _status!);
            }
            ThreadImage to = image.Threads[i];
            to.AlternateStack = ByteString.CopyFrom(asked.AlternateStack.Required);
            to.ClearTidAddress = BitConverter.ToUInt64(asked.ClearTidAddress.Required);
            to.TimerSlackNs = (ulong)asked.TimerSlack.Result;
            // After the timers were read: one that fired meanwhile is either still running or among these, never lost.
            foreach (byte[] info in Pending(asked.Thread.Tid, shared: false)) to.Pending.Add(ByteString.CopyFrom(info));
        }
        foreach (byte[] info in Pending(frozen.Pid, shared: true)) image.SharedPending.Add(ByteString.CopyFrom(info));
    }

    private ThreadImage FromOutside(Tracee thread)
    {
        int tid = thread.Tid;
        UserRegisters registers = thread.Portable;
        ThreadImage to = new()
        {
            Tid = tid,
            Name = thread.Status.Name,
            Registers = ByteString.CopyFrom(new ReadOnlySpan<byte>(&registers, sizeof(UserRegisters))),
            Xstate = ByteString.CopyFrom(thread.ExtendedState),
            SignalMask = thread.SignalMask,
        };
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
        CapabilitySets sets = CapabilitySets.Parse(thread.Status.Lines);
        to.Capabilities.AddRange([sets.Inheritable, sets.Permitted, sets.Effective, sets.Bounding, sets.Ambient]);
        return to;
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
