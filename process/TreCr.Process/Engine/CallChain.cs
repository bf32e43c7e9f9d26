using TreCr.Linux;

namespace TreCr.Process.Engine;

/// <summary>
/// Several system calls that a stopped thread makes in a row, without a stop in between: one wake-up for all of them, and threads can be at it side by side.
/// </summary>
/// <remarks>
/// The stack below the red zone is laid out so that pieces of the program's own code (<see cref="Gadgets"/>) load the arguments, make the call and store its result, one after the other; under them lies the
/// frame of <see cref="StackInjector"/>'s protocol. The last call sends the thread itself a signal that it ignores by default: traced it stops there, and is put back; if this process
/// has died it goes on through the frame. Where the program's code lacks a piece, has a handler for each such signal, or runs on a shadow stack, calls are made one at a time. Tracer thread only.
/// Unlike a chain of signal frames this leaves the kernel's restart block alone, so that a relative timeout of the interrupted call goes on.
/// </remarks>
/// <param name="fourth">argument of all of the calls</param>
internal sealed unsafe class CallChain(StackInjector injector, Tracee thread, IReadOnlyList<InjectedCall> calls, long fourth = 0)
{
    /// <summary>Signals whose default is to be ignored, and which have no other effect: SIGURG, SIGWINCH, SIGCHLD.</summary>
    private static readonly int[] s_quiet = [23, 28, 17];

    private ulong _results, _end;
    private int _signal;

    /// <summary>Bytes of results and memory.</summary>
    private int MemoryBytes => Align(calls.Sum(c => 8 + MemoryOf(c)));

    /// <summary>Lets the thread begin. The calls are under way, or made, when this returns.</summary>
    public void Start()
    {
        _signal = QuietSignal();
        if (_signal == 0 || !injector.Gadgets.CanChain || thread.Status["x86_Thread_features"].Contains("shstk", StringComparison.Ordinal) || !TryStart()) StepThrough();
    }

    /// <summary>Waits until they are made, reads what came of them, and gives the thread back.</summary>
    public void Finish()
    {
        if (thread.Chain is not null)
        {
            AwaitEnd();
            Fault.At(FaultPoint.DumpInjectExit);
            ReadResults();
        }
        StackInjector.GiveBack(thread);
    }

    /// <summary>Waits until the thread has come to the end.</summary>
    public void AwaitEnd()
    {
        while (true)
        {
            StopStatus stop = TraceWait.Next(thread.Tid);
            if (!stop.Stopped) throw new ProcessException($"thread {thread.Tid} ended while it was frozen ({stop.Status:x})");
            if (stop.Event == 0)
            {
                // Not by its siginfo, which the kernel leaves out where RLIMIT_SIGPENDING is reached. Signals to a thread come before those to its process.
                if (stop.Signal == _signal && Sys.GetRegisters(thread.Tid).Rsp == _end) break;
                if (stop.Signal is not Sys.SIGSTOP && stop.Signal != _signal) throw new ProcessException($"thread {thread.Tid}: signal {stop.Signal} in calls that it was given");
                // From outside. A quiet signal that is not blocked would have been ignored.
                if (stop.Signal == Sys.SIGSTOP || (thread.SignalMask >> _signal - 1 & 1) != 0) thread.HeldSignal = stop.Signal;
            }
            Sys.Check(Sys.Ptrace(Sys.PTRACE_CONT, thread.Tid), "ptrace(CONT)", $"thread {thread.Tid}");
        }
        thread.Chain = null;
    }

    /// <summary>One that means nothing to the thread, at best one that it does not block either; 0: there is none.</summary>
    private int QuietSignal()
    {
        ulong taken = thread.Status.Hex("SigCgt") | thread.Status.Hex("SigPnd") | thread.Status.Hex("ShdPnd");
        foreach (ulong avoided in (ulong[])[taken | thread.SignalMask, taken])
            foreach (int signal in s_quiet)
                if ((avoided >> signal - 1 & 1) == 0) return signal;
        return 0;
    }

    private bool TryStart()
    {
        int frameBytes = SignalFrame.LengthBytes(thread), memoryBytes = MemoryBytes, codeBytes = Align((calls.Count * 11 + 9) * 8);
        if (injector.TryTakeRoom(thread, codeBytes + frameBytes + memoryBytes) is not { } room) return false;
        _results = room.End - (ulong)memoryBytes;
        List<ulong> code = Code();
        ulong frame = _results - (ulong)frameBytes, start = frame - (ulong)code.Count * 8;
        byte[] stack = new byte[code.Count * 8 + frameBytes];
        System.Runtime.InteropServices.MemoryMarshal.AsBytes(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(code)).CopyTo(stack);
        fixed (byte* p = stack)
        {
            SignalFrame.Write(p + code.Count * 8, frame, thread);
            injector.Write(thread, start, p, stack.Length);
        }
        UserRegisters r = thread.Registers;
        (r.Rip, r.Rsp, r.OrigRax, r.Rbx) = (code[0], start + 8, ulong.MaxValue, _results);
        (r.Rdx, r.R10, r.R8, r.R9) = (0, (ulong)fourth, 0, 0);
        StackInjector.Aim(thread, r, ~(1UL << _signal - 1));
        thread.Chain = this;
        _end = frame - 8;
        Sys.Check(Sys.Ptrace(Sys.PTRACE_CONT, thread.Tid), "ptrace(CONT)", $"thread {thread.Tid}");
        Fault.At(FaultPoint.DumpInjectEntry);
        return true;
    }

    /// <summary>What lies on the stack: addresses of code and what it loads.</summary>
    private List<ulong> Code()
    {
        Gadgets g = injector.Gadgets;
        List<ulong> code = [];
        ulong result = _results, memory = _results + (ulong)calls.Count * 8;
        long third = 0;
        foreach (InjectedCall call in calls)
        {
            if (Argument(call.C) != third) code.AddRange([g.PopRdx, (ulong)(third = Argument(call.C))]);
            code.AddRange([g.PopRdi, (ulong)Argument(call.A), g.PopRsi, (ulong)Argument(call.B), g.PopRax, (ulong)call.Number, g.Syscall, g.Store, result += 8]);
            memory += (ulong)MemoryOf(call);
        }
        code.AddRange([g.PopRdi, (ulong)thread.Tid, g.PopRsi, (ulong)_signal, g.PopRax, (ulong)SyscallNumber.Tkill, g.Syscall, g.SignalReturn]);
        return code;

        long Argument(long value) => value == InjectedCall.Memory ? (long)memory : value;
    }

    private void ReadResults()
    {
        byte[] all = new byte[MemoryBytes];
        fixed (byte* p = all)
            if (Sys.ProcessVmRead(injector.Pid, _results, p, all.Length) != all.Length) throw new ProcessException("cannot read results from the program's stack");
        int memory = calls.Count * 8;
        for (int i = 0; i < calls.Count; i++)
        {
            calls[i].Result = BitConverter.ToInt64(all, i * 8);
            calls[i].Data = all[memory..(memory + calls[i].Bytes)];
            memory += MemoryOf(calls[i]);
        }
    }

    private void StepThrough()
    {
        injector.Borrow(thread);
        foreach (InjectedCall call in calls)
        {
            call.Result = injector.Call(thread, call.Number, Argument(call.A), Argument(call.B), Argument(call.C), fourth);
            call.Data = new byte[call.Bytes];
            fixed (byte* p = call.Data)
                if (call.Bytes > 0 && Sys.ProcessVmRead(injector.Pid, injector.Scratch, p, call.Bytes) != call.Bytes) throw new ProcessException("cannot read results from the program's stack");
        }

        long Argument(long value) => value == InjectedCall.Memory ? (long)injector.Scratch : value;
    }

    private static int MemoryOf(InjectedCall call) => call.Bytes + 7 & ~7;

    private static int Align(int bytes) => bytes + SignalFrame.Alignment - 1 & ~(SignalFrame.Alignment - 1);
}
