using System.Runtime.InteropServices;
using Google.Protobuf;
using TreCr.Control;
using TreCr.Coordinator;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Launch;
using TreCr.Rank;

namespace TreCr.Cli;

/// <summary>
/// The supervisor of a rank: owns the namespace, the program's standard streams, its delegators and the engine, and is the rank's only voice to the
/// coordinator. Its death ends the job: init and delegators notice that its sockets closed.
/// </summary>
/// <remarks>The main thread waits for the program; streams, sessions, the coordinator and each checkpoint have threads of their own.</remarks>
internal sealed partial class RankSupervisor : IDisposable
{
    private readonly Lock _lock = new();
    private readonly object _decision = new();
    private readonly HashSet<string> _noted = [];
    private readonly List<PosixSignalRegistration> _signals = [];
    private readonly Dictionary<(string Role, int Pid), ByteString> _base = [];
    private readonly (int Read, int Write) _wake = Sys.Pipe();
    private readonly JobLock _jobLock;
    private readonly JobJournal? _journal;
    private readonly CoordinatorLink _link;
    private readonly RankLease _lease;
    private readonly ulong _startedUnixMs = (ulong)DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
    private EngineProcess? _engine;
    private LazyKeeper? _lazy;
    private CheckpointRound? _round;
    private SpawnedProcess _program;
    private int[] _terminals = [];
    private Envelope? _decided;
    private ulong _overEpoch;
    private string _lastCheckpointId = "";
    private bool _coordinatorLost;
    private volatile bool _programEnded;
    private int _spaceEnded;

    /// <summary>How long a new epoch waits until the one before has put everything away, hooks among it.</summary>
    private const int EndingMs = 60_000;

    public RankSupervisor(RuntimeDirectory directory, JobLock jobLock, LaunchSlot slot, string store, string device, RankNamespace space, ulong lastEpoch)
    {
        Slot = slot;
        Output.Journal = _journal = JobJournal.TryOpen(jobLock.Name);
        (Directory, _jobLock, Store, Device, Space) = (directory, jobLock, store, device, space);
        _lease = new RankLease(lastEpoch);
        SessionPath = SessionPathOf(directory, jobLock.Key);
        using (directory.TryLock(exclusive: false, CleanupVerb.OthersMs)) // a cleanup that took the socket for one of a dead job before is done
            Listener = new SessionListener(SessionPath, jobLock.Name, store, device, space.InitPid) { OnDelegator = pid => _jobLock.Note("delegator", pid), OnMpi = WelcomeMpi };
        _link = new CoordinatorLink(ConnectCoordinator, jobLock.Name, slot.Rank, Facts) { OnMessage = Hear, OnLost = CoordinatorLost };
        _jobLock.Note("init", space.InitPid);
    }

    public RuntimeDirectory Directory { get; }
    public string Job => _jobLock.Name;

    /// <summary>Which rank of how many this is.</summary>
    public LaunchSlot Slot { get; }

    /// <summary>mpirun or srun; null: the job was started by hand.</summary>
    public LauncherProcess? Launcher { get; init; }

    /// <summary>What mpirun was called with, for a restart; of an earlier life where nobody launched this one.</summary>
    public IReadOnlyList<string> LauncherLine { get; set; } = [];

    public string LauncherDirectory { get; set; } = "";
    public string Store { get; }

    /// <summary>Asked for: auto, soft, cuda.</summary>
    public string Device { get; }

    public RankNamespace Space { get; }
    public SessionListener Listener { get; }

    /// <summary>Where the program finds us: the same for a job at every start, because a restored program remembers it.</summary>
    public string SessionPath { get; }

    public JobOptions Options
    {
        get;
        init
        {
            field = value;
            Listener.MaxExtraMemoryBytes = value.MaxExtraMemoryBytes;
            Listener.Portable = value.Portable;
        }
    } = new();

    public StandardStreams Streams { get; set; } = null!;
    public string ProgramPath { get; set; } = "";

    /// <summary>Brings checkpoints to further tiers; null: there are none.</summary>
    public FlushKeeper? Flush => Options.Policy is null || Slot.Rank != 0 ? null : field ??= new FlushKeeper(Store, Job);

    /// <summary>Of the administrator and of the program.</summary>
    public JobHooks Hooks => field ??= new JobHooks(Job, Store, Options.Hooks, Options.HookTimeoutSeconds > 0 ? Options.HookTimeoutSeconds : JobOptions.DefaultHookTimeoutSeconds);

    public IReadOnlyList<string> Command { get; set; } = [];
    public string WorkingDirectory { get; set; } = "";
    public string WrapperHash { get; set; } = "";
    public long MonotonicOffsetNs { get; set; }
    public long BoottimeOffsetNs { get; set; }

    /// <summary>Pid of the program in the namespace.</summary>
    public int ProgramPid => _program.Pid;

    public int ProgramHostPid => _program.HostPid;

    /// <summary>The program is gone, or is being ended.</summary>
    public bool ProgramEnded => _programEnded || (_program.Pidfd > 0 && Sys.Poll([new PollEntry { Fd = _program.Pidfd, Events = Sys.POLLIN }], 0) == 1);

    /// <summary>Waits until the program has ended and init has reaped it, as far as that happens within the limit.</summary>
    public void AwaitProgramGone(int limitMs)
    {
        long end = Environment.TickCount64 + limitMs;
        if (_program.Pidfd > 0) Sys.Poll([new PollEntry { Fd = _program.Pidfd, Events = Sys.POLLIN }], limitMs);
        while (System.IO.Directory.Exists($"/proc/{_program.HostPid}") && Environment.TickCount64 < end) Sys.SleepNs(1_000_000);
    }

    /// <summary>Where the program was killed, but is not dead yet, waits until it is.</summary>
    public void AwaitDeathUnderWay(int limitMs)
    {
        if (_program.Pidfd > 0 && ProcessLook.IsEnding(_program.HostPid)) Sys.Poll([new PollEntry { Fd = _program.Pidfd, Events = Sys.POLLIN }], limitMs);
    }

    /// <summary>Checkpoint with which --stop ended the program; empty: it was not.</summary>
    public string StoppedAt { get; set; } = "";

    /// <summary>Before there is a program: what has to be known and to listen by then.</summary>
    /// <exception cref="StoreException">the store cannot be read</exception>
    public void Prepare()
    {
        FindStoreLimit();
        Listener.Start();
    }

    /// <summary>The job has the tiers that it was given from now on.</summary>
    public void SavePolicy()
    {
        if (Options.Policy is { } policy && Slot.Rank == 0) JobTiers.Save(Store, Job, policy);
    }

    /// <summary>The program runs: begin to serve it.</summary>
    /// <param name="unreadInput">goes to the program before our own input</param>
    public void Begin(SpawnedProcess program, ReadOnlySpan<byte> unreadInput, bool inputEnded)
    {
        _program = program;
        lock (_lock) _firstCheckpointId = _lastCheckpointId;
        _jobLock.Note("program", program.HostPid);
        ForwardSignals();
        WatchLauncher();
        Streams.CloseProgramEnds();
        Streams.Start(unreadInput, inputEnded, OnSuspendTyped);
        NoteBegin();
        _link.Start();
        StartKeeping();
        Flush?.Kick(); // a flush that was killed goes on
    }

    /// <summary>Waits for the program's end, and ends everything else of the job.</summary>
    /// <returns>exit code: the program's, or 125 where init died and the kernel killed the program with it</returns>
    public int WaitForEnd()
    {
        int status = -1;
        bool initLost = false;
        while (status < 0)
        {
            Span<PollEntry> ready = [new PollEntry { Fd = Space.EventDescriptor, Events = Sys.POLLIN }];
            Sys.Poll(ready, -1);
            while (Space.TryReadEvent(out int pid, out int s))
            {
                if (pid != ProgramPid) continue;
                if (ExitStatus.HasEnded(s)) { status = s; break; }
                if (ExitStatus.IsStopped(s)) OnProgramStopped();
            }
            if (status < 0 && Space.InitEnded)
            {
                Output.Error(TrecrError.SupervisorFailed, "the job's init ended unexpectedly, and the job with it");
                initLost = true;
                break;
            }
        }
        _programEnded = true;
        WaitForRound();
        NoteEnd(status, initLost);
        EndMpi();
        if (Slot.IsOneOfSeveral)
        {
            EndSpace();
            Streams.Finish();
            if (!initLost) EndAmongOthers(ExitStatus.Code(status));
        }
        TellHowItEnded(status, initLost);
        _link.Dispose();
        EndSpace();
        Streams.Finish();
        if (_abortCode is { } aborted) return aborted & 0xff;
        if (Slot.Launcher.Length > 0 && StoppedAt.Length == 0) EndSignal = initLost ? Sys.SIGKILL : ExitStatus.Signal(status); // an exit code does not make MPICH's mpirun end the other ranks
        if (initLost) return TrecrError.SupervisorFailed.RunExitCode;
        return ExitStatus.Code(status);
    }

    /// <summary>Ends everything in the namespace; once, because the numbers of closed descriptors come back for others.</summary>
    private void EndSpace()
    {
        if (Interlocked.Exchange(ref _spaceEnded, 1) == 0) Space.Dispose();
    }

    /// <summary>A checkpoint that had all it needed when the program ended shall still be committed.</summary>
    private void WaitForRound()
    {
        lock (_decision)
            while (_round is not null && Monitor.Wait(_decision, 30_000)) { }
    }

    // ---- the engine ------------------------------------------------------------------------------------------------

    /// <summary>The engine; started where none lives.</summary>
    public EngineProcess Engine()
    {
        lock (_lock)
        {
            if (_engine is { IsAlive: true } engine) return engine;
            _engine?.Dispose();
            _engine = EngineProcess.Start(Space, Store, Options);
            _jobLock.Note("engine", _engine.HostPid);
            _lazy?.HandTo(_engine);
            return _engine;
        }
    }

    /// <summary>What a checkpoint would refuse. Nothing is begun yet, so an engine that turns out to be dying (it was killed a moment ago) is replaced by another.</summary>
    public (EngineProcess Engine, Reply Reply) Check(int timeoutMs)
    {
        for (bool again = true; ; again = false)
        {
            EngineProcess engine = Engine();
            try
            {
                Reply reply = engine.Peer.Ask(new Request { Check = new CheckRequest { Pid = ProgramPid, Externals = Externals() } }, timeoutMs, TrecrError.CheckpointFailed);
                reply.Findings.AddRange(OutsideTracers.Find(Space.InitPid, engine.HostPid));
                return (engine, reply);
            }
            catch (TrecrException e) when (again && e.Error == TrecrError.EngineLost) { }
        }
    }

    /// <summary>The program runs, and memory of it is missing: an engine that dies meanwhile is replaced at once.</summary>
    /// <param name="descriptors">owned; empty: nothing is missing</param>
    public void KeepLazily(ByteString manifestHash, int[] descriptors)
    {
        if (descriptors.Length == 0) return;
        lock (_lock) _lazy = new LazyKeeper(this, manifestHash, descriptors);
        _lazy.Start(() => { lock (_lock) _lazy = null; });
    }

    /// <summary>Ends an engine that does not answer any more. The program that it holds runs on.</summary>
    public void DropEngine()
    {
        lock (_lock)
        {
            _engine?.Dispose();
            _engine = null;
        }
    }

    // ---- what a checkpoint asks -------------------------------------------------------------------------------------

    /// <summary>Manifest that the next snapshot may be an increment of; empty: none.</summary>
    public ByteString BaseOf(string role, int pid)
    {
        lock (_lock) return _base.GetValueOrDefault((role, pid)) ?? ByteString.Empty;
    }

    /// <summary>The program continues this snapshot: the next one may be an increment of it.</summary>
    public void SetBase(string role, int pid, ByteString hash, string checkpointId)
    {
        lock (_lock)
        {
            _base[(role, pid)] = hash;
            _lastCheckpointId = checkpointId;
        }
    }

    /// <summary>What the base holds cannot be read: the next snapshot has everything of its own.</summary>
    public void ForgetBase()
    {
        lock (_lock) _base.Clear();
    }

    public void Committed(string checkpointId, IReadOnlyDictionary<(string Role, int Pid), ByteString> hashes)
    {
        lock (_lock)
        {
            _lastCheckpointId = checkpointId;
            _base.Clear();
            foreach (((string, int) key, ByteString hash) in hashes) _base[key] = hash;
        }
        Flush?.Kick();
    }

    public Externals Externals(IEnumerable<Session>? sessions = null)
    {
        Externals externals = new();
        for (int i = 0; i < 3; i++) externals.Streams.Add(new ExternalStreamFacts { Number = i, Link = Streams.Links[i] });
        externals.Sessions.AddRange((sessions ?? Listener.Sessions.Where(s => s.IsConnected)).Select(s => s.Externals()));
        return externals;
    }

    /// <summary>What the supervisor itself saves. The program is frozen and its output drained.</summary>
    public RankState Describe(ulong epoch, IEnumerable<Session> sessions)
    {
        RankState state = new()
        {
            Job = Job, Rank = Slot.Rank, RankCount = Slot.Size, LauncherDirectory = LauncherDirectory, ProgramPid = ProgramPid, ProgramPath = ProgramPath, WorkingDirectory = WorkingDirectory, UnreadInput = ByteString.CopyFrom(Streams.UnreadInput()), InputEnded = Streams.InputEnded,
            KernelRelease = HostFacts.KernelRelease, Machine = HostFacts.Machine, WrapperHash = WrapperHash, DeviceKind = Device, Epoch = epoch, SessionPath = SessionPath,
            MonotonicNs = Sys.ClockNs(1) + MonotonicOffsetNs, BoottimeNs = Sys.ClockNs(7) + BoottimeOffsetNs,
        };
        state.Command.AddRange(Command);
        state.Launcher.AddRange(LauncherLine);
        state.HostName = HostFacts.HostName;
        state.Hooks.AddRange(Hooks.Own);
        state.HookTimeoutS = (uint)Hooks.TimeoutSeconds;
        state.Streams.AddRange(Streams.Describe());
        state.Sessions.AddRange(sessions.Select(s => s.Describe()));
        state.Portable = Options.Portable;
        state.Mpi = _mpiState;
        state.CpuFlags.AddRange(HostFacts.CpuFlags);
        if (Streams.Master >= 0 && Sys.GetTerminalSettings(Streams.Master) is { } settings) state.TerminalSettings = ByteString.CopyFrom(settings);
        return state;
    }

    /// <summary>Says something about the job on stderr, unless it was said already.</summary>
    public void NoteOnce(string text)
    {
        lock (_noted)
            if (!_noted.Add(text)) return;
        Output.Note(text);
    }

    public bool Send(Envelope envelope) => _link.Send(envelope);

    /// <exception cref="TrecrException">the coordinator is gone or silent, or has given the epoch up</exception>
    public void RequireLease(ulong epoch)
    {
        lock (_decision)
        {
            if (_decided?.BodyCase == Envelope.BodyOneofCase.Abort) throw new TrecrException(TrecrError.CheckpointFailed, _decided.Abort.Reason);
            if (ProgramEnded) throw new TrecrException(TrecrError.JobEnded, "the program ended while the checkpoint was taken");
            if (_coordinatorLost || !_lease.Holds(epoch) || _lease.Expired(Environment.TickCount64)) throw new TrecrException(TrecrError.CoordinatorLost, "nothing was heard of the coordinator during the checkpoint");
        }
    }

    /// <summary>Waits until the coordinator has committed.</summary>
    /// <exception cref="TrecrException">it has given up, or is silent</exception>
    public CommitEpoch WaitForDecision(ulong epoch)
    {
        lock (_decision)
        {
            while (true)
            {
                if (_decided?.BodyCase == Envelope.BodyOneofCase.Commit) return _decided.Commit;
                if (_decided?.BodyCase == Envelope.BodyOneofCase.Abort) throw new TrecrException(TrecrError.CheckpointFailed, _decided.Abort.Reason);
                if (_coordinatorLost || _lease.Expired(Environment.TickCount64)) throw new TrecrException(TrecrError.CoordinatorLost, "the coordinator ended before it had committed");
                Monitor.Wait(_decision, 500);
            }
        }
    }

    public void EndEpoch(ulong epoch)
    {
        lock (_decision)
        {
            if (!_lease.Holds(epoch)) return;
            _lease.End(epoch);
            _round = null;
            Monitor.PulseAll(_decision);
        }
    }

    // ---- the coordinator --------------------------------------------------------------------------------------------

    private ControlChannel ConnectCoordinator(Func<bool> ended) => JobCoordinator.ForRank(Directory, Store, Job, Slot, () => LeadsJob, ended);

    private RegisterRank Facts()
    {
        RegisterRank facts = new()
        {
            RankCount = Slot.Size, OtherHosts = Slot.HasOtherHosts, Launch = Slot.Launch, Pid = Environment.ProcessId, ProgramPid = ProgramPid, ProgramHostPid = ProgramHostPid, Store = Store, StoreKey = TreCr.Store.StoreKey.Ambient is { } key ? Google.Protobuf.ByteString.CopyFrom(key.Secret) : Google.Protobuf.ByteString.Empty, WorkingDirectory = WorkingDirectory,
            Journal = _journal?.Directory ?? "", StartedUnixMs = _startedUnixMs, DeviceKind = Device, TrecrVersion = VersionVerb.Version,
        };
        facts.Command.AddRange(Command);
        facts.Recovery = Recovery();
        lock (_decision)
        {
            facts.EndedRanks.AddRange(_endedRanks.Values);
            facts.LastEpoch = _lease.Last;
            _coordinatorLost = false;
        }
        lock (_lock) facts.LastCheckpointId = _lastCheckpointId;
        return facts;
    }

    private void CoordinatorLost()
    {
        lock (_decision)
        {
            if (_lease.Current != 0) _coordinatorLost = true;
            Monitor.PulseAll(_decision);
        }
    }

    private void Hear(Envelope message)
    {
        switch (message.BodyCase)
        {
            case Envelope.BodyOneofCase.Prepare: BeginEpoch(message.Epoch, message.Prepare); break;
            case Envelope.BodyOneofCase.Commit or Envelope.BodyOneofCase.Abort or Envelope.BodyOneofCase.KeepAlive:
                lock (_decision)
                {
                    _lease.Heard(Environment.TickCount64);
                    if (message.BodyCase == Envelope.BodyOneofCase.Abort) _overEpoch = Math.Max(_overEpoch, message.Epoch); // it may come before its round has begun
                    if (_lease.Holds(message.Epoch) && message.BodyCase != Envelope.BodyOneofCase.KeepAlive) _decided ??= message;
                    Monitor.PulseAll(_decision);
                }
                break;
            case Envelope.BodyOneofCase.AllReady: HearAllReady(message.Epoch, message.AllReady.Step); break;
            case Envelope.BodyOneofCase.Note: HearNote(message.Note); break;
            case Envelope.BodyOneofCase.Status: Task.Run(() => AnswerStatus(message.Id, check: false)); break;
            case Envelope.BodyOneofCase.Check: Task.Run(() => AnswerStatus(message.Id, check: true)); break;
            case Envelope.BodyOneofCase.Stop: Task.Run(() => StopProgram((int)message.Stop.GraceMs, message.Stop.RestartId)); break;
        }
    }

    /// <summary>
    /// Begins an epoch on a thread of its own. The coordinator never has two at a time, so one that is still here is ending (the user may hear of a commit
    /// before we have put everything away), or belongs to a coordinator that died: it is waited for.
    /// </summary>
    private void BeginEpoch(ulong epoch, PrepareEpoch order) => new Thread(() =>
    {
        try { TakeEpoch(epoch, order); }
        catch (Exception e) // whatever it is: the program does not end by a checkpoint
        {
            (TrecrError error, string message, IReadOnlyList<string> findings) = Program.Explain(e);
            Output.Error(error, $"epoch {epoch}: {message}", findings);
            EndEpoch(epoch);
            Send(new Envelope { Epoch = epoch, Failed = new RankFailed { Error = error.Number, Reason = message } });
        }
    }, 1 << 20)
    { IsBackground = true, Name = $"checkpoint {epoch}" }.Start();

    private void TakeEpoch(ulong epoch, PrepareEpoch order)
    {
        bool begun;
        CheckpointRound round = new(this, epoch, order);
        if (RefusalForSpace() is { } full)
        {
            Send(new Envelope { Epoch = epoch, Failed = new RankFailed { Error = full.Error.Number, Reason = full.Message } });
            return;
        }
        lock (_decision)
        {
            long end = Environment.TickCount64 + Math.Min(EndingMs, order.DeadlineMs);
            while (_round is not null && end - Environment.TickCount64 is > 0 and var left) Monitor.Wait(_decision, (int)left);
            if (epoch <= _overEpoch) return;
            begun = _round is null && _lease.TryBegin(epoch, Environment.TickCount64);
            if (begun)
            {
                _round = round;
                _decided = null;
                _coordinatorLost = false;
            }
        }
        if (begun) round.Run();
        else Send(new Envelope { Epoch = epoch, Failed = new RankFailed { Error = TrecrError.CheckpointBusy.Number, Reason = "another checkpoint of this job is under way" } });
    }

    private void AnswerStatus(ulong id, bool check)
    {
        RankStatus status = new() { State = _round?.State ?? "running", InitPid = Space.InitPid, EnginePid = _engine?.HostPid ?? 0 };
        try
        {
            foreach (Session session in Listener.Sessions.Where(s => s.IsConnected))
            {
                SessionStatus entry = new() { Pid = session.Pid, DelegatorPid = session.Delegator.HostPid, DeviceName = session.DeviceName };
                status.Sessions.Add(entry);
                if (_round is not null) continue;
                Reply reply;
                try { reply = SessionListener.AskDevice(session); }
                catch (TrecrException) when (!session.IsConnected) // its process has ended meanwhile
                {
                    status.Sessions.Remove(entry);
                    continue;
                }
                (entry.DeviceName, entry.DeviceBytes) = (reply.DeviceName, reply.DeviceBytes);
                status.NotSupported.AddRange(reply.NotSupported.Except(status.NotSupported).ToArray());
            }
            status.DeviceName = status.Sessions.FirstOrDefault()?.DeviceName ?? "";
            status.DeviceBytes = (ulong)status.Sessions.Sum(s => (long)s.DeviceBytes);
            if (check)
            {
                status.Findings.AddRange(Check(30_000).Reply.Findings);
            }
        }
        catch (Exception e)
        {
            (TrecrError error, string message, _) = Program.Explain(e);
            (status.Error, status.Reason) = (error.Number, message);
        }
        Send(new Envelope { Id = id, RankStatus = status });
    }

    /// <summary>The socket of a job: its name hashed (FNV-1a), because a socket's path has 107 bytes at most.</summary>
    public static string SessionPathOf(RuntimeDirectory directory, string job) => $"{directory.Path}/session-{Fnv(job):x16}.sock";

    /// <summary>FNV-1a over the characters.</summary>
    public static ulong Fnv(string text)
    {
        ulong hash = 14695981039346656037;
        foreach (char c in text) hash = (hash ^ c) * 1099511628211;
        return hash;
    }

    /// <summary>Terminals that stay open, so that the program is not given their numbers; owned.</summary>
    public void KeepTerminals(int[] terminals) => _terminals = terminals;

    public void Dispose()
    {
        _programEnded = true;
        foreach (PosixSignalRegistration signal in _signals) signal.Dispose();
        EndMpi();
        _link.Dispose();
        DropEngine();
        EndSpace();
        WindowFile.Remove(Meeting); // of members that never came
        Listener.Dispose();
        Streams?.Dispose();
        foreach (int terminal in _terminals) Sys.Close(terminal);
        _jobLock.Dispose();
    }
}
