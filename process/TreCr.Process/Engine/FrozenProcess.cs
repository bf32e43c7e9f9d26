using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Engine;

/// <summary>A process with every thread seized and stopped. Only on the tracer thread. Source: process.md §1, ptrace(2).</summary>
internal sealed unsafe class FrozenProcess
{
    // Calls that answer EINTR to a mere stop (signal(7)): epoll_wait, epoll_pwait, epoll_pwait2, rt_sigtimedwait, semop, semtimedop, io_getevents, io_pgetevents.
    private static readonly long[] s_interruptedCalls = [232, 281, 441, 128, 65, 220, 208, 333];

    private readonly Dictionary<int, Tracee> _threads = [];

    private readonly HashSet<int> _attached;

    private FrozenProcess(int pid, HashSet<int> attached) => (Pid, _attached) = (pid, attached);

    public int Pid { get; }

    /// <summary>The leader first, then ascending.</summary>
    public IReadOnlyList<Tracee> Threads { get; private set; } = [];

    public Tracee Leader => Threads[0];

    /// <summary>Stops every thread. On failure everything is detached again and the process runs on.</summary>
    /// <exception cref="ProcessException">a thread did not stop in time (vfork parent, uninterruptible sleep), or may not be traced</exception>
    /// <param name="patient">false: a thread that is in the kernel and cannot be stopped ends the attempt at once</param>
    /// <exception cref="NotStoppedException">such a thread; another attempt may do</exception>
    /// <param name="attached">threads that an earlier attempt could not let go, because only a stopped thread can be; receives those of this one when it fails</param>
    public static FrozenProcess Freeze(int pid, int deadlineMs, bool patient, HashSet<int> attached)
    {
        FrozenProcess frozen = new(pid, attached);
        try
        {
            frozen.SeizeAll(deadlineMs, patient);
            frozen.Threads = [.. frozen._threads.Values.OrderBy(t => t.Tid == pid ? 0 : 1).ThenBy(t => t.Tid)];
            if (frozen.Threads.Count == 0) throw new ProcessEndedException($"process {pid} has ended");
            if (frozen.Leader.Tid != pid) throw new NotStoppedException($"process {pid} is ending, or its first thread has ended and others have not");
            try { foreach (Tracee thread in frozen.Threads) frozen.ReadState(thread); }
            catch (Exception e) when (e is IOException or LinuxException { ErrorNumber: Errno.ESRCH }) { throw new NotStoppedException($"process {pid} was killed, or executed another program, while it was being stopped"); }
            return frozen;
        }
        catch
        {
            frozen.Release();
            throw;
        }
    }

    /// <summary>Lets everything run on, without fault points: for failed attempts.</summary>
    public void Release()
    {
        List<int> dead = [];
        foreach (Tracee thread in _threads.Values.OrderBy(t => t.Tid == Pid))
        {
            bool left = Sys.Ptrace(Sys.PTRACE_DETACH, thread.Tid) < 0;
            bool ended = left && (thread.Stopped || StateOf(thread.Tid) is 'Z' or 'X');
            if (ended) dead.Add(thread.Tid);
            if (left && !ended) _attached.Add(thread.Tid); else _attached.Remove(thread.Tid);
        }
        _threads.Clear();
        LetGo(dead);
    }

    private void SeizeAll(int deadlineMs, bool patient)
    {
        long end = Environment.TickCount64 + deadlineMs;
        using SeizeWatch watch = new(Pid);
        // New threads come only from threads that still run, so a pass without a new one is the last.
        for (bool found = true; found;)
        {
            found = false;
            List<int> tids;
            try { tids = ProcStatus.Threads(Pid); }
            catch (IOException) { throw new ProcessEndedException($"process {Pid} has ended"); }
            foreach (int tid in tids)
            {
                if (_threads.ContainsKey(tid)) continue;
                long result = _attached.Contains(tid) ? 0 : watch.Seize(tid);
                for (int tries = 0; result == -Errno.EPERM && tries < 5; tries++)
                {
                    // A thread that we had attached executes another program: it has the first thread's number now, and is ours still; or that is just coming.
                    if (TracerOf(tid) == Sys.Gettid()) result = 0;
                    else if (StateOf(tid) is 'Z' or 'X') break;
                    else
                    {
                        Sys.SleepNs(200_000);
                        result = watch.Seize(tid);
                    }
                }
                if (result == -Errno.ESRCH || result < 0 && StateOf(tid) is 'Z' or 'X') continue;
                if (result < 0)
                {
                    int tracer = TracerOf(tid);
                    string why = $"thread {tid} of process {Pid} cannot be traced: {Errno.Describe((int)-result)}" + (tracer != 0 ? $" (it is being traced by {tracer})" : result == -Errno.EPERM ? " (a debugger outside the job, or a security module)" : "");
                    throw tracer != 0 ? new NotStoppedException(why) : new ProcessException(why); // by an engine that is just dying, it may be
                }
                Sys.Ptrace(Sys.PTRACE_INTERRUPT, tid);
                _threads[tid] = new Tracee(Pid, tid);
                found = true;
            }
            // The first one last: its end is reported only after all others', and an execve by another goes on only when those that it has ended are reaped.
            foreach (Tracee thread in _threads.Values.OrderBy(t => t.Tid == Pid).ToArray())
                if (!thread.Stopped && !WaitForStop(thread, (int)Math.Max(1, end - Environment.TickCount64), patient)) _threads.Remove(thread.Tid);
            if (found || !MayHaveMissed()) continue;
            if (Environment.TickCount64 >= end) throw new NotStoppedException($"threads of process {Pid} are ending, and do not within the deadline");
            Sys.SleepNs(50_000);
            found = true;
        }
    }

    /// <summary>The list of threads passes over some where others end meanwhile (next_tid in fs/proc/base.c); the directory's number of links counts all that are not gone.</summary>
    private bool MayHaveMissed() => _threads.ContainsKey(Pid) && Sys.TryStatus($"/proc/{Pid}/task") is { } status && status.Links > 2 + (ulong)_threads.Count;

    /// <summary>Thread id; 0: none, or the thread has ended.</summary>
    private int TracerOf(int tid)
    {
        try { return int.TryParse(ProcStatus.Read(Pid, tid)["TracerPid"], out int tracer) ? tracer : 0; } catch (IOException) { return 0; }
    }

    /// <returns>false: the thread ended</returns>
    private bool WaitForStop(Tracee thread, int timeoutMs, bool patient)
    {
        const int ShortMs = 20;
        while (true)
        {
            StopStatus? stop;
            try
            {
                long end = Environment.TickCount64 + timeoutMs;
                for (bool first = true; (stop = TraceWait.Try(thread.Tid, Math.Min(timeoutMs, ShortMs))) is null && Environment.TickCount64 < end; first = false)
                {
                    char state = StateOf(thread.Tid);
                    // A first thread's end is reported only when the others are reaped, also those of them that had stopped before they were killed.
                    if (state is 'Z' or 'X') throw new NotStoppedException($"process {Pid} is ending");
                    if (first && !patient && state == 'D') break;
                }
            }
            catch (LinuxException e) when (e.ErrorNumber == Errno.ECHILD)
            {
                _threads.Remove(thread.Tid);
                _attached.Remove(thread.Tid);
                throw new NotStoppedException($"thread {thread.Tid} of process {Pid} has just executed another program"); // it has the first thread's number now
            }
            if (stop is not { } status)
            {
                string where = "";
                try { where = $" (state {ProcStatus.Read(Pid, thread.Tid).State}, in {File.ReadAllText($"/proc/{Pid}/task/{thread.Tid}/wchan")})"; } catch (IOException) { }
                throw new NotStoppedException($"thread {thread.Tid} of process {Pid} did not stop within the deadline{where}");
            }
            if (!status.Stopped)
            {
                _attached.Remove(thread.Tid);
                return false;
            }
            if (status.Event == Sys.PTRACE_EVENT_STOP)
            {
                thread.Stopped = true;
                thread.GroupStopSignal = status.Signal == Sys.SIGTRAP ? 0 : status.Signal;
                return true;
            }
            // A signal-delivery stop came first: hand the signal on and stop again.
            Sys.Ptrace(Sys.PTRACE_CONT, thread.Tid, 0, status.Signal);
            Sys.Ptrace(Sys.PTRACE_INTERRUPT, thread.Tid);
        }
    }

    private char StateOf(int tid)
    {
        try { return ProcStatus.Read(Pid, tid).State; } catch (IOException) { return 'X'; }
    }

    private void ReadState(Tracee thread)
    {
        thread.Registers = Sys.GetRegisters(thread.Tid);
        thread.SignalMask = Sys.GetSignalMask(thread.Tid);
        LeaveRestartableSequence(thread);
        if ((long)thread.Registers.Rax is -516 or (long)SyscallNumber.RestartSyscall) FindRestartedCall(thread);
        if ((long)thread.Registers.Rax != -Errno.EINTR || Array.IndexOf(s_interruptedCalls, (long)thread.Registers.OrigRax) < 0) return;
        ProcStatus status = ProcStatus.Read(Pid, thread.Tid);
        if (((status.Hex("SigPnd") | status.Hex("ShdPnd")) & ~thread.SignalMask) != 0) return;
        thread.Registers.Rax = thread.Registers.OrigRax;
        thread.Registers.Rip -= 2;
        thread.Registers.OrigRax = ulong.MaxValue;
        Sys.SetRegisters(thread.Tid, thread.Registers);
    }

    /// <summary>The kernel forgets the number of a call that restart_syscall goes on with; the instruction before <c>syscall</c> still loads it.</summary>
    private void FindRestartedCall(Tracee thread)
    {
        bool begun = (long)thread.Registers.Rax == -516;
        if (begun && (long)thread.Registers.OrigRax != (long)SyscallNumber.RestartSyscall) return;
        byte* code = stackalloc byte[7]; // b8 imm32 (mov eax, imm32), 0f 05 (syscall)
        if (Sys.ProcessVmRead(Pid, thread.Registers.Rip - (begun ? 7UL : 5UL), code, 7) != 7 || code[5] != 0x0f || code[6] != 0x05) return;
        thread.IsAboutToRestart = !begun;
        int number = code[0] == 0xb8 ? *(int*)(code + 1) : !begun ? (int)thread.Registers.OrigRax : -1;
        if (number is 7 or 35 or 202 or 230) thread.RestartedCall = number; // poll, nanosleep, futex, clock_nanosleep
    }

    /// <summary>
    /// Sends a thread that stands in an rseq critical section to its abort handler: the kernel would clear the section when the thread runs one of our
    /// calls, and the section would go on unguarded (seen in 40 of 40 dumps without this, process.md §2).
    /// </summary>
    private void LeaveRestartableSequence(Tracee thread)
    {
        ulong* configuration = stackalloc ulong[3];
        if (Sys.Ptrace(Sys.PTRACE_GET_RSEQ_CONFIGURATION, thread.Tid, 24, (long)configuration) < 0 || configuration[0] == 0) return;
        ulong section; ulong* descriptor = stackalloc ulong[4]; // u32 version, flags; u64 start_ip, post_commit_offset, abort_ip
        if (Sys.ProcessVmRead(Pid, configuration[0] + 8, &section, 8) != 8 || section == 0) return;
        if (Sys.ProcessVmRead(Pid, section, descriptor, 32) != 32) return;
        if (thread.Registers.Rip - descriptor[1] < descriptor[2])
        {
            thread.Registers.Rip = descriptor[3];
            thread.Registers.OrigRax = ulong.MaxValue;
            Sys.SetRegisters(thread.Tid, thread.Registers);
        }
        ulong none = 0;
        Sys.ProcessVmWrite(Pid, configuration[0] + 8, &none, 8);
    }

    /// <summary>Lets every thread run on.</summary>
    public void Detach()
    {
        int count = 0;
        Exception? failed = null;
        List<int> held = [], left = [];
        foreach (Tracee thread in Threads.Reverse())
        {
            if (count++ == Threads.Count / 2)
            {
                try { Fault.At(FaultPoint.DumpDetach); }
                catch (Exception e) { failed = e; } // the others are let go all the same
            }
            if (Sys.Ptrace(Sys.PTRACE_DETACH, thread.Tid) < 0) left.Add(thread.Tid);
            if (thread.HeldSignal != 0) held.Add(thread.HeldSignal);
        }
        LetGo(left);
        foreach (int signal in held) Sys.Kill(Pid, signal);
        Threads = [];
        if (failed is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failed);
    }

    /// <summary>A thread could not be let go: it stands in the kernel and will stop when it comes out. Only the end of this engine lets it run then.</summary>
    public static bool HoldsForEver { get; private set; }

    /// <summary>
    /// Threads that could not be detached. One that was killed under us is reaped: its parent hears nothing of the program's end before. One that has not stopped yet is
    /// waited for, because a traced thread that stops later would stand still for ever.
    /// </summary>
    /// <param name="tids">the leader last</param>
    public static void LetGo(IEnumerable<int> tids)
    {
        const int LateStopMs = 1000;
        foreach (int tid in tids)
        {
            try
            {
                if (TraceWait.Try(tid, LateStopMs) is not { } status) HoldsForEver = true;
                else if (status.Stopped) Sys.Ptrace(Sys.PTRACE_DETACH, tid, 0, status.Event == 0 ? status.Signal : 0);
            }
            catch (LinuxException) { } // ECHILD: reaped
        }
    }

    /// <summary>
    /// Ends the process and waits until all its threads are reaped by us: the others first, because the leader's death is reported only
    /// after theirs. Its zombie then goes to its parent.
    /// </summary>
    public void Kill()
    {
        Sys.Kill(Pid, Sys.SIGKILL);
        foreach (Tracee thread in Threads.Reverse())
            for (int i = 0; i < 100; i++)
            {
                try { if (TraceWait.Try(thread.Tid, 10_000) is not { Stopped: true }) break; }
                catch (LinuxException) { break; } // ECHILD: reaped
            }
        Threads = [];
    }
}
