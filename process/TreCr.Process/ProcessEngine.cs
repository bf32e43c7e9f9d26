using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Check;
using TreCr.Process.Engine;
using TreCr.Process.Memory;
using TreCr.Process.Read;
using TreCr.Process.Resources;
using TreCr.Process.Restore;

namespace TreCr.Process;

/// <summary>
/// Freezes, dumps, kills and restores one process from outside. Runs in the namespaces of the rank with their capabilities; may die at any time
/// without harm to a running program. The steps: Check, [Prepare], Freeze, Capture, Resume or Kill; Restore, Release.
/// </summary>
/// <remarks>Any thread, one call at a time; ptrace happens on a thread of its own. Every wait has a deadline.</remarks>
public sealed class ProcessEngine : IDisposable
{
    private readonly TracerThread _tracer = new();
    private FrozenProcess? _frozen;
    private RestoredProcess? _restored;
    private Gadgets _gadgets;
    private int _gadgetsOf;
    private WriteTracker? _tracker;

    /// <summary>Files open for writing that are shorter than this are saved with the image, bytes.</summary>
    public long SaveFilesBelowBytes { get; set; } = 64L << 20;

    /// <summary>What cannot be saved; reads only, nothing is stopped.</summary>
    public List<string> Check(int pid, ExternalObjects externals) => ProcessCheck.Run(pid, externals, p => _tracker?.Pid == p);

    /// <summary>
    /// Arms write tracking if it is not, and copies memory while the program runs. The next <see cref="Capture"/> with the same writer copies only what was written since.
    /// </summary>
    /// <param name="writer">of this epoch; its base, if any, must be the last snapshot that <see cref="Commit"/> was called for</param>
    /// <param name="precopy">false: only arm</param>
    /// <exception cref="ProcessException">the program could not be stopped for a moment; tracking stays off and a capture is a full one</exception>
    public void Prepare(int pid, ISnapshotWriter writer, bool precopy = true) => _tracer.Run(() =>
    {
        if (_tracker is { } old && old.Pid != pid) { old.Dispose(); _tracker = null; }
        if (_tracker is null)
        {
            FrozenProcess frozen = FrozenProcess.Freeze(pid, 2000);
            try
            {
                List<Vma> areas = Vma.ReadAll(pid, withFlags: false);
                _tracker = WriteTracker.Create(frozen, InjectorFor(frozen, areas));
            }
            finally { frozen.Detach(); }
        }
        List<Vma> now = Vma.ReadAll(pid);
        _tracker.Arm(now);
        Fault.At(FaultPoint.PrepareArmed);
        if (precopy) _tracker.Precopy(writer, now);
    });

    /// <summary>Stops every thread at whatever instruction it is. On failure everything runs on.</summary>
    public void Freeze(int pid, int deadlineMs = 2000) => _tracer.Run(() =>
    {
        if (_frozen is not null) throw new ProcessException("a process is frozen already");
        FrozenProcess frozen = FrozenProcess.Freeze(pid, deadlineMs);
        try { Fault.At(FaultPoint.DumpFrozen); }
        catch
        {
            frozen.Detach();
            throw;
        }
        _frozen = frozen;
    });

    /// <summary>Saves the frozen process. It stays frozen, also on failure; then call <see cref="Resume"/> or <see cref="Kill"/>.</summary>
    /// <exception cref="RefusedException">it holds what cannot be saved; nothing was touched</exception>
    public CaptureResult Capture(ISnapshotWriter writer, ExternalObjects externals) => _tracer.Run(() =>
    {
        FrozenProcess frozen = _frozen ?? throw new ProcessException("no process is frozen");
        long start = Sys.ClockNs(1);
        List<Vma> areas = Vma.ReadAll(frozen.Pid);
        List<OpenDescriptor> descriptors = OpenDescriptor.ReadAll(frozen.Pid);
        if (descriptors.RemoveAll(d => d.IsLeftover) > 0) CloseLeftovers(frozen, areas);
        bool tracked = _tracker?.Pid == frozen.Pid;
        List<string> findings = [];
        ProcessCheck.Run([new ProcessFacts(frozen.Pid, areas, descriptors)], externals, p => _tracker?.Pid == p, tracedByUs: true, findings);
        if (findings.Count > 0) throw new RefusedException(findings);

        TreeImage tree = new() { FormatVersion = ProcessImageFormat.Current, Root = frozen.Pid };
        ProcessImage image = new();
        Classification classification = new(externals, []);
        FileCapture files = new(tree, writer, SaveFilesBelowBytes);
        SharedMemoryCapture shared = new(tree, writer);
        OpenFileTable openFiles = new(tree, externals, files, shared);
        openFiles.Add(descriptors, image);
        foreach (Vma area in areas)
        {
            var (kind, session) = classification.Of(area, tracked);
            uint index = kind switch
            {
                VmaKind.SharedMemory => shared.NoteMapping(frozen.Pid, area),
                VmaKind.File => files.Note(area.Path, area.Shared && (area.Writable || area.Has("mw")), append: false, mapped: !area.Shared),
                _ => (uint)session,
            };
            image.Vmas.Add(new VmaImage
            {
                Start = area.Start, End = area.End, Permissions = area.Permissions, Offset = area.Offset, Path = area.Path, Flags = area.Flags.Trim(), Kind = (uint)kind, Index = index,
            });
        }
        new StateCapture(frozen, InjectorFor(frozen, areas), image).Run(areas);
        Fault.At(FaultPoint.DumpState);
        long bytes = MemoryCapture.Run(frozen.Pid, areas, image, writer, tracked ? _tracker : null);
        shared.Save();
        files.SaveContents();
        TreeProcess place = new() { Pid = image.Pid, Parent = 1, ProcessGroup = image.ProcessGroup, Session = image.Session, ExitSignal = Sys.SIGCHLD };
        if (image.ControllingTerminal && image.Session == image.Pid)
            place.Terminal = image.Descriptors.FirstOrDefault(d => (DescriptorKind)tree.OpenFiles[(int)d.OpenFile - 1].Kind == DescriptorKind.ExternalStream)?.OpenFile ?? 0;
        tree.Processes.Add(place);
        writer.PutRecord(ProcessImageFormat.TreeRecord, tree.ToByteArray());
        writer.PutRecord(ProcessImageFormat.Record, image.ToByteArray());
        Fault.At(FaultPoint.DumpCaptured);
        return new CaptureResult(image.Pid, image.Threads.Count, bytes, (Sys.ClockNs(1) - start) / 1000);
    });

    /// <summary>Closes a userfaultfd that an engine made in the program and died before it could take it out.</summary>
    private void CloseLeftovers(FrozenProcess frozen, List<Vma> areas)
    {
        StackInjector injector = InjectorFor(frozen, areas);
        injector.Borrow(frozen.Leader);
        try
        {
            foreach (OpenDescriptor d in OpenDescriptor.ReadAll(frozen.Pid))
                if (d.IsLeftover) injector.Call(frozen.Leader, SyscallNumber.Close, d.Number);
        }
        finally { StackInjector.GiveBack(frozen.Leader); }
    }

    private StackInjector InjectorFor(FrozenProcess frozen, List<Vma> areas)
    {
        if (_gadgetsOf != frozen.Pid) (_gadgets, _gadgetsOf) = (Gadgets.Find(frozen.Pid, areas), frozen.Pid);
        return new StackInjector(frozen.Pid, _gadgets, areas, frozen.Threads);
    }

    /// <summary>Lets the frozen process run on.</summary>
    public void Resume() => _tracer.Run(() =>
    {
        if (_frozen is not { } frozen) return;
        _frozen = null;
        try { foreach (Tracee thread in frozen.Threads) StackInjector.GiveBack(thread); }
        finally { frozen.Detach(); }
    });

    /// <summary>Ends the frozen process; its parent (init) gets its status.</summary>
    public void Kill() => _tracer.Run(() =>
    {
        FrozenProcess? frozen = _frozen;
        _frozen = null;
        frozen?.Kill();
        Forget();
    });

    /// <summary>The snapshot of the last <see cref="Capture"/> is durable: it is the base of the next.</summary>
    public void Commit() => _tracer.Run(() => _tracker?.Commit());

    /// <summary>The last <see cref="Capture"/> or <see cref="Prepare"/> will not be used: what they had marked clean counts as written again.</summary>
    public void Abort() => _tracer.Run(() => _tracker?.Abort());

    /// <summary>
    /// Makes the saved process again, with its pid and thread ids, stopped. It dies with this engine until <see cref="Release"/>; its parent is init.
    /// On failure nothing of it is left.
    /// </summary>
    /// <param name="given">descriptors of this process for what the image has as external</param>
    /// <returns>its pid</returns>
    /// <exception cref="RefusedException">this machine or its files do not fit the image; nothing was made</exception>
    public int Restore(ISnapshotReader reader, GivenDescriptors given) => _tracer.Run(() =>
    {
        if (_restored is not null) throw new ProcessException("a restored process waits for release");
        Fault.At(FaultPoint.RestoreStart);
        _restored = Restorer.Run(reader, given);
        return _restored.Pid;
    });

    /// <summary>Lets the restored process run.</summary>
    public void Release() => _tracer.Run(() =>
    {
        RestoredProcess restored = _restored ?? throw new ProcessException("nothing is restored");
        _restored = null;
        try { restored.Detach(); }
        catch
        {
            restored.Kill(); // some threads run, others do not: nothing of it may stay
            throw;
        }
        Forget();
    });

    private void Forget()
    {
        _gadgetsOf = 0;
        _tracker?.Dispose();
        _tracker = null;
    }

    /// <summary>Ends a restored process that was not released.</summary>
    public void Discard() => _tracer.Run(() =>
    {
        _restored?.Kill();
        _restored = null;
    });

    public void Dispose()
    {
        _tracer.Run(() =>
        {
            try { Resume(); } catch (Exception e) when (e is ProcessException or LinuxException) { }
            _restored?.Kill();
            _tracker?.Dispose();
        });
        _tracer.Dispose();
    }
}

/// <summary>What a capture found.</summary>
/// <param name="MemoryBytes">plain bytes of private pages copied while frozen</param>
public readonly record struct CaptureResult(int Pid, int ThreadCount, long MemoryBytes, long Microseconds);
