using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Check;
using TreCr.Process.Engine;
using TreCr.Process.Lazy;
using TreCr.Process.Memory;
using TreCr.Process.Read;
using TreCr.Process.Resources;
using TreCr.Process.Restore;

namespace TreCr.Process;

/// <summary>
/// Freezes, dumps, kills and restores the processes of a job from outside. Runs in the namespaces of the rank with their capabilities; may die at any time
/// without harm to a running program. The steps: Check, [Prepare], Freeze, Capture, Resume or Kill; Restore, Release.
/// </summary>
/// <remarks>Any thread, one call at a time; ptrace happens on a thread of its own. Every wait has a deadline. A program is known by the pid of its root process.</remarks>
public sealed class ProcessEngine : IDisposable
{
    private TracerThread _tracer = new();
    private readonly Trackers _trackers = new();
    private readonly ReadoutClient _readouts = new();
    private FrozenTree? _frozen;
    private RestoredTree? _restored;
    private LazyRestore? _lazy;
    private List<(int Pid, int Number)> _connections = [];

    /// <summary>What the last step spent its time on.</summary>
    public PhaseTimes Times { get; } = new();

    /// <summary>Files open for writing that are shorter than this are saved with the image, bytes.</summary>
    public long SaveFilesBelowBytes { get; set; } = 64L << 20;

    /// <summary>Why every checkpoint copies all memory while the program stands still; null: what was written is found (Linux 6.7).</summary>
    public static string? WhyNoTracking => PageScanner.IsSupported ? null
        : $"kernel {File.ReadAllText("/proc/sys/kernel/osrelease").Trim()} has no PAGEMAP_SCAN (it came with 6.7)";

    /// <summary>Programs and libraries that are mapped are saved with the image, so that it restores where they are missing or others.</summary>
    public bool Bundle { get; set; }

    /// <summary>What cannot be saved; reads only, nothing is stopped.</summary>
    public List<string> Check(int pid, ExternalObjects externals)
    {
        CompleteLazily();
        return SandboxCheck.Run() is { Count: > 0 } forbidden ? forbidden : ProcessCheck.Run(pid, externals, _trackers.IsTracked);
    }

    /// <summary>
    /// Arms write tracking where it is not, and copies memory while the program runs. The next <see cref="Capture"/> with the same writer copies only what was written since,
    /// and all of processes that came later.
    /// </summary>
    /// <param name="writer">of this epoch; its base, if any, must be the last snapshot that <see cref="Commit"/> was called for</param>
    /// <exception cref="ProcessException">the program could not be stopped for a moment; tracking stays off and a capture is a full one</exception>
    public void Prepare(int pid, ISnapshotWriter writer)
    {
        ReplacingTracer(() => _trackers.Prepare(pid, writer, Times));
        if (!_trackers.MustReplaceTracer) return;
        _trackers.MustReplaceTracer = false;
        NewTracer();
    }

    /// <summary>A descriptor with which a delegator tracks what a process writes to the pinned memory that they share. Before a <see cref="Prepare"/> or after; the process is stopped for a moment.</summary>
    /// <param name="root">of the program</param>
    /// <returns>a userfaultfd in asynchronous write-protect mode, the caller's; -1: what is written cannot be found out</returns>
    /// <exception cref="ProcessException">the process could not be stopped</exception>
    public int TrackPinned(int pid, int root)
    {
        if (WhyNoTracking is not null) return -1;
        int uffd = -1;
        ReplacingTracer(() => uffd = _trackers.Share(pid, root, ExternalObjects.PinnedName));
        return uffd;
    }

    /// <summary>
    /// After <see cref="Prepare"/>, when the stop is near: copies what was written meanwhile in rounds, until it is little, and reads what a stop would take long to
    /// read. The program runs.
    /// </summary>
    /// <param name="limitMs">no further round after this time</param>
    public void Refine(ISnapshotWriter writer, int limitMs) => _tracer.Run(() => _trackers.Refine(writer, limitMs, Times));

    /// <summary>Runs a step that stops threads; where one could not be stopped the tracer thread ends, and with it every attachment.</summary>
    private void ReplacingTracer(Action step)
    {
        if (_frozen is not null || _restored is not null) throw new ProcessException("a program is frozen or waits for release already");
        CompleteLazily();
        try { _tracer.Run(step); }
        catch (NotStoppedException)
        {
            NewTracer();
            throw;
        }
    }

    private void NewTracer()
    {
        _tracer.Dispose();
        _tracer = new TracerThread();
    }

    /// <summary>Stops every thread at whatever instruction it is. On failure everything runs on.</summary>
    public void Freeze(int pid, int deadlineMs = 2000) => ReplacingTracer(() =>
    {
        Times.Restart();
        FrozenTree frozen = LetPass(FrozenTree.Freeze(pid, deadlineMs), Environment.TickCount64 + deadlineMs / 2, deadlineMs);
        try { Fault.At(FaultPoint.DumpFrozen); }
        catch
        {
            frozen.Resume();
            throw;
        }
        _frozen = frozen;
        Times.Mark("stop threads");
    });

    /// <summary>
    /// Something that passes by itself: only those run on a little that have to, else a busy server would always have a connection to accept; now and then all do, because one may wait for another. What does
    /// not pass in time is for the capture to name.
    /// </summary>
    private static FrozenTree LetPass(FrozenTree frozen, long end, int freezeMs)
    {
        const int FirstMs = 1, LongestMs = 32;
        for (int wait = FirstMs; Environment.TickCount64 + wait < end && PassingState.WhoMustRun(frozen.Processes) is { Count: > 0 } pids; wait = wait < LongestMs ? 2 * wait : FirstMs)
        {
            if (wait == LongestMs) pids.UnionWith(frozen.Processes.Select(p => p.Pid));
            frozen = frozen.LetRun(pids, wait, freezeMs / 2);
        }
        return frozen;
    }

    /// <summary>Saves the frozen program. It stays frozen, also on failure; then call <see cref="Resume"/> or <see cref="Kill"/>.</summary>
    /// <exception cref="RefusedException">it holds what cannot be saved; nothing was touched</exception>
    /// <exception cref="ProcessEndedException">somebody killed a process of it meanwhile; another freeze and capture may do</exception>
    public CaptureResult Capture(ISnapshotWriter writer, ExternalObjects externals)
        => _tracer.Run(() =>
        {
            FrozenTree frozen = _frozen ?? throw new ProcessException("no program is frozen");
            using TreeCapture capture = new(frozen, writer, externals, _trackers, SaveFilesBelowBytes, Bundle, _readouts, Times);
            CaptureResult result;
            try { result = capture.Run(); }
            catch (Exception e) when (frozen.FindKilled() is > 0 and var killed) { throw new ProcessEndedException($"process {killed} was killed while the program was saved ({e.Message})"); }
            _connections = capture.TcpSockets;
            return result;
        });

    /// <summary>Threads of the program are ours that cannot be let go now: this process has to end, which lets them go. A new engine goes on.</summary>
    public static bool MustEnd => FrozenProcess.HoldsForEver;

    /// <summary>Lets the frozen program run on.</summary>
    public void Resume() => _tracer.Run(() =>
    {
        FrozenTree? frozen = _frozen;
        _frozen = null;
        frozen?.Resume();
    });

    /// <summary>Ends the frozen program; init gets the status of its root.</summary>
    public void Kill() => _tracer.Run(() =>
    {
        FrozenTree? frozen = _frozen;
        _frozen = null;
        if (frozen is not null) TcpPairs.EndAtOnce(_connections);
        _connections = [];
        frozen?.Kill();
        _trackers.Clear();
    });

    /// <summary>The snapshot of the last <see cref="Capture"/> is durable: it is the base of the next.</summary>
    public void Commit() => _tracer.Run(_trackers.Commit);

    /// <summary>The last <see cref="Capture"/> or <see cref="Prepare"/> will not be used: what they had marked clean counts as written again.</summary>
    public void Abort() => _tracer.Run(_trackers.Abort);

    /// <summary>
    /// Makes the saved processes again, with their pids and thread ids, stopped. They die with this engine until <see cref="Release"/>; the parent of the root is init.
    /// On failure nothing of them is left.
    /// </summary>
    /// <param name="given">descriptors of this process for what the image has as external</param>
    /// <param name="lazy">large memory comes while the program runs, where that is possible (<see cref="LazyNotice"/>); the reader is needed until <see cref="OnServed"/></param>
    /// <returns>pid of the root</returns>
    /// <exception cref="RefusedException">this machine or its files do not fit the image; nothing was made</exception>
    public int Restore(ISnapshotReader reader, GivenDescriptors given, bool lazy = false) => _tracer.Run(() =>
    {
        if (_restored is not null) throw new ProcessException("a restored program waits for release");
        Times.Restart();
        Fault.At(FaultPoint.RestoreStart);
        _lazy = lazy ? new LazyRestore { OnDone = () => OnServed?.Invoke(), OnFailure = e => OnServeFailed?.Invoke(e) } : null;
        try { _restored = TreeRestorer.Run(reader, given, _lazy, Times); }
        catch
        {
            DropLazy();
            throw;
        }
        return _restored.Pid;
    });

    /// <summary>After a lazy restore: what a new engine needs to go on if this one dies, for <see cref="TakeOver"/>. To be sent on before <see cref="Release"/>; the descriptors stay this engine's.</summary>
    public IReadOnlyList<int> LazyDescriptors => _lazy?.Descriptors ?? [];

    /// <summary>Why a restore that was to be lazy is not; null: it is, or has little memory.</summary>
    public string? LazyNotice => _lazy?.WhyNot;

    /// <summary>Called on another thread when a lazily restored program has all its memory; where it is not lazy, by <see cref="Release"/>.</summary>
    public Action? OnServed { get; set; }

    /// <summary>Called on another thread when a page of a lazily restored program could not be had: it was killed.</summary>
    public Action<Exception>? OnServeFailed { get; set; }

    /// <summary>Whether all memory is there, from <see cref="LazyDescriptors"/>. In any process.</summary>
    public static bool IsServed(IReadOnlyList<int> descriptors) => LazyState.AreDone(descriptors);

    /// <summary>Goes on where another engine died that served a lazily restored program.</summary>
    /// <param name="descriptors">owned</param>
    /// <exception cref="ProcessException">it died at a moment at which nobody else can go on: the program has to end</exception>
    public void TakeOver(ISnapshotReader reader, int[] descriptors) => _tracer.Run(() =>
    {
        _lazy = LazyRestore.TakeOver(reader, descriptors);
        (_lazy.OnDone, _lazy.OnFailure) = (() => OnServed?.Invoke(), e => OnServeFailed?.Invoke(e));
        _lazy.Serve();
        _lazy.CopyAll();
    });

    /// <summary>Pages that are missing cannot be tracked, copied or waited for by a stopped program: what stops or looks at the program waits for them.</summary>
    private void CompleteLazily()
    {
        const int ArriveMs = 120_000;
        if (_restored is null) _lazy?.Complete(ArriveMs);
    }

    private void DropLazy()
    {
        _lazy?.Dispose();
        _lazy = null;
    }

    /// <summary>Lets the restored program run.</summary>
    public void Release() => _tracer.Run(() =>
    {
        RestoredTree restored = _restored ?? throw new ProcessException("nothing is restored");
        _restored = null;
        try { restored.Detach(); }
        catch
        {
            restored.Kill(); // some threads run, others do not: nothing of it may stay
            DropLazy();
            throw;
        }
        _trackers.Clear();
        if (_lazy is null) OnServed?.Invoke(); else _lazy.CopyAll();
    });

    /// <summary>Ends a restored program that was not released.</summary>
    public void Discard() => _tracer.Run(() =>
    {
        _restored?.Kill();
        _restored = null;
        DropLazy();
    });

    public void Dispose()
    {
        _tracer.Run(() =>
        {
            try { Resume(); } catch (Exception e) when (e is ProcessException or LinuxException) { }
            _restored?.Kill();
            _trackers.Clear();
        });
        _tracer.Dispose();
    }
}

/// <summary>What a capture found.</summary>
/// <param name="Pid">of the root</param>
/// <param name="ThreadCount">of all processes</param>
/// <param name="MemoryBytes">plain bytes of private pages copied while frozen</param>
public readonly record struct CaptureResult(int Pid, int ThreadCount, long MemoryBytes, long Microseconds);
