using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Lazy;

namespace TreCr.Process.Restore;

/// <summary>Makes a saved tree again: first all processes, empty; then what each holds; then signals and registers. Tracer thread only.</summary>
internal sealed unsafe class TreeRestorer
{
    private readonly SavedTree _saved;
    private readonly OpenFileRestore _files;
    private readonly LazyRestore? _lazy;
    private readonly RemoteBatch _batch;
    private readonly ulong _workArea;
    private readonly PhaseTimes _times;

    private TreeRestorer(SavedTree saved, OpenFileRestore files, LazyRestore? lazy, PhaseTimes times)
    {
        (_saved, _files, _lazy, _times) = (saved, files, lazy, times);
        _workArea = FindWorkArea(saved);
        _batch = new RemoteBatch(_workArea);
    }

    /// <param name="lazy">receives memory that is filled while the program runs; null: all is filled before</param>
    /// <param name="times">receives what it spent its time on</param>
    /// <returns>the tree, stopped, and complete but for that memory</returns>
    public static RestoredTree Run(ISnapshotReader reader, GivenDescriptors given, LazyRestore? lazy, PhaseTimes times)
    {
        SavedTree saved = SavedTree.Load(reader, given);
        given.Paths.Apply(saved);
        List<string> findings = RestoreCheck.Run(saved);
        if (findings.Count > 0) throw new RefusedException(findings);
        BundledFiles.Provide(saved, given.BundleDirectory);
        times.Mark("records, check");
        using OpenFileRestore files = new(saved, given);
        files.OpenAll();
        times.Mark("open files");
        return new TreeRestorer(saved, files, lazy, times).Make();
    }

    private RestoredTree Make()
    {
        ProcessRestorer[] processes = [.. _saved.Processes.OrderBy(p => p.Pid == _saved.Tree.Root ? 0 : 1).Select(p => new ProcessRestorer(_saved, p, _files, _batch, VdsoPlace, _lazy))];
        SkeletonTree skeleton = new(_saved, _files, _batch);
        try
        {
            MakeSkeleton(skeleton);
            Fault.At(FaultPoint.RestoreSkeleton);
            _times.Mark("empty processes");
            foreach (ProcessRestorer process in processes) process.Build(_times);
            if (_lazy is not null)
            {
                _lazy.Root = _saved.Tree.Root;
                _lazy.Serve();
            }
            foreach (ProcessRestorer process in processes) process.SetUpThreads();
            _times.Mark("threads");
            RestoreFiles.Run(_saved.Reader, _saved.Tree);
            _files.FinishAll(); // watches on files that were just put back see nothing of that
            _times.Mark("files");
            foreach (ProcessRestorer process in processes) Stop(process);
            foreach (ProcessRestorer process in processes) process.QueuePendingSignals();
            foreach (ProcessRestorer process in processes) process.Finish();
            SetLastPid();
            _times.Mark("signals, registers");
            Fault.At(FaultPoint.RestoreComplete);
            return new RestoredTree([.. processes.Select(p => p.Tids)]);
        }
        catch
        {
            RestoredTree.Kill([.. skeleton.Made.Select(pid => (IReadOnlyList<int>)(processes.FirstOrDefault(p => p.Pid == pid)?.Tids ?? [pid]))]);
            throw;
        }
    }

    /// <summary>A process that was stopped; its parent hears of that only where it had not yet.</summary>
    private void Stop(ProcessRestorer process)
    {
        const int WUNTRACED = 2;
        TreeProcess place = _saved.Tree.Processes.First(p => p.Pid == process.Pid);
        if (place.StopSignal == 0) return;
        // SIGTSTP and its like do nothing in an orphaned process group, which this one may have become after it was stopped.
        bool hasJobControl = _saved.Tree.Processes.FirstOrDefault(p => p.Pid == place.Parent) is { } parent && parent.Session == place.Session && parent.ProcessGroup != place.ProcessGroup;
        process.Stop(hasJobControl ? place.StopSignal : Sys.SIGSTOP);
        if (place.Parent == 1) return;
        if (place.StopReported)
            Sys.Check(RestoreStops.Step(place.Parent, _workArea + StubCode.PauseSyscall, SyscallNumber.Wait4, place.Pid, 0, WUNTRACED | Sys.WNOHANG | Sys.WALL), "wait4", $"stopped process {place.Pid}");
        SkeletonTree.TakeChildSignal(place.Parent, _batch);
    }

    private void SetLastPid()
    {
        const string LastPid = "/proc/sys/kernel/ns_last_pid";
        int saved = _saved.Root.LastPid;
        try
        {
            if (saved > 0 && int.Parse(File.ReadAllText(LastPid)) is var last && (last < saved || last >= Launch.InitProtocol.EngineFirstPid)) File.WriteAllText(LastPid, saved.ToString());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { } // numbers of later threads: nothing depends on them
    }

    /// <summary>A gap of all address spaces, with room for the stub and a temporary place for the vdso behind it.</summary>
    private static ulong FindWorkArea(SavedTree saved)
    {
        for (ulong at = 0x1000000000; at < 0x600000000000; at += 0x40000000)
            if (saved.Processes.All(p => p.Vmas.All(v => v.End <= at - 0x100000 || v.Start >= at + RemoteBatch.WorkBytes + 0x2000000))) return at;
        throw new ProcessException("no gap in the address space for the restorer");
    }

    private ulong StubAddress => _workArea + RemoteBatch.WorkBytes + 0x100000;
    private ulong VdsoPlace => _workArea + RemoteBatch.WorkBytes + 0x200000;

    /// <summary>
    /// Starts the stub, lets it clone the tree, and ends it: init becomes the parent, so that init and not this engine reports the end.
    /// </summary>
    private void MakeSkeleton(SkeletonTree skeleton)
    {
        int launcher = StartStub();
        try
        {
            Sys.Check(Sys.Ptrace(Sys.PTRACE_SEIZE, launcher, 0, Sys.PTRACE_O_EXITKILL | Sys.PTRACE_O_TRACESYSGOOD | Sys.PTRACE_O_TRACEFORK | Sys.PTRACE_O_TRACEVFORK | Sys.PTRACE_O_TRACECLONE),
                "ptrace(SEIZE)", "restore stub");
            Sys.Ptrace(Sys.PTRACE_INTERRUPT, launcher);
            RestoreStops.WaitForEventStop(launcher);
            RestoreLimits.Raise(launcher, _saved.Processes);
            // Inherited by all: signals that only the restore causes shall wait, not stop a batch.
            Sys.SetSignalMask(launcher, ~(1UL << Sys.SIGTRAP - 1));
            UserRegisters registers = Sys.GetRegisters(launcher);
            registers.R8 = ulong.MaxValue; registers.R9 = 0;
            Sys.SetRegisters(launcher, registers);
            ulong gadget = StubAddress + 0x1000 + StubCode.PauseSyscall;
            // One for all that are cloned from here, since only one of them works at a time: it is committed and touched once, however many there are.
            long mapped = RestoreStops.Step(launcher, gadget, SyscallNumber.Mmap, (long)_workArea, (long)RemoteBatch.WorkBytes, 7, Sys.MAP_FIXED_NOREPLACE | Sys.MAP_SHARED | Sys.MAP_ANONYMOUS);
            Sys.Check(mapped, "mmap", "work area");
            fixed (byte* p = StubCode.Code)
                if (Sys.ProcessVmWrite(launcher, _workArea, p, StubCode.Code.Length) != StubCode.Code.Length) throw new ProcessException("cannot write the restorer's code");
            skeleton.Make(launcher);
        }
        finally
        {
            Sys.Kill(launcher, Sys.SIGKILL);
            for (int i = 0; i < 20 && TraceWait.Try(launcher, 2000) is { Stopped: true }; i++) { }
        }
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
}
