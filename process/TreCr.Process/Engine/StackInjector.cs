using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Engine;

/// <summary>
/// Gives system calls to a stopped thread, so that the death of this process at any point leaves the program where it was: one at a time, or several in a row (<see cref="CallChain"/>).
/// </summary>
/// <remarks>
/// Protocol. Below the red zone of a stack stands a signal frame with the thread's own registers, mask and FPU state, and under it, as return
/// address, the program's own rt_sigreturn. The thread runs <c>syscall; ret</c> with its stack pointer there: if nobody stops it after the call it
/// returns through the frame. Registers are pointed at the gadget before the mask is closed, and the mask is opened before the
/// registers are put back, so that at no instant a detach would leave a thread with all signals blocked. Nothing is mapped and no descriptor is
/// made in the program. Stepping is by PTRACE_SYSCALL (no SIGTRAP). Measured: 8-10 us a call where both run on one processor, 30-140 us where the two wake each other up across processors. Tracer thread only.
/// </remarks>
internal sealed unsafe class StackInjector(int pid, Gadgets gadgets, IReadOnlyList<Vma> areas, IReadOnlyList<Tracee> threads)
{
    /// <summary>Bytes at <see cref="Scratch"/> for arguments and results.</summary>
    public const int ScratchBytes = 1024;

    private ulong _returnAddress;

    public int Pid => pid;

    public Gadgets Gadgets => gadgets;

    /// <summary>Address in the program, valid between <see cref="Borrow"/> and <see cref="GiveBack"/>.</summary>
    public ulong Scratch { get; private set; }

    /// <summary>Room on a stack; it is the thread's until <see cref="GiveBack"/>.</summary>
    public StackRoom? TryTakeRoom(Tracee thread, int bytes) => thread.Room = StackRoom.Find(thread, bytes, threads, areas);

    /// <summary>Prepares a thread for <see cref="Call"/>.</summary>
    public void Borrow(Tracee thread)
    {
        int frameBytes = SignalFrame.LengthBytes(thread), bytes = SignalFrame.Alignment + frameBytes + ScratchBytes;
        StackRoom room = TryTakeRoom(thread, bytes) ?? throw new ProcessException($"no thread has {bytes} bytes left under its stack pointer");
        Scratch = room.End - ScratchBytes;
        ulong frame = Scratch - (ulong)frameBytes;
        _returnAddress = frame - 8;
        byte[] stack = new byte[8 + frameBytes];
        fixed (byte* p = stack)
        {
            *(ulong*)p = gadgets.SignalReturn;
            SignalFrame.Write(p + 8, frame, thread);
            Write(thread, _returnAddress, p, stack.Length);
        }
        // Harmless if it ever ran: getpid, then back through the frame.
        Aim(thread, Prepared(thread, SyscallNumber.Getpid, 0, 0, 0, 0, 0, 0), ulong.MaxValue);
    }

    /// <summary>Writes below a thread's stack.</summary>
    public void Write(Tracee thread, ulong address, byte* data, int bytes)
    {
        long n = Sys.ProcessVmWrite(pid, address, data, bytes);
        if (n != bytes) throw new ProcessException($"thread {thread.Tid}: cannot write below its stack ({n})");
    }

    /// <summary>Sets what a thread is to run, and the signals that are blocked meanwhile.</summary>
    public static void Aim(Tracee thread, in UserRegisters registers, ulong mask)
    {
        Sys.SetRegisters(thread.Tid, registers);
        Sys.SetSignalMask(thread.Tid, mask);
    }

    /// <summary>Runs one system call in a borrowed thread.</summary>
    /// <returns>the kernel's result, or -errno</returns>
    public long Call(Tracee thread, SyscallNumber number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0)
    {
        Sys.SetRegisters(thread.Tid, Prepared(thread, number, a, b, c, d, e, f));
        thread.Stepped = true;
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

    /// <summary>Puts mask, registers and stack back, and stops the thread where the kernel restarts its interrupted call by itself.</summary>
    public static void GiveBack(Tracee thread)
    {
        if (thread.Room is null) return;
        thread.Chain?.AwaitEnd();
        Sys.SetSignalMask(thread.Tid, thread.SignalMask);
        Sys.SetRegisters(thread.Tid, thread.Registers);
        thread.Room.PutBack(thread.Tid);
        thread.Room = null;
        if (!thread.Stepped) return;
        // From a syscall-exit stop the kernel would return to the program with a raw -ERESTART value; from its signal code it restarts the call.
        thread.Stepped = false;
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
}
