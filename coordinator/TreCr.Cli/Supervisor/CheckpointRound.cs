using Google.Protobuf;
using TreCr.Control;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Rank;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary>One rank's part in one epoch: prepare, gate, freeze, capture, resume, finish, and then what the coordinator decides (design.md §4).</summary>
/// <remarks>
/// On a thread of its own. Whatever fails, gates open and the program runs on; the checkpoint before stays valid. Only after a commit is the
/// program ended where --stop asked for it.
/// </remarks>
internal sealed class CheckpointRound(RankSupervisor supervisor, ulong epoch, PrepareEpoch order)
{
    /// <summary>How often a step is taken while processes of the program begin sessions all the time.</summary>
    private const int Tries = 5;

    private const int FreezeMs = 5_000, SessionMs = 30_000, EngineStepMs = 120_000;

    /// <summary>How long a killed program may take to leave the process table.</summary>
    private const int GoneMs = 30_000;

    /// <summary>A wait for other ranks after which memory is copied ahead once more.</summary>
    private const int WaitedLongMs = 100;

    private readonly long _deadline = Environment.TickCount64 + order.DeadlineMs;
    private readonly List<RankSnapshot> _snapshots = [];
    private readonly Dictionary<(string, int), ByteString> _hashes = [];
    private readonly StepTiming _timing = new();
    private EngineProcess? _engine;
    private RankState? _rank;
    private List<Session> _sessions = [];
    private List<string> _notes = [];
    private bool _held, _gated, _frozen, _together, _mpiGated, _ended;
    private long _gateNs, _stopTimeUs;
    private ulong _bytesTotal, _bytesStored;

    /// <summary>Names of modules without PTX that a checkpoint keeps, of each rank.</summary>
    private const int ToldModules = 4;

    private readonly List<string> _gpuOnly = [];
    private uint _gpuOnlyModules;

    /// <summary>For <c>trecr status</c>.</summary>
    public string State { get; private set; } = "preparing";

    public void Run()
    {
        bool committed = false;
        string checkpoint = "";
        try
        {
            State = "running hooks";
            supervisor.Hooks.Before(supervisor.ProgramHostPid);
            for (int tries = 1; !TryCapture(again: tries < Tries); tries++) { }
            if (!order.Stop)
            {
                supervisor.AwaitOthers(epoch, EpochStep.Resume);
                _timing.Mark("captured, other ranks");
                Resume();
            }
            Finish();
            supervisor.RequireLease(epoch);
            RankPrepared prepared = new()
            {
                StopTimeUs = (ulong)_stopTimeUs, BytesTotal = _bytesTotal, BytesStored = _bytesStored,
                DeviceKind = _sessions.Select(s => s.DeviceKind).FirstOrDefault(k => k.Length > 0) ?? "none",
            };
            prepared.Snapshots.AddRange(_snapshots);
            prepared.GpuOnlyModules = _gpuOnlyModules;
            prepared.GpuOnlyReasons.AddRange(_gpuOnly.Take(ToldModules));
            if (!supervisor.Send(new Envelope { Epoch = epoch, Prepared = prepared })) throw new TrecrException(TrecrError.CoordinatorLost, "the coordinator ended during the checkpoint");
            CommitEpoch commit = supervisor.WaitForDecision(epoch);
            committed = true;
            checkpoint = commit.CheckpointId;
            supervisor.Committed(commit.CheckpointId, _hashes);
            _timing.Print($"{commit.CheckpointId}, stop {StepTiming.Ms(_stopTimeUs)} ms");
            if (order.Stop) End(commit.CheckpointId);
        }
        catch (Exception e)
        {
            (TrecrError error, string message, IReadOnlyList<string> findings) = Program.Explain(e);
            Undo(); // an engine that holds the program keeps its end from being seen
            supervisor.AwaitDeathUnderWay(GoneMs);
            if (supervisor.ProgramEnded) (error, message, findings) = (TrecrError.JobEnded, "the program ended while the checkpoint was taken", []);
            if (error == TrecrError.Damaged)
            {
                supervisor.ForgetBase();
                message += "; the next checkpoint does not build on it";
            }
            RankFailed failed = new() { Error = error.Number, Reason = message };
            failed.Findings.AddRange(findings);
            supervisor.Send(new Envelope { Epoch = epoch, Failed = failed });
        }
        finally
        {
            if (!committed)
            {
                Undo();
                ReleaseSnapshots();
            }
            if (!committed) Forget();
            else if (_engine is { IsAlive: true } engine && !order.Stop) TryAsk(engine.Peer, new Request { EpochEnd = new EpochEndRequest { Committed = true } });
            if (_held) supervisor.Listener.AllowNew();
            _held = false;
            supervisor.Hooks.After(supervisor.ProgramHostPid, checkpoint);
            supervisor.EndEpoch(epoch);
        }
    }

    /// <param name="again">another attempt can be made</param>
    /// <returns>false: a process of the program was killed meanwhile; everything runs as before</returns>
    private bool TryCapture(bool again)
    {
        State = "preparing";
        Prepare();
        AwaitOthers();
        Gate();
        Freeze();
        supervisor.AwaitOthers(epoch, EpochStep.Capture);
        _timing.Mark("frozen, other ranks");
        try
        {
            Capture();
            return true;
        }
        catch (TrecrException e) when (again && e.Error == TrecrError.ProcessKilled)
        {
            Undo();
            Forget();
            supervisor.AwaitDeathUnderWay(GoneMs);
            if (supervisor.ProgramEnded) throw;
            return false;
        }
    }

    /// <summary>What was copied is not used, and processes may begin sessions again.</summary>
    private void Forget()
    {
        if (_engine is { IsAlive: true } engine) TryAsk(engine.Peer, new Request { EpochEnd = new EpochEndRequest() });
        foreach (Session session in supervisor.Listener.Sessions.Where(s => !s.DelegatorLost))
            TryAsk(session.Delegator.Peer, new Request { EpochEnd = new EpochEndRequest() });
        if (_held) supervisor.Listener.AllowNew();
        _held = false;
    }

    /// <summary>The program runs: refusals, pre-copy, everything that can be made ready.</summary>
    private void Prepare()
    {
        Reply check;
        for (int tries = 1; ; tries++)
        {
            AwaitSessions(); // the connection of one that is beginning would be refused as a stranger's
            int arrived = supervisor.Listener.Arrived;
            (_engine, check) = supervisor.Check(Math.Min(Left(), EngineStepMs));
            if (check.Findings.Count == 0 || tries == Tries || (supervisor.Listener.Arrived == arrived && !supervisor.Listener.IsAnybodyWaiting)) break;
        }
        if (check.Findings.Count > 0)
            throw new TrecrException(TrecrError.CheckpointRefused, $"cannot save the program: {check.Findings[0]}{(check.Findings.Count > 1 ? $" (and {check.Findings.Count - 1} more)" : "")}") { Findings = [.. check.Findings] };
        _timing.Add("check", check);
        ByteString hash = supervisor.BaseOf(RankRecord.ProcessRole, supervisor.ProgramPid);
        Reply prepared = Ask(_engine.Peer, new Request { Prepare = new PrepareRequest { Pid = supervisor.ProgramPid, Track = !supervisor.Options.NoTrack, BaseManifestHash = hash } });
        _timing.Add("prepare", prepared);
        foreach (string finding in prepared.Findings) supervisor.NoteOnce(finding);
        Session[] sessions = [.. supervisor.Listener.Sessions.Where(s => s.IsConnected)];
        foreach (Session session in sessions) Ask(session, mayEnd: true, Prepare);
        if (!supervisor.Options.NoTrack) Refine(sessions);
    }

    /// <summary>Both at once: each is nearest to the stop then.</summary>
    private void Refine(Session[] sessions)
    {
        Request refine = new() { Prepare = new PrepareRequest { Pid = supervisor.ProgramPid, Refine = true } };
        Task delegators = Task.Run(() => InParallel(sessions, mayEnd: true, s => _timing.Add("refine delegator", s.Delegator.Peer.Ask(refine.Clone(), Left(), TrecrError.CheckpointFailed))));
        try { _timing.Add("refine", Ask(_engine!.Peer, refine.Clone())); }
        finally { Task.WaitAny(delegators); }
        delegators.GetAwaiter().GetResult();
    }

    /// <summary>A delegator copies ahead.</summary>
    private void Prepare(Session session)
    {
        int[] trackers = [];
        if (!supervisor.Options.NoTrack && !session.AskedToTrack)
        {
            session.AskedToTrack = true;
            Reply asked = _engine!.Peer.Ask(new Request { TrackPinned = new TrackPinnedRequest { Pid = session.Pid, Root = supervisor.ProgramPid } }, Math.Min(Left(), EngineStepMs), TrecrError.CheckpointFailed, [], out trackers);
            _timing.Add("track pinned memory", asked);
            foreach (string finding in asked.Findings) supervisor.NoteOnce(finding);
        }
        try
        {
            Request prepare = new() { Prepare = new PrepareRequest { BaseManifestHash = supervisor.BaseOf(RankRecord.DelegatorRole, session.Pid) } };
            _timing.Add("prepare delegator", session.Delegator.Peer.Ask(prepare, Left(), TrecrError.CheckpointFailed, trackers));
        }
        finally
        {
            foreach (int fd in trackers) Sys.Close(fd);
        }
    }

    /// <summary>All ranks close their gates together. What was written while this one waited is copied once more.</summary>
    private void AwaitOthers()
    {
        if (_together) return;
        if (supervisor.AwaitOthers(epoch, EpochStep.Gate) > WaitedLongMs && !supervisor.Options.NoTrack) Refine([.. supervisor.Listener.Sessions.Where(s => s.IsConnected)]);
        _together = true;
    }

    /// <summary>The program runs, delegators issue nothing new, and what was issued ends.</summary>
    private void Gate()
    {
        supervisor.RequireLease(epoch);
        HoldSessions();
        _sessions = [.. supervisor.Listener.Sessions.Where(s => s.IsConnected)];
        State = "gated";
        _gateNs = Sys.ClockNs(1);
        _timing.BeginStop();
        _gated = true;
        int left = Left();
        left -= Math.Min(left / 10, 1_000); // who knows what is late says so before those who only see that something is
        InParallel(_sessions, mayEnd: true, s => _timing.Add("gate", s.Delegator.Peer.Ask(new Request { Gate = new GateRequest { DeadlineMs = (uint)left } }, left + 2_000, TrecrError.Deadline)));
        if (supervisor.Mpi is { } mpi)
        {
            // A marker stands for an epoch: ranks that have seen it do not wait for a second one.
            if (_mpiGated && mpi.Size > 1) throw new TrecrException(TrecrError.CheckpointFailed, "the program changed while it was to be stopped, after the ranks had closed their gates: another checkpoint may do");
            _mpiGated = true;
            // It waits for the markers of all ranks: where one of those fails, the epoch is given up meanwhile.
            _timing.Add("gate MPI", mpi.Peer.Ask(new Request { Gate = new GateRequest { DeadlineMs = (uint)left, Epoch = epoch } }, left, TrecrError.Deadline, [], out _, meanwhile: () => supervisor.RequireLease(epoch)));
        }
        _timing.Mark("gate, all");
        Fault.At(FaultPoint.SupervisorGated);
    }

    private void AwaitSessions()
    {
        HoldSessions();
        supervisor.Listener.AllowNew();
        _held = false;
    }

    private void HoldSessions()
    {
        if (!supervisor.Listener.HoldNew(SessionMs)) throw new TrecrException(TrecrError.Deadline, "a process of the program is still waiting for its delegator");
        _held = true;
    }

    private void Freeze()
    {
        for (int tries = 1; ; tries++)
        {
            supervisor.RequireLease(epoch);
            _frozen = true; // before the answer, which may be lost: a resume of what is not frozen does nothing
            _timing.Add("freeze", Ask(_engine!.Peer, new Request { Freeze = new FreezeRequest { Pid = supervisor.ProgramPid, DeadlineMs = (uint)Math.Min(FreezeMs, Left()) } }));
            if (tries == Tries || !supervisor.Listener.IsAnybodyWaiting) break;
            // A process has asked for its delegator between the hold and the freeze: its connection would be refused as a stranger's. It gets it, and then all is stopped again.
            ResumeAll();
            supervisor.Listener.AwaitWaiting(Math.Min(SessionMs, Left()));
            Gate();
        }
        _sessions = [.. _sessions.Where(s => s.IsConnected)]; // from here on none ends by itself
        _timing.Mark("freeze, all");
        State = "frozen";
        Fault.At(FaultPoint.SupervisorFrozen);
    }

    private void Capture()
    {
        supervisor.Streams.DrainOutput();
        supervisor.Streams.HoldInput(true); // what comes from here on is in no image: with --stop whoever sends it keeps it for the restart
        RankState state = supervisor.Describe(epoch, _sessions);
        _timing.Mark("streams, all");
        RankSupervisor owner = supervisor;
        List<string> notes = []; // said when the program runs again
        Task delegators = _sessions.Count == 0 ? Task.CompletedTask : Task.Run(() => InParallel(s => _timing.Add("capture delegator", s.Delegator.Peer.Ask(
            new Request { DelegatorCapture = new DelegatorCaptureRequest { BaseManifestHash = owner.BaseOf(RankRecord.DelegatorRole, s.Pid) } }, Left(), TrecrError.CheckpointFailed), notes)));
        Reply captured;
        try
        {
            captured = Ask(_engine!.Peer, new Request { ProcessCapture = new ProcessCaptureRequest { BaseManifestHash = owner.BaseOf(RankRecord.ProcessRole, owner.ProgramPid), Externals = owner.Externals(_sessions) } });
        }
        finally { Task.WaitAny(delegators); }
        delegators.GetAwaiter().GetResult();
        _timing.Add("capture", captured, notes);
        _timing.Mark("capture, all");
        _notes = notes;
        State = "captured";
        Fault.At(FaultPoint.SupervisorCaptured);
        _rank = state;
    }

    private void Resume()
    {
        ResumeAll();
        _stopTimeUs = (Sys.ClockNs(1) - _gateNs) / 1000;
        _timing.Mark("resume, all");
        State = "finishing";
        Fault.At(FaultPoint.SupervisorResumed);
    }

    private void ResumeAll()
    {
        Ask(_engine!.Peer, new Request { Resume = new ResumeRequest() });
        _frozen = false;
        supervisor.Streams.HoldInput(false);
        InParallel(_sessions, mayEnd: true, s => s.Delegator.Peer.Ask(new Request { Open = new OpenRequest() }, Left(), TrecrError.CheckpointFailed));
        if (_mpiGated) supervisor.Mpi?.Peer.Ask(new Request { Open = new OpenRequest { Epoch = epoch } }, Left(), TrecrError.CheckpointFailed);
        _gated = false;
        supervisor.Listener.AllowNew();
        _held = false;
    }

    /// <summary>Waits until every snapshot is durable.</summary>
    private void Finish()
    {
        foreach (string note in _notes) supervisor.NoteOnce(note);
        if (order.Stop) _stopTimeUs = (Sys.ClockNs(1) - _gateNs) / 1000;
        Lock gathered = new();
        Task delegators = Task.Run(() => InParallel(s =>
        {
            Reply reply = s.Delegator.Peer.Ask(new Request { Finish = new FinishRequest() }, Left(), TrecrError.CheckpointFailed);
            _timing.Add("finish delegator", reply);
            lock (gathered)
            {
                Add(RankRecord.DelegatorRole, s.Pid, reply.ManifestHash, reply.BytesTotal, reply.BytesStored);
                _gpuOnlyModules += reply.GpuOnlyModules;
                _gpuOnly.AddRange(reply.GpuOnlyReasons);
            }
        }));
        try
        {
            Reply reply = Ask(_engine!.Peer, new Request { Finish = new FinishRequest() });
            _timing.Add("finish", reply);
            lock (gathered) Add(RankRecord.ProcessRole, supervisor.ProgramPid, reply.ManifestHash, reply.BytesTotal, reply.BytesStored);
        }
        finally { Task.WaitAny(delegators); }
        delegators.GetAwaiter().GetResult();
        using SnapshotStore store = SnapshotStore.OpenExisting(supervisor.Store);
        SnapshotResult own = RankRecord.Write(store, _rank!);
        Add(RankRecord.Role, supervisor.ProgramPid, own.ManifestHash.ToByteString(), (ulong)own.BytesTotal, (ulong)own.BytesStored);
        // On other tiers, so that a restart finds it where the store was lost; after the first checkpoint its frames are there.
        if (supervisor.Options.Policy is not null && supervisor.WrapperHash.Length > 0)
            Add(RankRecord.WrapperRole, supervisor.ProgramPid, WrapperCopy.Write(store, supervisor.WrapperHash).ManifestHash.ToByteString(), 0, 0);
    }

    private void Add(string role, int pid, ByteString hash, ulong total, ulong stored)
    {
        _snapshots.Add(new RankSnapshot { Role = role, Pid = pid, ManifestHash = hash });
        _hashes[(role, pid)] = hash;
        _bytesTotal += total;
        _bytesStored += stored;
    }

    /// <summary>The checkpoint is durable: ends the program and its delegators.</summary>
    private void End(string checkpointId)
    {
        supervisor.StoppedAt = checkpointId;
        _ended = true;
        // All ranks end here, with nothing under way: in order, so that the launcher does not take it for a failure.
        if (supervisor.Mpi is { } mpi)
        {
            mpi.ExpectEnd();
            TryAsk(mpi.Peer, new Request { Finish = new FinishRequest() });
        }
        try { Ask(_engine!.Peer, new Request { Resume = new ResumeRequest { Kill = true } }); }
        catch (TrecrException) { supervisor.KillProgram(); }
        (_frozen, _gated) = (false, false);
        supervisor.AwaitProgramGone(GoneMs); // hooks that come next find it ended
    }

    /// <summary>Lets the program run on, whatever happened.</summary>
    private void Undo()
    {
        if (_frozen && _engine is { } engine && !TryAsk(engine.Peer, new Request { Resume = new ResumeRequest() }))
            supervisor.DropEngine(); // its death detaches the program
        _frozen = false;
        supervisor.Streams.HoldInput(false);
        if (_gated)
            foreach (Session session in _sessions)
                if (!session.DelegatorLost && !TryAsk(session.Delegator.Peer, new Request { Open = new OpenRequest() }) && !session.DelegatorLost && session.Delegator.WaitForEnd(0) is null)
                    Output.Note($"the {session.Delegator.Peer.Name} does not answer after a failed checkpoint");
        _gated = false;
        // Also where this rank was not gated: others may have been, and this rank's delegator does not listen to them.
        if (!_ended && supervisor.Mpi is { } mpi && !TryAsk(mpi.Peer, new Request { Open = new OpenRequest { Epoch = epoch } })) Output.Note("the MPI delegator does not answer after a failed checkpoint");
        if (_engine is { Peer.Lost: true }) supervisor.DropEngine();
    }

    /// <summary>
    /// The finished snapshots wait for no checkpoint any more, so that gc need not keep them. Where the coordinator had committed and died before it said so, the
    /// checkpoint itself keeps them.
    /// </summary>
    private void ReleaseSnapshots()
    {
        if (_hashes.Count == 0) return;
        try
        {
            using SnapshotStore store = SnapshotStore.OpenExisting(supervisor.Store);
            foreach (ByteString hash in _hashes.Values) store.Release(ContentHash.FromBytes(hash.Span));
        }
        catch (StoreException) { /* gc takes them after 24 hours */ }
    }

    private Reply Ask(RankPeer peer, Request request) => peer.Ask(request, Math.Min(Left(), EngineStepMs), TrecrError.CheckpointFailed);

    private static bool TryAsk(RankPeer peer, Request request)
    {
        try
        {
            peer.Ask(request, 10_000, TrecrError.CheckpointFailed);
            return true;
        }
        catch (TrecrException) { return false; }
    }

    /// <summary>Asks all delegators at once; the first failure is thrown when all have answered.</summary>
    private void InParallel(Action<Session> action) => InParallel(_sessions, mayEnd: false, action);

    private static void InParallel(IReadOnlyList<Session> sessions, bool mayEnd, Action<Session> action)
    {
        if (sessions.Count == 1) Ask(sessions[0], mayEnd, action);
        else if (sessions.Count > 1) Task.WhenAll(sessions.Select(s => Task.Run(() => Ask(s, mayEnd, action)))).GetAwaiter().GetResult();
    }

    /// <param name="mayEnd">the program runs: a process that ends takes its delegator with it, in order, and its answer is not needed any more</param>
    private static void Ask(Session session, bool mayEnd, Action<Session> action)
    {
        try { action(session); }
        catch (TrecrException e) when (mayEnd && e.Error == TrecrError.DelegatorLost && !session.IsConnected) { }
    }

    private int Left() => (int)Math.Clamp(_deadline - Environment.TickCount64, 1, int.MaxValue);
}
