using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Lazy;
using TreCr.Process.Read;
using TreCr.Process.Resources;

namespace TreCr.Process.Restore;

/// <summary>Fills one skeleton of <see cref="SkeletonTree"/>: memory, descriptors, threads, signals, registers. The order is that of process.md §5b with the corrections of wrapped-process.md. Tracer thread only.</summary>
/// <param name="vdsoPlace">address at which the vdso can stand meanwhile</param>
/// <param name="lazy">receives memory that is filled later; null: none</param>
internal sealed unsafe class ProcessRestorer(SavedTree saved, ProcessImage image, OpenFileRestore files, RemoteBatch batch, ulong vdsoPlace, LazyRestore? lazy)
{
    private const ulong Top = 0x7ffffffff000;

    private readonly RestoreThreads _threads = new(image, batch);

    /// <summary>Thread ids, the leader first.</summary>
    public IReadOnlyList<int> Tids { get; } = [.. image.Threads.Select(t => t.Tid)];

    public int Pid => image.Pid;

    /// <summary>Memory, descriptors, attributes; then the threads exist.</summary>
    public void Build(PhaseTimes times)
    {
        int pid = image.Pid, xstate = Sys.GetExtendedState(pid).Length;
        foreach (ThreadImage t in image.Threads)
            if (t.Xstate.Length != xstate && t.Xstate.Length >= 520 && (t.Xstate.Span[514] & 6) == 0) throw new RefusedException([$"this CPU's register state has {xstate} bytes, the saved one {t.Xstate.Length}"]);
        Evict(pid);
        RestoreDescriptors descriptors = new(saved, image, files, batch);
        RestoreMemory memory = new(saved, image, batch);
        descriptors.OpenSources();
        memory.Map(descriptors);
        // Its number is below those that Place keeps.
        batch.AddOptional("userfaultfd", SyscallNumber.Userfaultfd, Sys.O_CLOEXEC | Sys.O_NONBLOCK | (lazy is null ? UserFault.UserModeOnly : 0));
        long[] results = batch.Run(pid);
        times.Mark("mappings");
        Fault.At(FaultPoint.RestoreMapped);
        lazy?.Add(pid, memory, results[^1]);
        times.Mark("huge pages", memory.MakeHuge(pid));
        memory.Fill(pid, results[^1]);
        times.Mark("memory");
        Fault.At(FaultPoint.RestoreFilled);
        memory.Protect();
        SetProcessFields(descriptors);
        descriptors.Place(pid);
        ProcessAttributes();
        CloneThreads(pid);
        times.Mark("descriptors, attributes");
        Fault.At(FaultPoint.RestoreThreads);
    }

    public void SetUpThreads() => _threads.SetUp();

    public void QueuePendingSignals() => _threads.QueuePendingSignals();

    /// <summary>Puts a process that was stopped by a signal into that state; every thread is to take part. The parent hears of it.</summary>
    public void Stop(int signal)
    {
        Sys.SetSignalMask(Pid, ~(1UL << signal - 1));
        Sys.Check(Sys.Kill(Pid, Sys.SIGSTOP), "kill(SIGSTOP)", $"process {Pid}");
        for (int i = 0; i < Tids.Count; i++)
        {
            Sys.Ptrace(Sys.PTRACE_CONT, Tids[i]);
            for (int tries = 0; ; tries++)
            {
                StopStatus stop = TraceWait.Next(Tids[i]);
                if (!stop.Stopped || tries == 20) throw new ProcessException($"process {Pid} could not be stopped by signal {signal} ({stop.Status:x})");
                if (stop.Event == Sys.PTRACE_EVENT_STOP && stop.Signal != Sys.SIGTRAP) break;
                Sys.Ptrace(Sys.PTRACE_CONT, Tids[i], 0, stop.Event == 0 && stop.Signal == Sys.SIGSTOP ? signal : 0);
            }
        }
        Sys.SetSignalMask(Pid, ulong.MaxValue);
    }

    /// <summary>Unmaps everything but the work area and moves the kernel's pages to where the program had them.</summary>
    private void Evict(int pid)
    {
        List<Vma> kernel = [.. Vma.ReadAll(pid, withFlags: false).Where(a => a.IsKernel && a.Path != "[vsyscall]")];
        List<VmaImage> saved = [.. image.Vmas.Where(v => (VmaKind)v.Kind == VmaKind.Kernel && v.Path != "[vsyscall]")];
        if (!kernel.Select(k => (k.Path, k.LengthBytes)).SequenceEqual(saved.Select(s => (s.Path, s.End - s.Start)))) throw new RefusedException(["the kernel's vdso has another layout than the saved one"]);
        ulong start = kernel.Count == 0 ? vdsoPlace : kernel[0].Start, length = kernel.Count == 0 ? 0 : kernel[^1].End - start;
        foreach (Vma k in kernel) batch.AddExpecting((long)(vdsoPlace + k.Start - start), "mremap vdso aside", SyscallNumber.Mremap, (long)k.Start, (long)k.LengthBytes, (long)k.LengthBytes, 3, (long)(vdsoPlace + k.Start - start));
        Unmap(0x10000, batch.WorkArea);
        Unmap(batch.WorkArea + RemoteBatch.WorkBytes, vdsoPlace);
        Unmap(vdsoPlace + length, Top);
        for (int i = 0; i < kernel.Count; i++)
            batch.AddExpecting((long)saved[i].Start, "mremap vdso", SyscallNumber.Mremap, (long)(vdsoPlace + kernel[i].Start - start), (long)kernel[i].LengthBytes, (long)kernel[i].LengthBytes, 3, (long)saved[i].Start);
        batch.Add("personality", SyscallNumber.Personality, (long)image.Personality);
        batch.Add("close_range", SyscallNumber.CloseRange, 0, uint.MaxValue);
        void Unmap(ulong from, ulong to) => batch.Add("munmap", SyscallNumber.Munmap, (long)from, (long)(to - from));
    }

    private void SetProcessFields(RestoreDescriptors descriptors)
    {
        ulong[] map = new ulong[13]; // struct prctl_mm_map: 11 fields, auxv pointer, { u32 auxv size, u32 exe_fd }
        image.MmFields.ToArray().CopyTo(map, 0);
        map[11] = (ulong)batch.Put(image.Auxv.Span);
        map[12] = (uint)image.Auxv.Length | (ulong)descriptors.ExecutableDescriptor << 32;
        batch.Add("prctl(PR_SET_MM_MAP)", SyscallNumber.Prctl, 35, 14, batch.Put(map), 104);
        batch.Add("chdir " + image.WorkingDirectory, SyscallNumber.Chdir, batch.Text(image.WorkingDirectory));
        batch.Add("umask", SyscallNumber.Umask, image.Umask);
    }

    private void ProcessAttributes()
    {
        for (int bit = 0; bit < 16; bit++)
            if ((image.Membarrier >> bit & 1) != 0) batch.AddOptional("membarrier", SyscallNumber.Membarrier, 1L << bit);
        for (int signal = 1; signal <= 64; signal++)
            if (signal is not (Sys.SIGKILL or Sys.SIGSTOP or Sys.SIGTRAP))
                batch.Add($"rt_sigaction {signal}", SyscallNumber.RtSigaction, signal, batch.Put(image.SignalActions.Span.Slice((signal - 1) * 32, 32)), 0, 8);
        if ((image.XcompPermissions >> 18 & 1) != 0) batch.Add("arch_prctl(ARCH_REQ_XCOMP_PERM)", SyscallNumber.ArchPrctl, 0x1023, 18);
        foreach (PrctlImage p in image.Prctls)
            if (p.Set is not 4) batch.AddOptional("prctl", SyscallNumber.Prctl, p.Set, (long)p.Value);
    }

    private void CloneThreads(int pid)
    {
        const ulong Flags = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000; // VM FS FILES SIGHAND THREAD SYSVSEM
        foreach (ThreadImage t in image.Threads.Skip(1))
        {
            if (batch.IsFull()) batch.Run(pid);
            long wanted = batch.Put(BitConverter.GetBytes(t.Tid));
            batch.AddExpecting(t.Tid, $"clone3 of thread {t.Tid}", SyscallNumber.Clone3, batch.Put([Flags, 0, 0, 0, 0, 0, 0, 0, (ulong)wanted, 1, 0]), 88);
        }
        batch.Run(pid);
        foreach (ThreadImage t in image.Threads.Skip(1)) RestoreStops.WaitForEventStop(t.Tid);
        try
        {
            if (image.OomScoreAdjust.ToString() != File.ReadAllText($"/proc/{pid}/oom_score_adj").Trim()) File.WriteAllText($"/proc/{pid}/oom_score_adj", image.OomScoreAdjust.ToString());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { } // a hint to the OOM killer: nothing depends on it
    }

    /// <summary>Gives every thread its registers; the leader first takes the work area away through the vdso's own syscall instruction.</summary>
    public void Finish()
    {
        int pid = image.Pid;
        if (image.Vmas.FirstOrDefault(v => v.Path == "[vdso]") is not { } vdso) throw new ProcessException("no vdso");
        byte[] code = new byte[vdso.End - vdso.Start];
        fixed (byte* p = code)
            if (Sys.ProcessVmRead(pid, vdso.Start, p, code.Length) != code.Length) throw new ProcessException("cannot read the vdso");
        int at = code.AsSpan().IndexOf((ReadOnlySpan<byte>)[0x0f, 0x05]);
        if (at < 0) throw new ProcessException("no syscall instruction in the vdso");
        for (int i = image.Threads.Count - 1; i > 0; i--) RestoreThreads.Set(image.Threads[i]);
        ulong gadget = vdso.Start + (ulong)at, scratch = batch.Scratch;
        byte[] trap = image.SignalActions.Span.Slice((Sys.SIGTRAP - 1) * 32, 32).ToArray();
        fixed (byte* p = trap) Sys.ProcessVmWrite(pid, scratch, p, trap.Length);
        Sys.Check(RestoreStops.Step(pid, gadget, SyscallNumber.RtSigaction, Sys.SIGTRAP, (long)scratch, 0, 8), "rt_sigaction", "SIGTRAP");
        for (int which = 0; which < 3; which++)
        {
            byte[] timer = image.IntervalTimers.Span.Slice(which * 32, 32).ToArray();
            if (!timer.AsSpan().ContainsAnyExcept((byte)0)) continue;
            // Fired, its signal not taken yet: the kernel starts ITIMER_REAL again only then (value 0, interval set), and would take a value of 0 for "off".
            if (!timer.AsSpan(16).ContainsAnyExcept((byte)0)) timer.AsSpan(0, 16).CopyTo(timer.AsSpan(16));
            fixed (byte* p = timer) Sys.ProcessVmWrite(pid, scratch, p, timer.Length);
            Sys.Check(RestoreStops.Step(pid, gadget, SyscallNumber.Setitimer, which, (long)scratch, 0), "setitimer");
        }
        PosixTimers.Restore(pid, image, scratch, (number, a, b, c, d) => RestoreStops.Step(pid, gadget, number, a, b, c, d));
        RestoreLimits.Set(image, (number, soft, hard) =>
        {
            ulong* limit = stackalloc ulong[] { soft, hard };
            if (Sys.ProcessVmWrite(pid, scratch, (byte*)limit, 16) != 16) throw new ProcessException("cannot write to the new process");
            return RestoreStops.Step(pid, gadget, SyscallNumber.Prlimit64, 0, number, (long)scratch);
        });
        Sys.Check(RestoreStops.Step(pid, gadget, SyscallNumber.Munmap, (long)batch.WorkArea, (long)RemoteBatch.WorkBytes), "munmap", "work area");
        RestoreThreads.Set(image.Threads[0]);
    }
}
