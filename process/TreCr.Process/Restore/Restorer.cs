using System.Runtime.InteropServices;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;
using TreCr.Process.Resources;

namespace TreCr.Process.Restore;

/// <summary>Makes a saved process again. The order is that of process.md §5b with the corrections of wrapped-process.md. Tracer thread only.</summary>
internal sealed unsafe class Restorer
{
    private const ulong Top = 0x7ffffffff000;
    private const int PidRetryMs = 10_000;

    private readonly SavedTree _saved;
    private readonly ProcessImage _image;
    private readonly OpenFileRestore _files;
    private readonly RemoteBatch _batch;
    private readonly ulong _workArea;

    private Restorer(SavedTree saved, OpenFileRestore files)
    {
        (_saved, _image, _files) = (saved, saved.Root, files);
        _workArea = FindWorkArea(_image);
        _batch = new RemoteBatch(_workArea);
    }

    /// <returns>the process, complete and stopped</returns>
    public static RestoredProcess Run(ISnapshotReader reader, GivenDescriptors given)
    {
        SavedTree saved = SavedTree.Load(reader, given);
        List<string> findings = RestoreCheck.Run(saved);
        if (findings.Count > 0) throw new RefusedException(findings);
        using OpenFileRestore files = new(saved, given);
        files.OpenAll();
        Restorer restorer = new(saved, files);
        int[] tids = [.. saved.Root.Threads.Select(t => t.Tid)];
        int pid = restorer.MakeSkeleton();
        try
        {
            Fault.At(FaultPoint.RestoreSkeleton);
            restorer.Build();
            return new RestoredProcess(pid, tids);
        }
        catch
        {
            RestoredProcess.Kill(pid, tids);
            throw;
        }
    }

    /// <summary>A gap of the address space, with room for the stub and a temporary place for the vdso behind it.</summary>
    private static ulong FindWorkArea(ProcessImage image)
    {
        for (ulong at = 0x1000000000; at < 0x600000000000; at += 0x40000000)
            if (image.Vmas.All(v => v.End <= at - 0x100000 || v.Start >= at + RemoteBatch.WorkBytes + 0x2000000)) return at;
        throw new ProcessException("no gap in the address space for the restorer");
    }

    private ulong StubAddress => _workArea + RemoteBatch.WorkBytes + 0x100000;
    private ulong VdsoPlace => _workArea + RemoteBatch.WorkBytes + 0x200000;

    /// <summary>
    /// Starts the stub, lets it clone the process with its pid, and ends the stub: init becomes the parent, so that init and not this engine reports the end.
    /// </summary>
    private int MakeSkeleton()
    {
        int launcher = StartStub();
        try
        {
            Sys.Check(Sys.Ptrace(Sys.PTRACE_SEIZE, launcher, 0, Sys.PTRACE_O_EXITKILL | Sys.PTRACE_O_TRACESYSGOOD | Sys.PTRACE_O_TRACEFORK | Sys.PTRACE_O_TRACEVFORK | Sys.PTRACE_O_TRACECLONE),
                "ptrace(SEIZE)", "restore stub");
            Sys.Ptrace(Sys.PTRACE_INTERRUPT, launcher);
            RestoreStops.WaitForEventStop(launcher);
            UserRegisters registers = Sys.GetRegisters(launcher);
            registers.R8 = ulong.MaxValue; registers.R9 = 0;
            Sys.SetRegisters(launcher, registers);
            ulong gadget = StubAddress + 0x1000 + StubCode.PauseSyscall;
            long mapped = RestoreStops.Step(launcher, gadget, SyscallNumber.Mmap, (long)_workArea, (long)RemoteBatch.WorkBytes, 7, Sys.MAP_FIXED_NOREPLACE | Sys.MAP_PRIVATE | Sys.MAP_ANONYMOUS);
            Sys.Check(mapped, "mmap", "work area");
            fixed (byte* p = StubCode.Code)
                if (Sys.ProcessVmWrite(launcher, _workArea, p, StubCode.Code.Length) != StubCode.Code.Length) throw new ProcessException("cannot write the restorer's code");
            int pid = _image.Pid;
            long end = Environment.TickCount64 + PidRetryMs;
            while (true)
            {
                long wanted = _batch.Put(BitConverter.GetBytes(pid));
                // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup
                _batch.AddOptional("clone3", SyscallNumber.Clone3, _batch.Put([0, 0, 0, 0, Sys.SIGCHLD, 0, 0, 0, (ulong)wanted, 1, 0]), 88);
                long result = _batch.Run(launcher)[0];
                if (result == pid) break;
                if (result != -Errno.EEXIST) Sys.Check(result, "clone3(set_tid)", $"pid {pid}");
                // The zombie of the old process, or the end of its memory, can hold the pid for a while.
                if (Environment.TickCount64 > end) throw new ProcessException($"pid {pid} is in use by {Holder(pid)}");
                Thread.Sleep(10);
            }
            RestoreStops.WaitForEventStop(pid);
            return pid;
        }
        finally
        {
            Sys.Kill(launcher, Sys.SIGKILL);
            for (int i = 0; i < 20 && TraceWait.Try(launcher, 2000) is { Stopped: true }; i++) { }
        }
    }

    private static string Holder(int pid)
    {
        try { return File.ReadAllText($"/proc/{pid}/comm").Trim(); } catch (IOException) { return "an ending process"; }
    }

    private int StartStub()
    {
        byte[] elf = StubCode.Elf(StubAddress);
        int write = Sys.MemfdCreate("trecr-stub");
        int read = -1;
        try
        {
            fixed (byte* p = elf) Sys.Check(Sys.Raw(SyscallNumber.Pwrite64, write, (long)p, elf.Length, 0), "pwrite");
            read = Sys.Open($"/proc/self/fd/{write}", Sys.O_RDONLY | Sys.O_CLOEXEC);
            Sys.Close(write); // a file open for writing does not execute
            write = -1;
            using CloneTable table = new();
            table.AddDefaultSignals();
            table.AddExecute($"/proc/self/fd/{read}", ["trecr-restore"], []);
            CloneResult result = table.Run();
            if (!result.Succeeded) throw new ProcessException($"cannot start the restore stub: {result.FailedStep}: {Errno.Describe(result.ErrorNumber)}");
            Sys.Close(result.Pidfd);
            return result.Pid;
        }
        finally { Sys.Close(write); Sys.Close(read); }
    }

    private void Build()
    {
        int pid = _image.Pid;
        int xstate = Sys.GetExtendedState(pid).Length;
        foreach (ThreadImage t in _image.Threads)
            if (t.Xstate.Length != xstate && t.Xstate.Length >= 520 && (t.Xstate.Span[514] & 6) == 0) throw new RefusedException([$"this CPU's register state has {xstate} bytes, the saved one {t.Xstate.Length}"]);

        Evict(pid);
        RestoreDescriptors descriptors = new(_saved, _image, _files, _batch);
        RestoreMemory memory = new(_saved, _image, _batch);
        descriptors.OpenSources();
        memory.Map(descriptors);
        _batch.Run(pid);
        Fault.At(FaultPoint.RestoreMapped);
        memory.Fill(pid);
        Fault.At(FaultPoint.RestoreFilled);
        memory.Protect();
        SetProcessFields(descriptors);
        descriptors.Place(pid);
        TakeTerminal();
        ProcessAttributes();
        CloneThreads(pid);
        Fault.At(FaultPoint.RestoreThreads);
        RestoreThreads threads = new(_image, _batch);
        threads.SetUp();
        _files.FinishAll();
        RestoreFiles.Run(_saved.Reader, _saved.Tree);
        threads.QueuePendingSignals();
        Finish(pid, threads);
        Fault.At(FaultPoint.RestoreComplete);
    }

    /// <summary>Unmaps everything but the work area and moves the kernel's pages to where the program had them.</summary>
    private void Evict(int pid)
    {
        List<Vma> kernel = [.. Vma.ReadAll(pid, withFlags: false).Where(a => a.IsKernel && a.Path != "[vsyscall]")];
        List<VmaImage> saved = [.. _image.Vmas.Where(v => (VmaKind)v.Kind == VmaKind.Kernel && v.Path != "[vsyscall]")];
        if (!kernel.Select(k => (k.Path, k.LengthBytes)).SequenceEqual(saved.Select(s => (s.Path, s.End - s.Start)))) throw new RefusedException(["the kernel's vdso has another layout than the saved one"]);
        ulong start = kernel.Count == 0 ? VdsoPlace : kernel[0].Start, length = kernel.Count == 0 ? 0 : kernel[^1].End - start;
        foreach (Vma k in kernel) _batch.AddExpecting((long)(VdsoPlace + k.Start - start), "mremap vdso aside", SyscallNumber.Mremap, (long)k.Start, (long)k.LengthBytes, (long)k.LengthBytes, 3, (long)(VdsoPlace + k.Start - start));
        Unmap(0x10000, _workArea);
        Unmap(_workArea + RemoteBatch.WorkBytes, VdsoPlace);
        Unmap(VdsoPlace + length, Top);
        for (int i = 0; i < kernel.Count; i++)
            _batch.AddExpecting((long)saved[i].Start, "mremap vdso", SyscallNumber.Mremap, (long)(VdsoPlace + kernel[i].Start - start), (long)kernel[i].LengthBytes, (long)kernel[i].LengthBytes, 3, (long)saved[i].Start);
        _batch.Add("personality", SyscallNumber.Personality, (long)_image.Personality);
        _batch.Add("close_range", SyscallNumber.CloseRange, 0, uint.MaxValue);
        void Unmap(ulong from, ulong to) => _batch.Add("munmap", SyscallNumber.Munmap, (long)from, (long)(to - from));
    }

    private void SetProcessFields(RestoreDescriptors descriptors)
    {
        ulong[] map = new ulong[13]; // struct prctl_mm_map: 11 fields, auxv pointer, { u32 auxv size, u32 exe_fd }
        _image.MmFields.ToArray().CopyTo(map, 0);
        map[11] = (ulong)_batch.Put(_image.Auxv.Span);
        map[12] = (uint)_image.Auxv.Length | (ulong)descriptors.ExecutableDescriptor << 32;
        _batch.Add("prctl(PR_SET_MM_MAP)", SyscallNumber.Prctl, 35, 14, _batch.Put(map), 104);
        _batch.Add("chdir " + _image.WorkingDirectory, SyscallNumber.Chdir, _batch.Text(_image.WorkingDirectory));
        _batch.Add("umask", SyscallNumber.Umask, _image.Umask);
        if (_image.Session == _image.Pid) _batch.Add("setsid", SyscallNumber.Setsid);
        else if (_image.ProcessGroup == _image.Pid) _batch.Add("setpgid", SyscallNumber.Setpgid);
    }

    private void TakeTerminal()
    {
        const int TIOCSCTTY = 0x540E;
        if (_saved.Place(_image).Terminal is var id and not 0 && _image.Descriptors.FirstOrDefault(d => d.OpenFile == id) is { } terminal) _batch.Add("ioctl(TIOCSCTTY)", SyscallNumber.Ioctl, terminal.Number, TIOCSCTTY, 0);
    }

    private void ProcessAttributes()
    {
        for (int bit = 0; bit < 16; bit++)
            if ((_image.Membarrier >> bit & 1) != 0) _batch.AddOptional("membarrier", SyscallNumber.Membarrier, 1L << bit);
        for (int i = 0; i < 16; i++)
            _batch.AddOptional("prlimit", SyscallNumber.Prlimit64, 0, i, _batch.Put([_image.ResourceLimits[2 * i], _image.ResourceLimits[2 * i + 1]]));
        for (int signal = 1; signal <= 64; signal++)
            if (signal is not (Sys.SIGKILL or Sys.SIGSTOP or Sys.SIGTRAP))
                _batch.Add($"rt_sigaction {signal}", SyscallNumber.RtSigaction, signal, _batch.Put(_image.SignalActions.Span.Slice((signal - 1) * 32, 32)), 0, 8);
        if ((_image.XcompPermissions >> 18 & 1) != 0) _batch.Add("arch_prctl(ARCH_REQ_XCOMP_PERM)", SyscallNumber.ArchPrctl, 0x1023, 18);
        foreach (PrctlImage p in _image.Prctls)
            if (p.Set is not 4) _batch.AddOptional("prctl", SyscallNumber.Prctl, p.Set, (long)p.Value);
    }

    private void CloneThreads(int pid)
    {
        const ulong Flags = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000; // VM FS FILES SIGHAND THREAD SYSVSEM
        foreach (ThreadImage t in _image.Threads.Skip(1))
        {
            if (_batch.IsFull()) _batch.Run(pid);
            long wanted = _batch.Put(BitConverter.GetBytes(t.Tid));
            _batch.AddExpecting(t.Tid, $"clone3 of thread {t.Tid}", SyscallNumber.Clone3, _batch.Put([Flags, 0, 0, 0, 0, 0, 0, 0, (ulong)wanted, 1, 0]), 88);
        }
        _batch.Run(pid);
        foreach (ThreadImage t in _image.Threads.Skip(1)) RestoreStops.WaitForEventStop(t.Tid);
        try
        {
            const string LastPid = "/proc/sys/kernel/ns_last_pid";
            if (_image.LastPid > 0 && int.Parse(File.ReadAllText(LastPid)) is var last && (last < _image.LastPid || last >= Launch.InitProtocol.EngineFirstPid)) File.WriteAllText(LastPid, _image.LastPid.ToString());
            if (_image.OomScoreAdjust.ToString() != File.ReadAllText($"/proc/{pid}/oom_score_adj").Trim()) File.WriteAllText($"/proc/{pid}/oom_score_adj", _image.OomScoreAdjust.ToString());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { } // numbers of later threads, and a hint to the OOM killer: nothing depends on them
    }

    /// <summary>Gives every thread its registers; the leader first takes the work area away through the vdso's own syscall instruction.</summary>
    private void Finish(int pid, RestoreThreads threads)
    {
        if (_image.Vmas.FirstOrDefault(v => v.Path == "[vdso]") is not { } vdso) throw new ProcessException("no vdso");
        byte[] code = new byte[vdso.End - vdso.Start];
        fixed (byte* p = code)
            if (Sys.ProcessVmRead(pid, vdso.Start, p, code.Length) != code.Length) throw new ProcessException("cannot read the vdso");
        int at = code.AsSpan().IndexOf((ReadOnlySpan<byte>)[0x0f, 0x05]);
        if (at < 0) throw new ProcessException("no syscall instruction in the vdso");
        for (int i = _image.Threads.Count - 1; i > 0; i--) RestoreThreads.Set(_image.Threads[i]);
        ulong gadget = vdso.Start + (ulong)at, scratch = _batch.Scratch;
        byte[] trap = _image.SignalActions.Span.Slice((Sys.SIGTRAP - 1) * 32, 32).ToArray();
        fixed (byte* p = trap) Sys.ProcessVmWrite(pid, scratch, p, trap.Length);
        Sys.Check(RestoreStops.Step(pid, gadget, SyscallNumber.RtSigaction, Sys.SIGTRAP, (long)scratch, 0, 8), "rt_sigaction", "SIGTRAP");
        for (int which = 0; which < 3; which++)
        {
            byte[] timer = _image.IntervalTimers.Span.Slice(which * 32, 32).ToArray();
            if (!timer.AsSpan().ContainsAnyExcept((byte)0)) continue;
            // Fired, its signal not taken yet: the kernel starts ITIMER_REAL again only then (value 0, interval set), and would take a value of 0 for "off".
            if (!timer.AsSpan(16).ContainsAnyExcept((byte)0)) timer.AsSpan(0, 16).CopyTo(timer.AsSpan(16));
            fixed (byte* p = timer) Sys.ProcessVmWrite(pid, scratch, p, timer.Length);
            Sys.Check(RestoreStops.Step(pid, gadget, SyscallNumber.Setitimer, which, (long)scratch, 0), "setitimer");
        }
        Sys.Check(RestoreStops.Step(pid, gadget, SyscallNumber.Munmap, (long)_workArea, (long)RemoteBatch.WorkBytes), "munmap", "work area");
        RestoreThreads.Set(_image.Threads[0]);
    }
}
