using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;

namespace TreCr.Process.Memory;

/// <summary>Write tracking of the processes of one job, each with its own. A process without one is copied in full. Tracer thread only, but for <see cref="IsTracked"/>.</summary>
internal sealed class Trackers
{
    private readonly System.Collections.Concurrent.ConcurrentDictionary<int, WriteTracker> _byPid = new();
    private readonly GadgetCache _gadgets = new();
    private readonly HashSet<string> _abandoned = []; // parts of this epoch that belonged to a process that is gone, whose pid may come again
    private int _root;

    /// <summary>A thread is still attached that could not be stopped.</summary>
    public bool MustReplaceTracer { get; set; }

    public bool IsTracked(int pid) => _byPid.ContainsKey(pid);

    /// <summary>How a process is captured.</summary>
    /// <returns>no tracker: in full, because it came after the last <see cref="Prepare"/>, has executed another program since, or cannot be tracked; and the part that its pages go to</returns>
    public (WriteTracker? Tracker, string Part) ForCapture(int pid, int root)
    {
        string part = ProcessImageFormat.MemoryPartOf(pid, root);
        if (!_byPid.TryGetValue(pid, out WriteTracker? tracker)) return (null, _abandoned.Contains(part) ? part + "-again" : part);
        if (!tracker.IsStale) return (tracker, part);
        Remove(pid); // what was copied ahead is of the program before
        return (null, part + "-again");
    }

    /// <summary>For calls in a frozen process.</summary>
    public StackInjector InjectorFor(FrozenProcess frozen, List<Vma> areas) => new(frozen.Pid, _gadgets.Of(frozen.Pid, areas), areas, frozen.Threads);

    /// <summary>Arms tracking for all processes that are there now and copies what was written since the base.</summary>
    /// <exception cref="ProcessException">the root cannot be tracked</exception>
    public void Prepare(int root, ISnapshotWriter writer, bool precopy)
    {
        if (_root != root) Clear();
        _root = root;
        _abandoned.Clear();
        List<int> pids = [.. JobProcesses.List(root).Where(p => !p.IsZombie).Select(p => p.Pid)];
        foreach (int pid in _byPid.Keys.Except(pids).ToArray()) Remove(pid);
        foreach (int pid in pids)
        {
            if (_byPid.TryGetValue(pid, out WriteTracker? old) && old.IsStale) Remove(pid);
            if (_byPid.ContainsKey(pid)) continue;
            try { _byPid[pid] = Create(pid, root); }
            catch (Exception e) when (pid != root && e is ProcessException or LinuxException or IOException) { MustReplaceTracer |= e is NotStoppedException; } // it ended, waits in vfork, or is copied in full
        }
        Dictionary<int, List<Vma>> areas = [];
        foreach (var (pid, tracker) in _byPid)
        {
            try { tracker.Arm(areas[pid] = Vma.ReadAll(pid)); }
            catch (Exception e) when (pid != root && e is LinuxException or IOException) { Remove(pid); }
        }
        Fault.At(FaultPoint.PrepareArmed);
        if (!precopy) return;
        foreach (var (pid, tracker) in _byPid)
        {
            try { tracker.Precopy(writer, areas[pid]); }
            catch (Exception e) when (pid != root && e is ProcessException or LinuxException or IOException) { Remove(pid); } // it is ending: what it wrote so far is abandoned
        }
    }

    private WriteTracker Create(int pid, int root)
    {
        FrozenProcess frozen = FrozenProcess.Freeze(pid, 2000, patient: pid == root, []);
        try
        {
            List<Vma> areas = Vma.ReadAll(pid, withFlags: false);
            return WriteTracker.Create(frozen, InjectorFor(frozen, areas), ProcessImageFormat.MemoryPartOf(pid, root));
        }
        finally { frozen.Detach(); }
    }

    private void Remove(int pid)
    {
        if (!_byPid.TryRemove(pid, out WriteTracker? tracker)) return;
        _abandoned.Add(tracker.PartName);
        tracker.Dispose();
    }

    public void Commit()
    {
        foreach (WriteTracker tracker in _byPid.Values) tracker.Commit();
        _abandoned.Clear();
    }

    public void Abort()
    {
        foreach (WriteTracker tracker in _byPid.Values) tracker.Abort();
        _abandoned.Clear();
    }

    public void Clear()
    {
        foreach (int pid in _byPid.Keys) Remove(pid);
        _abandoned.Clear();
    }
}
