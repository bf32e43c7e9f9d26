using System.Runtime.InteropServices;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;

namespace TreCr.Process.Restore;

/// <summary>Per-thread state of a process being made.</summary>
internal sealed unsafe class RestoreThreads(ProcessImage image, RemoteBatch batch)
{
    private const int PR_SET_PDEATHSIG = 1, PR_SET_DUMPABLE = 4, PR_SET_KEEPCAPS = 8, PR_SET_NAME = 15, PR_SET_TIMERSLACK = 29, PR_CAPBSET_DROP = 24, PR_CAP_AMBIENT = 47, TileState = 18;

    /// <summary>What the processes being made have in their bounding sets.</summary>
    private readonly ulong _bounding = Launch.CapabilitySets.OfThisProcess().Bounding;

    /// <summary>Everything that a thread sets for itself; capabilities last. The leader's comes last of all, because clone3 with chosen ids needed its capabilities.</summary>
    public void SetUp()
    {
        foreach (ThreadImage t in image.Threads.Skip(1).Append(image.Threads[0]))
        {
            batch.Add("set_tid_address", SyscallNumber.SetTidAddress, (long)t.ClearTidAddress);
            if (t.RobustList != 0) batch.Add("set_robust_list", SyscallNumber.SetRobustList, (long)t.RobustList, (long)t.RobustListLength);
            batch.Add("prctl(PR_SET_NAME)", SyscallNumber.Prctl, PR_SET_NAME, batch.Text(t.Name));
            if (t.TimerSlackNs != 0) batch.AddOptional("prctl(PR_SET_TIMERSLACK)", SyscallNumber.Prctl, PR_SET_TIMERSLACK, (long)t.TimerSlackNs);
            if (t.AlternateStack.Length == 24) batch.Add("sigaltstack", SyscallNumber.Sigaltstack, batch.Put(t.AlternateStack.Span), 0);
            if (t.RseqAddress != 0) batch.Add("rseq", SyscallNumber.Rseq, (long)t.RseqAddress, t.RseqLength, 0, t.RseqSignature);
            batch.Add("rt_sigprocmask", SyscallNumber.RtSigprocmask, 2, batch.Put(BitConverter.GetBytes(~(1UL << (Sys.SIGTRAP - 1)))), 0, 8);
            Become(t);
            FromOutside(t);
            batch.Run(t.Tid);
            if (t.Xstate.Length >= 520 && (BitConverter.ToUInt64(t.Xstate.Span[512..]) >> TileState & 1) != 0) EnlargeForTiles(t.Tid);
        }
    }

    /// <summary>Its user, groups and capabilities. Each thread has its own; a change takes from a thread the signal of its parent's end, and from the process that it may be looked at (credentials(7), prctl(2)).</summary>
    private void Become(ThreadImage t)
    {
        if (t.Capabilities.Count == 5) DropFromBounding(t.Capabilities[3]);
        if (image.Credentials is { } wanted)
        {
            batch.AddOptional("prctl(PR_SET_KEEPCAPS)", SyscallNumber.Prctl, PR_SET_KEEPCAPS, 1);
            byte[] groups = MemoryMarshal.AsBytes<uint>(wanted.Supplementary.ToArray()).ToArray();
            batch.Add("setgroups", SyscallNumber.Setgroups, wanted.Supplementary.Count, batch.Put(groups));
            batch.Add("setresgid", SyscallNumber.Setresgid, wanted.Groups[0], wanted.Groups[1], wanted.Groups[2]);
            batch.Add("setresuid", SyscallNumber.Setresuid, wanted.Users[0], wanted.Users[1], wanted.Users[2]);
            if (wanted.Groups[3] != wanted.Groups[1]) batch.AddExpecting(wanted.Groups[1], "setfsgid", SyscallNumber.Setfsgid, wanted.Groups[3]);
            if (wanted.Users[3] != wanted.Users[1]) batch.AddExpecting(wanted.Users[1], "setfsuid", SyscallNumber.Setfsuid, wanted.Users[3]);
            batch.AddOptional("prctl(PR_SET_KEEPCAPS)", SyscallNumber.Prctl, PR_SET_KEEPCAPS, image.Prctls.Any(p => p.Set == PR_SET_KEEPCAPS) ? 1 : 0);
        }
        if (t.Capabilities.Count == 5) Capabilities(t);
        if (t.Tid != image.Pid) return;
        foreach (PrctlImage p in image.Prctls)
        {
            if (p.Set == PR_SET_PDEATHSIG && image.Credentials is not null) batch.AddOptional("prctl(PR_SET_PDEATHSIG)", SyscallNumber.Prctl, p.Set, (long)p.Value);
            if (p.Set == PR_SET_DUMPABLE) batch.Add("prctl(PR_SET_DUMPABLE)", SyscallNumber.Prctl, p.Set, (long)Math.Min(p.Value, 1));
        }
    }

    private void DropFromBounding(ulong bounding)
    {
        for (int c = 0; c < 64; c++)
            if ((_bounding >> c & 1) != 0 && (bounding >> c & 1) == 0) batch.Add("prctl(PR_CAPBSET_DROP)", SyscallNumber.Prctl, PR_CAPBSET_DROP, c);
    }

    private void Capabilities(ThreadImage t)
    {
        (ulong inheritable, ulong permitted, ulong effective, ulong ambient) = (t.Capabilities[0], t.Capabilities[1], t.Capabilities[2], t.Capabilities[4]);
        batch.AddOptional("prctl(PR_CAP_AMBIENT)", SyscallNumber.Prctl, PR_CAP_AMBIENT, 4);
        uint[] header = [0x20080522, 0];
        uint[] data = [(uint)effective, (uint)permitted, (uint)inheritable, (uint)(effective >> 32), (uint)(permitted >> 32), (uint)(inheritable >> 32)];
        batch.Add("capset", SyscallNumber.Capset, batch.Put(MemoryMarshal.AsBytes(header.AsSpan())), batch.Put(MemoryMarshal.AsBytes(data.AsSpan())));
        for (int c = 0; c < 64; c++)
            if ((ambient >> c & 1) != 0) batch.AddOptional("prctl(PR_CAP_AMBIENT)", SyscallNumber.Prctl, PR_CAP_AMBIENT, 2, c);
    }

    /// <summary>Before it becomes another user, for whose threads this engine would need CAP_SYS_NICE.</summary>
    private static void FromOutside(ThreadImage t)
    {
        // Another machine may have fewer CPUs or priorities that this user may not set: the program runs anyway.
        if (t.Scheduling.Length == 48) fixed (byte* p = t.Scheduling.Span) Sys.Raw(SyscallNumber.SchedSetattr, t.Tid, (long)p, 0);
        if (t.Affinity.Length > 0) fixed (byte* p = t.Affinity.Span) Sys.Raw(SyscallNumber.SchedSetaffinity, t.Tid, t.Affinity.Length, (long)p);
        if (t.IoPriority != 0) Sys.Raw(SyscallNumber.IoprioSet, 1, t.Tid, t.IoPriority);
    }

    /// <summary>SETREGSET answers EINVAL for a thread with AMX state until its buffer was enlarged by a first tile instruction (process.md §2).</summary>
    private void EnlargeForTiles(int tid)
    {
        byte[] bytes = new byte[128];
        (bytes[0], bytes[16], bytes[48]) = (1, 64, 1);
        StubCode.TileStep.CopyTo(bytes, 64);
        fixed (byte* p = bytes) Sys.ProcessVmWrite(tid, batch.Scratch, p, bytes.Length);
        UserRegisters r = Sys.GetRegisters(tid);
        (r.Rsi, r.Rip, r.OrigRax) = (batch.Scratch, batch.Scratch + 64, ulong.MaxValue);
        Sys.SetRegisters(tid, r);
        Sys.Ptrace(Sys.PTRACE_CONT, tid);
        RestoreStops.WaitForTrap(tid);
    }

    /// <summary>
    /// Queued signals last, each by the thread to itself, all signals blocked, by steps: with a synchronous signal queued the kernel would report it in
    /// place of the int3 of a batch (wrapped-process.md §3).
    /// </summary>
    public void QueuePendingSignals()
    {
        ulong gadget = batch.WorkArea + StubCode.PauseSyscall;
        foreach (ThreadImage t in image.Threads)
        {
            Sys.SetSignalMask(t.Tid, ulong.MaxValue);
            foreach (var info in t.Pending) Queue(t.Tid, info.Span, shared: false);
        }
        foreach (var info in image.SharedPending) Queue(image.Pid, info.Span, shared: true);

        void Queue(int tid, ReadOnlySpan<byte> info, bool shared)
        {
            int signal = BitConverter.ToInt32(info);
            fixed (byte* p = info)
                if (Sys.ProcessVmWrite(tid, batch.Scratch, p, info.Length) != info.Length) throw new ProcessException("cannot write a signal's information");
            long result = shared
                ? RestoreStops.Step(tid, gadget, SyscallNumber.RtSigqueueinfo, image.Pid, signal, (long)batch.Scratch)
                : RestoreStops.Step(tid, gadget, SyscallNumber.RtTgsigqueueinfo, image.Pid, tid, signal, (long)batch.Scratch);
            Sys.Check(result, "rt_sigqueueinfo", $"signal {signal} of thread {tid}");
        }
    }

    /// <summary>Registers, FPU state and mask as saved; an interrupted call starts again.</summary>
    public static void Set(ThreadImage t)
    {
        if (t.Registers.Length != sizeof(UserRegisters)) throw new ImageException($"registers of thread {t.Tid} are damaged");
        Sys.SetRegisters(t.Tid, SignalFrame.Restartable(MemoryMarshal.Read<UserRegisters>(t.Registers.Span)));
        Sys.SetExtendedState(t.Tid, t.Xstate.Span);
        Sys.SetSignalMask(t.Tid, t.SignalMask);
    }


}
