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
    private readonly Dictionary<int, AreaFlags> _flags = []; // of the last Refine
    private int _root;

    /// <summary>Buffers made ready for the stop: for frames that are new then, and for pages.</summary>
    private const int SpareFrames = 64, MostNewFrames = 1024;

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

    /// <summary>Areas of a frozen process with their flags, which were read before the stop where <see cref="Refine"/> did.</summary>
    public List<Vma> AreasOf(int pid)
    {
        _flags.Remove(pid, out AreaFlags? flags); // once: another process of this pid may have the same areas
        return AreaFlags.Of(pid, IsTracked(pid) ? flags : null);
    }

    /// <summary>Arms tracking for all processes that are there now and copies what was written since the base.</summary>
    /// <exception cref="ProcessException">the root cannot be tracked: a capture copies everything, buffers for which are made ready</exception>
    public void Prepare(int root, ISnapshotWriter writer, PhaseTimes times)
    {
        times.Restart();
        _flags.Clear();
        if (_root != root) Clear();
        _root = root;
        _abandoned.Clear();
        List<int> pids = [.. JobProcesses.List(root).Where(p => !p.IsZombie).Select(p => p.Pid)];
        foreach (int pid in _byPid.Keys.Except(pids).ToArray()) Remove(pid);
        if (ProcessEngine.WhyNoTracking is { } reason)
        {
            MemoryCapture.MakeRoom(pids, writer);
            throw new ProcessException(reason);
        }
        foreach (int pid in pids)
        {
            if (_byPid.TryGetValue(pid, out WriteTracker? old) && old.IsStale) Remove(pid);
            if (_byPid.ContainsKey(pid)) continue;
            try { _byPid[pid] = Create(pid, root); }
            catch (Exception e) when (pid == root && e is ProcessException or LinuxException)
            {
                MemoryCapture.MakeRoom(pids, writer);
                if (e is ProcessException) throw;
                throw new ProcessException(e.Message, e);
            }
            catch (Exception e) when (pid != root && e is ProcessException or LinuxException or IOException) { MustReplaceTracer |= e is NotStoppedException; } // it ended, waits in vfork, or is copied in full
        }
        times.Mark("track");
        Dictionary<int, List<Vma>> areas = [];
        foreach (var (pid, tracker) in _byPid)
        {
            try { tracker.Arm(areas[pid] = Vma.ReadAll(pid, withFlags: false)); }
            catch (Exception e) when (pid != root && e is LinuxException or IOException) { Remove(pid); }
        }
        Fault.At(FaultPoint.PrepareArmed);
        foreach (var (pid, tracker) in _byPid)
        {
            try { tracker.Precopy(writer, areas[pid]); }
            catch (Exception e) when (pid != root && e is ProcessException or LinuxException or IOException) { Remove(pid); } // it is ending: what it wrote so far is abandoned
        }
        times.Mark("copy ahead");
    }

    /// <summary>
    /// When the stop is near: copies what was written since it was copied ahead, again and again until it is little or gets no less, and reads what a stop would take
    /// long to read. The program runs. At the end there is room for what the stop will find.
    /// </summary>
    /// <param name="deadlineMs">on Environment.TickCount64: no further round after it</param>
    /// <param name="times">receives the rounds</param>
    public void Refine(ISnapshotWriter writer, long limitMs, PhaseTimes times)
    {
        times.Restart();
        _flags.Clear();
        ForEach(pid => _flags[pid] = AreaFlags.Read(pid));
        times.Mark("smaps");
        CopyRounds rounds = new(limitMs);
        long bytes;
        do
        {
            bytes = 0;
            int buffers = 0;
            ForEach(pid => bytes += _byPid[pid].Refine(writer, Vma.ReadAll(pid, withFlags: false), ref buffers));
            writer.PrepareFrames(SpareFrames + Math.Min(MostNewFrames, buffers)); // the stop will find fewer
            times.Mark($"round {rounds.Count + 1}", bytes);
        }
        while (rounds.Another(bytes));

        void ForEach(Action<int> step)
        {
            foreach (int pid in _byPid.Keys)
            {
                try { step(pid); }
                catch (Exception e) when (e is IOException or LinuxException { ErrorNumber: Errno.ESRCH or Errno.ENOENT }) { } // it ended
            }
        }
    }

    /// <summary>A descriptor with which somebody else tracks the writes of a process to the memory that they share. The process is stopped for a moment.</summary>
    /// <param name="name">of the memfd</param>
    /// <returns>the caller's; -1: what the process writes is not all of what the program writes, because forks share the mapping too (an image of a wrapper that did not forbid it)</returns>
    /// <exception cref="ProcessException">it cannot be tracked</exception>
    public int Share(int pid, int root, string name)
    {
        Vma[] areas = [.. Vma.ReadAll(pid).Where(a => a.IsMemfd && a.Shared && a.Path.StartsWith(name, StringComparison.Ordinal))];
        return areas.Length > 0 && areas.All(a => a.Has("dc")) ? Stopped(pid, root, TrackingDescriptor.Create) : -1;
    }

    private WriteTracker Create(int pid, int root) => Stopped(pid, root, (frozen, injector) => WriteTracker.Create(frozen, injector, ProcessImageFormat.MemoryPartOf(pid, root)));

    /// <summary>Does something with a process that is stopped meanwhile.</summary>
    private T Stopped<T>(int pid, int root, Func<FrozenProcess, StackInjector, T> step)
    {
        const int Attempts = 5, RetryMs = 2;
        try { _gadgets.Of(pid, Vma.ReadAll(pid, withFlags: false)); } // before the freeze: it reads a library
        catch (ProcessException) { } // it may just be executing another program; what counts is looked for in the stop
        HashSet<int> attached = [];
        FrozenProcess? frozen = null;
        for (int attempt = 1; frozen is null; attempt++)
        {
            try { frozen = FrozenProcess.Freeze(pid, 2000, patient: pid == root, attached); }
            catch (NotStoppedException) when (pid == root && attempt < Attempts) { Sys.SleepNs(RetryMs * 1_000_000L); }
        }
        try
        {
            List<Vma> areas = Vma.ReadAll(pid, withFlags: false);
            return step(frozen, InjectorFor(frozen, areas));
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
        _flags.Clear();
        _abandoned.Clear();
    }
}
