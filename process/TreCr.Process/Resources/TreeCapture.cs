using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Check;
using TreCr.Process.Engine;
using TreCr.Process.Memory;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>Saves a frozen tree: what its processes share once, then each process. Tracer thread only.</summary>
internal sealed unsafe class TreeCapture : IDisposable
{
    private const int WUNTRACED = 2, WNOWAIT = 0x01000000, P_PID = 1;

    private readonly FrozenTree _frozen;
    private readonly ISnapshotWriter _writer;
    private readonly ExternalObjects _externals;
    private readonly Trackers _trackers;
    private readonly PhaseTimes _times;
    private readonly TreeImage _tree;
    private readonly FileCapture _files;
    private readonly SharedMemoryCapture _shared;
    private readonly OpenFileTable _openFiles;

    public TreeCapture(FrozenTree frozen, ISnapshotWriter writer, ExternalObjects externals, Trackers trackers, long saveFilesBelowBytes, bool bundle, ReadoutClient readouts, PhaseTimes times)
    {
        (_frozen, _writer, _externals, _trackers, _times) = (frozen, writer, externals, trackers, times);
        _tree = new TreeImage { FormatVersion = ProcessImageFormat.Plain, Root = frozen.Root };
        _files = new FileCapture(_tree, writer, saveFilesBelowBytes, bundle);
        _shared = new SharedMemoryCapture(_tree, writer);
        _openFiles = new OpenFileTable(_tree, externals, _files, _shared, writer, readouts);
    }

    /// <summary>Of the last run: process and number of a descriptor of each TCP connection.</summary>
    public List<(int Pid, int Number)> TcpSockets => _openFiles.TcpSockets;

    public void Dispose() => _openFiles.Dispose();

    /// <exception cref="RefusedException">something cannot be saved; nothing was touched</exception>
    public CaptureResult Run()
    {
        long start = Sys.ClockNs(1), bytes = 0;
        _times.Restart();
        ProcessFacts[] all = [.. _frozen.Processes.Select(p => new ProcessFacts(p.Pid, _trackers.AreasOf(p.Pid), OpenDescriptor.ReadAll(p.Pid)) { Threads = [.. p.Threads.Select(t => t.Status)] })];
        for (int i = 0; i < all.Length; i++)
            if (all[i].Descriptors.Any(d => d.IsLeftover)) CloseLeftovers(_frozen.Processes[i], all[i]);
        _times.Mark("areas, descriptors");
        List<string> findings = [];
        ProcessCheck.Run(all, _externals, _trackers.IsTracked, tracedByUs: true, findings);
        findings.AddRange(PassingState.Connecting(_frozen.Processes).Select(t => $"thread {t.Tid} is just connecting a TCP socket: checkpoint again"));
        if (findings.Count > 0) throw new RefusedException(findings);
        _times.Mark("check");

        ProcessImage[] images = new ProcessImage[all.Length];
        _openFiles.Know(all.SelectMany(p => p.Descriptors));
        for (int i = 0; i < all.Length; i++) _openFiles.Add(all[i].Descriptors, images[i] = new ProcessImage());
        for (int i = 0; i < all.Length; i++) AddAreas(all[i], images[i]);
        _times.Mark("open files");
        StateCapture[] states = new StateCapture[all.Length];
        for (int i = 0; i < all.Length; i++)
        {
            StackInjector injector = _trackers.InjectorFor(_frozen.Processes[i], all[i].Areas);
            (states[i] = new StateCapture(_frozen.Processes[i], injector, images[i])).Begin(all[i].Areas);
        }
        foreach (StateCapture state in states) state.Finish();
        for (int i = 0; i < all.Length; i++) AddPlace(_frozen.Processes[i], images[i]);
        foreach (ProcStatus zombie in _frozen.Zombies) AddZombie(zombie);
        _times.Mark("threads");
        ReadOut(all);
        _times.Mark("read-out");
        Fault.At(FaultPoint.DumpState);
        for (int i = 0; i < all.Length; i++)
        {
            (WriteTracker? tracker, images[i].MemoryPart) = _trackers.ForCapture(all[i].Pid, _frozen.Root);
            bytes += MemoryCapture.Run(all[i].Pid, all[i].Areas, images[i], _writer, tracker, _times);
        }
        _shared.Save();
        _tree.Ipc = IpcState.Capture(_writer);
        _files.SaveContents();
        _times.Mark("files, shared memory");
        foreach (ProcessImage image in images) _writer.PutRecord(ProcessImageFormat.RecordOf(image.Pid, _frozen.Root), image.ToByteArray());
        _writer.PutRecord(ProcessImageFormat.TreeRecord, _tree.ToByteArray());
        _times.Mark("records");
        Fault.At(FaultPoint.DumpCaptured);
        return new CaptureResult(_frozen.Root, images.Sum(i => i.Threads.Count), bytes, (Sys.ClockNs(1) - start) / 1000);
    }

    /// <summary>Contents that init takes out and puts back. Should this engine be killed meanwhile, the program's threads wait until init has done so.</summary>
    private void ReadOut(ProcessFacts[] all)
    {
        if (!_openFiles.HasLater) return;
        try
        {
            for (int i = 0; i < all.Length; i++)
            {
                StackInjector injector = _trackers.InjectorFor(_frozen.Processes[i], all[i].Areas);
                foreach (Tracee thread in _frozen.Processes[i].Threads) injector.Park(thread);
            }
            _openFiles.DoLater();
        }
        finally
        {
            foreach (FrozenProcess process in _frozen.Processes)
                foreach (Tracee thread in process.Threads) StackInjector.GiveBack(thread);
        }
    }

    private void AddAreas(ProcessFacts process, ProcessImage image)
    {
        Classification classification = new(_externals, []);
        bool tracked = _trackers.IsTracked(process.Pid);
        foreach (Vma area in process.Areas)
        {
            var (kind, session) = classification.Of(area, tracked);
            uint index = 0;
            // A deleted file that is only mapped becomes shared memory without a name: that is what it is.
            if (kind == VmaKind.DeletedFile && (index = _openFiles.DeletedFile(area)) == 0) kind = VmaKind.SharedMemory;
            index = kind switch
            {
                VmaKind.DeletedFile => index,
                VmaKind.SharedMemory => _shared.NoteMapping(process.Pid, area),
                VmaKind.File => _files.Note(area.Path, area.Shared && (area.Writable || area.Has("mw")), append: false, mapped: !area.Shared),
                _ => (uint)session,
            };
            image.Vmas.Add(new VmaImage
            {
                Start = area.Start, End = area.End, Permissions = area.Permissions, Offset = area.Offset, Path = area.Path, Flags = area.Flags.Trim(), Kind = (uint)kind, Index = index,
            });
        }
    }

    private void AddPlace(FrozenProcess process, ProcessImage image)
    {
        ProcStatus status = ProcStatus.Read(process.Pid);
        TreeProcess place = new()
        {
            Pid = process.Pid, Parent = process.Pid == _frozen.Root ? 1 : status.Parent, ProcessGroup = image.ProcessGroup, Session = image.Session, Name = status.Name,
            ExitSignal = (int)status.Stat(38), StopSignal = process.Leader.GroupStopSignal,
        };
        if (image.ControllingTerminal && image.Session == process.Pid)
        {
            place.Terminal = _openFiles.FindDevice((uint)status.Stat(7));
            place.ForegroundGroup = (int)Math.Max(0, status.Stat(8));
        }
        if (place.StopSignal != 0 && place.Parent != 1) place.StopReported = IsStopReported(place);
        _tree.Processes.Add(place);
    }

    /// <summary>Asks, in the parent, whether waitpid would still report the stop.</summary>
    private bool IsStopReported(TreeProcess place)
    {
        FrozenProcess parent = _frozen.Processes.First(p => p.Pid == place.Parent);
        StackInjector injector = _trackers.InjectorFor(parent, Vma.ReadAll(parent.Pid, withFlags: false));
        injector.Borrow(parent.Leader);
        try
        {
            int reported = 0;
            Sys.ProcessVmWrite(parent.Pid, injector.Scratch + 16, &reported, 4);
            long result = injector.Call(parent.Leader, SyscallNumber.Waitid, P_PID, place.Pid, (long)injector.Scratch, WUNTRACED | WNOWAIT | Sys.WNOHANG | Sys.WALL);
            return result < 0 || Sys.ProcessVmRead(parent.Pid, injector.Scratch + 16, &reported, 4) != 4 || reported == 0; // si_pid
        }
        finally { StackInjector.GiveBack(parent.Leader); }
    }

    private void AddZombie(ProcStatus zombie) => _tree.Processes.Add(new TreeProcess
    {
        Pid = zombie.Pid, Parent = zombie.Parent, ProcessGroup = (int)zombie.Stat(5), Session = (int)zombie.Stat(6), Name = zombie.Name, ExitSignal = (int)zombie.Stat(38), Zombie = true,
        WaitStatus = (int)zombie.Stat(52),
    });

    /// <summary>Closes a userfaultfd that an engine made in the program and died before it could take it out.</summary>
    private void CloseLeftovers(FrozenProcess process, ProcessFacts facts)
    {
        StackInjector injector = _trackers.InjectorFor(process, facts.Areas);
        injector.Borrow(process.Leader);
        try
        {
            foreach (OpenDescriptor d in facts.Descriptors)
                if (d.IsLeftover) injector.Call(process.Leader, SyscallNumber.Close, d.Number);
        }
        finally { StackInjector.GiveBack(process.Leader); }
        facts.Descriptors.RemoveAll(d => d.IsLeftover);
    }
}
