using System.Runtime.Intrinsics.X86;
using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Engine;

/// <summary>
/// Gives system calls to a stopped thread, one at a time, so that the death of this process at any point leaves the program where it was.
/// </summary>
/// <remarks>
/// Protocol. Below the red zone of a stack stands a signal frame with the thread's own registers, mask and FPU state, and under it, as return
/// address, the program's own rt_sigreturn. The thread runs <c>syscall; ret</c> with its stack pointer there: if nobody stops it after the call it
/// returns through the frame. Registers are pointed at the gadget before the mask is closed, and the mask is opened before the
/// registers are put back, so that at no instant a detach would leave a thread with all signals blocked. Nothing is mapped and no descriptor is
/// made in the program. Stepping is by PTRACE_SYSCALL (no SIGTRAP). Measured: 8-10 us a call. Tracer thread only.
/// </remarks>
internal sealed unsafe class StackInjector(int pid, Gadgets gadgets, IReadOnlyList<Vma> areas, IReadOnlyList<Tracee> threads)
{
    private const int ContextBytes = 304, RedZoneBytes = 128;

    /// <summary>Bytes at <see cref="Scratch"/> for arguments and results.</summary>
    public const int ScratchBytes = 1024;

    private ulong _returnAddress;

    /// <summary>Address in the program, valid between <see cref="Borrow"/> and <see cref="GiveBack"/>.</summary>
    public ulong Scratch { get; private set; }

    /// <summary>Prepares a thread for <see cref="Call"/>.</summary>
    public void Borrow(Tracee thread)
    {
        byte[] state = thread.ExtendedState;
        (int stateBytes, ulong features) = FrameState(state);
        ulong stack = FindRoom(thread, stateBytes + 4 + ContextBytes + ScratchBytes + 512);
        Scratch = stack - RedZoneBytes - ScratchBytes & ~63UL;
        ulong floating = Scratch - (ulong)(stateBytes + 8) & ~63UL, context = floating - 320;
        _returnAddress = context - 8;

        byte[] frame = new byte[Scratch - _returnAddress];
        fixed (byte* p = frame)
        {
            *(ulong*)p = gadgets.SignalReturn;
            WriteContext((ulong*)(p + 8), Restartable(thread.Portable), floating, thread.SignalMask);
            byte* f = p + (floating - _returnAddress);
            state.AsSpan(0, stateBytes).CopyTo(new Span<byte>(f, stateBytes));
            *(uint*)(f + 464) = 0x46505853; // FP_XSTATE_MAGIC1
            *(uint*)(f + 468) = (uint)stateBytes + 4;
            *(ulong*)(f + 472) = features;
            *(uint*)(f + 480) = (uint)stateBytes;
            new Span<byte>(f + 484, 28).Clear();
            *(uint*)(f + stateBytes) = 0x46505845; // FP_XSTATE_MAGIC2
            long n = Sys.ProcessVmWrite(pid, _returnAddress, p, frame.Length);
            if (n != frame.Length) throw new ProcessException($"thread {thread.Tid}: cannot write below its stack ({n})");
        }
        thread.Borrowed = true;
        // Harmless if it ever ran: getpid, then back through the frame.
        UserRegisters idle = Prepared(thread, SyscallNumber.Getpid, 0, 0, 0, 0, 0, 0);
        Sys.SetRegisters(thread.Tid, idle);
        Sys.SetSignalMask(thread.Tid, ulong.MaxValue);
    }

    /// <summary>Runs one system call in a borrowed thread.</summary>
    /// <returns>the kernel's result, or -errno</returns>
    public long Call(Tracee thread, SyscallNumber number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0)
    {
        Sys.SetRegisters(thread.Tid, Prepared(thread, number, a, b, c, d, e, f));
        Step(thread);
        Fault.At(FaultPoint.DumpInjectEntry);
        Step(thread);
        Fault.At(FaultPoint.DumpInjectExit);
        return (long)Sys.GetRegisters(thread.Tid).Rax;
    }

    /// <summary>
    /// Prepares a thread so that it would stand still for <see cref="ParkedMs"/>, and then go on, should this process be killed: time for init to put back what it has taken out.
    /// </summary>
    public void Park(Tracee thread)
    {
        Borrow(thread);
        Sys.SetRegisters(thread.Tid, Prepared(thread, SyscallNumber.Poll, 0, 0, ParkedMs, 0, 0, 0));
    }

    /// <summary>What a read-out takes at most; it ends in under a millisecond.</summary>
    private const int ParkedMs = 500;

    /// <summary>Ends <see cref="Park"/>. The thread has not run, so it needs no new stop (see <see cref="GiveBack"/>).</summary>
    public static void Unpark(Tracee thread)
    {
        if (!thread.Borrowed) return;
        Sys.SetSignalMask(thread.Tid, thread.SignalMask);
        Sys.SetRegisters(thread.Tid, thread.Registers);
        thread.Borrowed = false;
    }

    /// <summary>Puts mask and registers back and stops the thread where the kernel restarts its interrupted call by itself.</summary>
    public static void GiveBack(Tracee thread)
    {
        if (!thread.Borrowed) return;
        Sys.SetSignalMask(thread.Tid, thread.SignalMask);
        Sys.SetRegisters(thread.Tid, thread.Registers);
        thread.Borrowed = false;
        // From a syscall-exit stop the kernel would return to the program with a raw -ERESTART value; from its signal code it restarts the call.
        Sys.Ptrace(Sys.PTRACE_INTERRUPT, thread.Tid);
        Sys.Ptrace(Sys.PTRACE_CONT, thread.Tid);
        StopStatus stop = TraceWait.Next(thread.Tid);
        if (!stop.Stopped || stop.Event != Sys.PTRACE_EVENT_STOP) throw new ProcessException($"thread {thread.Tid}: unexpected stop {stop.Status:x} when it was given back");
    }

    private UserRegisters Prepared(Tracee thread, SyscallNumber number, long a, long b, long c, long d, long e, long f)
    {
        UserRegisters r = thread.Registers;
        (r.Rip, r.Rsp, r.Rax, r.OrigRax) = (gadgets.Syscall, _returnAddress, (ulong)number, ulong.MaxValue);
        (r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9) = ((ulong)a, (ulong)b, (ulong)c, (ulong)d, (ulong)e, (ulong)f);
        return r;
    }

    /// <summary>To the next syscall stop.</summary>
    private static void Step(Tracee thread)
    {
        Sys.Check(Sys.Ptrace(Sys.PTRACE_SYSCALL, thread.Tid), "ptrace(SYSCALL)", $"thread {thread.Tid}");
        while (true)
        {
            StopStatus stop = TraceWait.Next(thread.Tid);
            if (stop.IsSyscallStop) return;
            if (!stop.Stopped) throw new ProcessException($"thread {thread.Tid} ended while it was frozen ({stop.Status:x})");
            // Only SIGSTOP gets through a closed mask; it is sent again after the detach.
            if (stop.Event == 0) thread.HeldSignal = stop.Signal;
            Sys.Check(Sys.Ptrace(Sys.PTRACE_SYSCALL, thread.Tid), "ptrace(SYSCALL)", $"thread {thread.Tid}");
        }
    }

    /// <summary>Its own stack; another thread's where there is too little left (alternate stacks, coroutines).</summary>
    private ulong FindRoom(Tracee thread, int bytes)
    {
        foreach (Tracee candidate in threads.Prepend(thread))
        {
            ulong top = candidate.Registers.Rsp, bottom = top - (ulong)(bytes + RedZoneBytes);
            foreach (Vma area in areas)
                if (area.Start <= bottom && top <= area.End && area.Writable && !area.Shared) return top;
        }
        throw new ProcessException($"no thread has {bytes} bytes left under its stack pointer");
    }

    /// <summary>
    /// What the registers must be to go on from user mode. A call with a restart block (nanosleep, poll, timed futex: -516) starts again with its
    /// arguments, because sigreturn and restore lose the block and the kernel's own way would answer EINTR; relative timeouts begin again.
    /// </summary>
    internal static UserRegisters Restartable(UserRegisters r)
    {
        if ((long)r.OrigRax >= 0 && (long)r.Rax is -512 or -513 or -514 or -516) // ERESTARTSYS, NOINTR, NOHAND, RESTARTBLOCK
        {
            r.Rax = r.OrigRax;
            r.Rip -= 2;
        }
        r.OrigRax = ulong.MaxValue;
        return r;
    }

    private static void WriteContext(ulong* u, in UserRegisters r, ulong floating, ulong mask)
    {
        new Span<byte>(u, ContextBytes).Clear();
        u[0] = 7; // UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS; an all-zero stack_t leaves the alternate stack alone
        ulong* m = u + 5;
        (m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7]) = (r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15);
        (m[8], m[9], m[10], m[11], m[12], m[13], m[14], m[15]) = (r.Rdi, r.Rsi, r.Rbp, r.Rbx, r.Rdx, r.Rax, r.Rcx, r.Rsp);
        (m[16], m[17], m[18], m[23]) = (r.Rip, r.Eflags, r.Cs & 0xffff | (r.Ss & 0xffff) << 48, floating);
        u[37] = mask;
    }

    /// <summary>Bytes and components of the XSAVE area that a signal frame takes: all but AMX (bits 17, 18), which needs a permission.</summary>
    private static (int Bytes, ulong Features) FrameState(byte[] state)
    {
        ulong features = BitConverter.ToUInt64(state, 464) & ~0x60000UL;
        int bytes = 576;
        for (int i = 2; i < 17; i++)
            if ((features >> i & 1) != 0) { var (size, offset, _, _) = X86Base.CpuId(0xd, i); bytes = Math.Max(bytes, size + offset); }
        return (Math.Min(bytes, state.Length), features);
    }
}
