using TreCr.Control;
using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Coordinator;

/// <summary>
/// The coordinator: knows which jobs run, takes their checkpoints (two-phase commit by <see cref="EpochMachine"/>), passes questions on. It may die at
/// any time: jobs run on, and supervisors register with the next one.
/// </summary>
/// <remarks>A thread per connection, one lock around all state; nothing blocks while it is held except small sends that never wait.</remarks>
public sealed class CoordinatorServer(RuntimeDirectory directory, ICheckpointCatalog catalog, Action<string> log)
{
    private const int QuestionMs = 20_000, TickMs = 500;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, CoordinatedJob> _jobs = [];
    private readonly List<PassedQuestion> _questions = [];
    private readonly List<(string Job, JobRecovery Recovery)> _recoveries = [];
    private HostListener? _hosts;
    private ulong _nextId = 1;
    private int _connections;
    private long _idleSince;

    /// <summary>Serves until nobody has been connected for <paramref name="idleMs"/>.</summary>
    /// <param name="idleMs">negative: for ever</param>
    /// <param name="port">for other hosts; 0: any, once a job needs it</param>
    /// <param name="onListening">called once the socket accepts, with the key that other hosts see; null: they are not served yet</param>
    /// <returns>false: another coordinator serves already</returns>
    /// <exception cref="TrecrException">Coordinator: the port is taken; HostKey</exception>
    public bool Run(int idleMs, int port, Action<string?> onListening)
    {
        int lockFile = Sys.Open(directory.CoordinatorLock, Sys.O_RDWR | Sys.O_CREAT | Sys.O_NOFOLLOW | Sys.O_CLOEXEC, 0x180);
        if (Sys.Flock(lockFile, Sys.LOCK_EX | Sys.LOCK_NB) < 0) { Sys.Close(lockFile); return false; }
        File.Delete(directory.CoordinatorSocket);
        int listener = Sys.ListenUnix(directory.CoordinatorSocket);
        _idleSince = Environment.TickCount64;
        log($"coordinator {Environment.ProcessId} serves at {directory.CoordinatorSocket}");
        if (port != 0) ServeHosts(port);
        onListening(_hosts?.Fingerprint);
        while (true)
        {
            bool busy;
            lock (_lock) busy = _questions.Count > 0 || _recoveries.Count > 0 || _jobs.Values.Any(j => j.Epoch is not null);
            Span<PollEntry> ready = [new PollEntry { Fd = listener, Events = Sys.POLLIN }];
            int n = Sys.Poll(ready, busy ? TickMs : idleMs < 0 ? 5_000 : Math.Clamp(idleMs, 100, 5_000));
            if (n > 0) Accept(listener);
            Tick();
            lock (_lock)
            {
                if (idleMs < 0 || _connections > 0 || _recoveries.Count > 0 || Environment.TickCount64 - _idleSince < idleMs) continue;
                File.Delete(directory.CoordinatorSocket);
                Sys.Close(listener);
                Sys.Close(lockFile);
                log("coordinator ends: nobody is connected");
                return true;
            }
        }
    }

    private void Accept(int listener)
    {
        int socket = Sys.Accept(listener);
        if (socket < 0) return;
        (int pid, uint uid, _) = Sys.PeerCredentials(socket);
        if (uid != Sys.EffectiveUserId())
        {
            log($"refused a connection of user {uid} (process {pid})");
            Sys.Close(socket);
            return;
        }
        Count(); // here, not on its thread: else we might end before that runs
        new Thread(() => Serve(new ControlChannel(socket)), 256 * 1024) { IsBackground = true, Name = "connection" }.Start();
    }

    private void Count()
    {
        lock (_lock) _connections++;
    }

    private HostListener ServeHosts(int port)
    {
        if (_hosts is not null) return _hosts;
        _hosts = new HostListener(port, KnowsKey, channel =>
        {
            Count();
            Serve(channel);
        }, log);
        log($"serves other hosts at {string.Join(", ", _hosts.Endpoints)}, key {_hosts.Fingerprint}");
        return _hosts;
    }

    /// <summary>Whether who has a key writes in the store of one of our jobs.</summary>
    private bool KnowsKey(string fingerprint)
    {
        string[] stores;
        lock (_lock) stores = [.. _jobs.Values.Select(j => j.Store).Distinct()];
        return stores.Any(s => CoordinatorNotes.KnowsKey(s, fingerprint));
    }

    /// <summary>A connection that was counted.</summary>
    private void Serve(ControlChannel channel)
    {
        try
        {
            while (true)
            {
                Envelope? message = channel.Receive(-1, out bool closed);
                if (closed) break;
                if (message is null) continue;
                if (message.Version != ControlWire.Version)
                {
                    Reply(channel, message.Id, TrecrError.WireVersion, $"the coordinator speaks wire version {ControlWire.Version}, this trecr {message.Version}");
                    continue;
                }
                lock (_lock) Handle(channel, message);
            }
        }
        catch (Exception e) { log($"connection: {e.Message}"); }
        lock (_lock)
        {
            Gone(channel);
            _connections--;
            _idleSince = Environment.TickCount64;
        }
        channel.Dispose();
    }

    private void Handle(ControlChannel channel, Envelope message)
    {
        switch (message.BodyCase)
        {
            case Envelope.BodyOneofCase.Register: Register(channel, message); break;
            case Envelope.BodyOneofCase.Prepared:
                if (_jobs.TryGetValue(message.Job, out CoordinatedJob? prepared) && prepared.Epoch is { } epoch)
                    Do(prepared, epoch.RankPrepared(message.Rank, message.Epoch, message.Prepared));
                else channel.Send(new Envelope { Job = message.Job, Rank = message.Rank, Host = message.Host, Epoch = message.Epoch, Abort = new AbortEpoch { Reason = $"epoch {message.Epoch} is over" } });
                break;
            case Envelope.BodyOneofCase.Ready:
                if (_jobs.TryGetValue(message.Job, out CoordinatedJob? ready) && ready.Epoch is { } under) Do(ready, under.RankReady(message.Rank, message.Epoch, message.Ready.Step));
                else channel.Send(new Envelope { Job = message.Job, Rank = message.Rank, Host = message.Host, Epoch = message.Epoch, Abort = new AbortEpoch { Reason = $"epoch {message.Epoch} is over" } });
                break;
            case Envelope.BodyOneofCase.Ended:
                if (!_jobs.TryGetValue(message.Job, out CoordinatedJob? ends)) break;
                if (message.Ended.Rank.Stopped) ends.Recovery?.Hear("it was stopped with a checkpoint", failed: false);
                AddEnded(ends, [message.Ended.Rank]);
                break;
            case Envelope.BodyOneofCase.Leaves:
                if (_jobs.TryGetValue(message.Job, out CoordinatedJob? left)) left.Recovery?.Hear(RankText(left, message.Rank) + message.Leaves.How, message.Leaves.Failed, message.Leaves.Final);
                break;
            case Envelope.BodyOneofCase.Failed:
                if (_jobs.TryGetValue(message.Job, out CoordinatedJob? failed) && failed.Epoch is { } attempt)
                    Do(failed, attempt.RankFailed(message.Rank, message.Epoch, message.Failed));
                break;
            case Envelope.BodyOneofCase.RankStatus: RankAnswered(message); break;
            case Envelope.BodyOneofCase.CheckpointJob: Checkpoint(channel, message); break;
            case Envelope.BodyOneofCase.ListJobs: List(channel, message); break;
            case Envelope.BodyOneofCase.StopJob: Stop(channel, message); break;
            case Envelope.BodyOneofCase.CheckJob:
                if (Find(channel, message) is { } job) PassOn(channel, message.Id, [job], check: true, new Answer());
                break;
            default: Reply(channel, message.Id, TrecrError.WireVersion, "the coordinator does not know this request"); break;
        }
    }

    private void Register(ControlChannel channel, Envelope message)
    {
        if (!JobName.IsValid(message.Job)) { Reply(channel, message.Id, TrecrError.JobNameBad, $"job name '{message.Job}'"); return; }
        _jobs.TryGetValue(message.Job, out CoordinatedJob? job);
        if (job is not null && job.Launch != message.Register.Launch)
        {
            foreach (ControlChannel gone in job.Ranks.Values.Select(r => r.Channel).Where(c => c.PeerIsGone).ToArray()) Gone(gone);
            if (job.Ranks.Count > 0 || job.Epoch is not null) { Reply(channel, message.Id, TrecrError.JobNameTaken, $"job {message.Job} runs already, started by another launch"); return; }
            job = null;
        }
        if (job is null) _jobs[message.Job] = job = new CoordinatedJob(message.Job, message.Register.Launch);
        job.RankCount = Math.Max(1, message.Register.RankCount);
        if (channel.IsLocal) job.Recovery ??= JobRecovery.Of(message.Register); // else its launcher is not here
        if (channel.IsLocal && message.Register.Journal.Length > 0) job.Journal ??= JobJournal.At(message.Register.Journal);
        job.Ended.Remove(message.Rank);
        if (job.Ranks.TryGetValue(message.Rank, out CoordinatedRank? other) && other.Channel != channel)
        {
            // The job's lock file decides who is the supervisor; the newer connection holds it.
            log($"{message.Job}: rank {message.Rank} registers again");
        }
        job.Ranks[message.Rank] = new CoordinatedRank(message.Rank, message.Host, message.Register, channel);
        job.LastEpoch = Math.Max(job.LastEpoch, message.Register.LastEpoch);
        (job.Store, job.StoreKey) = (message.Register.Store, message.Register.StoreKey.Memory);
        if (message.Register.OtherHosts && channel.IsLocal && !Announce(channel, message.Id, job)) return;
        log($"{message.Job}: rank {message.Rank} on {message.Host}, supervisor {message.Register.Pid}");
        channel.Send(new Envelope { Id = message.Id, Job = message.Job, Rank = message.Rank, Host = message.Host, Answer = new Answer { Job = message.Job } });
        AddEnded(job, message.Register.EndedRanks.Where(e => !job.Ranks.ContainsKey(e.Rank) && !job.Ended.ContainsKey(e.Rank)));
    }

    /// <summary>Lets the ranks on other hosts find us.</summary>
    private bool Announce(ControlChannel channel, ulong id, CoordinatedJob job)
    {
        try
        {
            HostListener hosts = ServeHosts(0);
            CoordinatorNote note = new() { Launch = job.Launch, Key = hosts.Fingerprint, Host = Environment.MachineName, Pid = Environment.ProcessId };
            note.Endpoints.AddRange(hosts.Endpoints);
            if (!note.Equals(job.Note)) CoordinatorNotes.Write(job.Store, job.Name, note);
            job.Note = note;
            return true;
        }
        catch (Exception e) when (e is TrecrException or IOException or UnauthorizedAccessException)
        {
            Reply(channel, id, (e as TrecrException)?.Error ?? TrecrError.Coordinator, $"its ranks on other hosts cannot be served: {e.Message}");
            return false;
        }
    }

    /// <summary>All that run hear of it, and tell it the next coordinator.</summary>
    private static void AddEnded(CoordinatedJob job, IEnumerable<EndedRank> ended)
    {
        foreach (EndedRank rank in ended) job.Ended[rank.Rank] = rank;
        if (job.Ended.Count == 0) return;
        JobNote note = new();
        note.EndedRanks.AddRange(job.Ended.Values);
        foreach (uint rank in job.Ranks.Keys) SendTo(job, rank, new Envelope { Note = note });
    }

    private void Checkpoint(ControlChannel channel, Envelope message)
    {
        if (Find(channel, message) is not { } job) return;
        if (job.Epoch is not null) { Reply(channel, message.Id, TrecrError.CheckpointBusy, $"checkpoint {job.CheckpointId} of this job is being taken"); return; }
        if (job.Missing.ToArray() is { Length: > 0 } missing)
        {
            Reply(channel, message.Id, TrecrError.RanksMissing, $"job {job.Name}: of its {job.RankCount} ranks {(missing.Length == 1 ? "rank" : "ranks")} {string.Join(", ", missing)} {(missing.Length == 1 ? "is" : "are")} not known to the coordinator");
            return;
        }
        if (!job.Ranks.Keys.Except(job.Ended.Keys).Any()) { Reply(channel, message.Id, TrecrError.JobEnded, $"job {job.Name}: the programs of all its ranks have ended"); return; }
        ulong stored;
        try { stored = catalog.LastEpoch(job.Facts.Store, job.Facts.StoreKey.Memory, job.Name); }
        catch (Exception e) { Reply(channel, message.Id, TrecrError.FromNumber(catalog.ErrorNumber(e)), e.Message); return; }
        job.LastEpoch = Math.Max(job.LastEpoch, stored) + 1;
        job.CheckpointId = $"{job.Name}.{job.LastEpoch}";
        job.Stop = message.CheckpointJob.Stop;
        (job.Requester, job.RequestId) = (channel, message.Id);
        uint deadline = message.CheckpointJob.DeadlineMs == 0 ? ControlWire.DefaultDeadlineMs : message.CheckpointJob.DeadlineMs;
        job.Epoch = new EpochMachine(job.LastEpoch, job.Ranks.Keys.Where(r => !job.Ended.ContainsKey(r)).ToArray(), job.Stop, deadline, Environment.TickCount64);
        job.EpochBeganMs = Environment.TickCount64;
        log($"{job.CheckpointId}: begins");
        Do(job, job.Epoch.Start());
    }

    private void Do(CoordinatedJob job, IReadOnlyList<EpochAction> actions)
    {
        if (job.Epoch is not { } machine) return;
        foreach (EpochAction action in actions)
        {
            switch (action)
            {
                case EpochAction.SendPrepare a: SendTo(job, a.Rank, new Envelope { Epoch = machine.Epoch, Prepare = new PrepareEpoch { DeadlineMs = a.DeadlineMs, Stop = a.Stop } }); break;
                case EpochAction.SendAllReady a: SendTo(job, a.Rank, new Envelope { Epoch = machine.Epoch, AllReady = new AllReady { Step = a.Step } }); break;
                case EpochAction.SendCommit a: SendTo(job, a.Rank, new Envelope { Epoch = machine.Epoch, Commit = new CommitEpoch { CheckpointId = job.CheckpointId } }); break;
                case EpochAction.SendAbort a: SendTo(job, a.Rank, new Envelope { Epoch = a.Epoch, Abort = new AbortEpoch { Reason = a.Reason } }); break;
                case EpochAction.SendKeepAlive a: SendTo(job, a.Rank, new Envelope { Epoch = machine.Epoch, KeepAlive = new KeepAlive() }); break;
                case EpochAction.Commit a: StartCommit(job, machine, Manifest(job, machine, a.Ranks)); break;
                case EpochAction.Finished a: Finish(job, machine, a); break;
            }
        }
    }

    /// <summary>Makes the checkpoint durable on a thread of its own: fsync may take long, and ranks must hear from us meanwhile.</summary>
    private void StartCommit(CoordinatedJob job, EpochMachine machine, JobManifest manifest)
    {
        string store = job.Facts.Store;
        ReadOnlyMemory<byte> key = job.Facts.StoreKey.Memory;
        Fault.Peer = job.Facts.Pid;
        new Thread(() =>
        {
            string error = ""; int number = 0;
            try
            {
                Fault.At(FaultPoint.CoordinatorPrepared);
                catalog.Commit(store, key, manifest);
                Fault.At(FaultPoint.CoordinatorCommit);
            }
            catch (Exception e) { (error, number) = (e.Message, catalog.ErrorNumber(e)); }
            lock (_lock)
            {
                if (job.Epoch != machine) return;
                Do(job, number == 0 ? machine.CommitFinished() : machine.CommitFailed(number, error));
            }
        })
        { IsBackground = true, Name = "commit" }.Start();
    }

    private static JobManifest Manifest(CoordinatedJob job, EpochMachine machine, IReadOnlyDictionary<uint, RankPrepared> ranks)
    {
        RegisterRank facts = job.Facts;
        JobManifest manifest = new()
        {
            FormatVersion = FormatVersion.Current, Job = job.Name, Epoch = machine.Epoch, CheckpointId = job.CheckpointId,
            CreatedUnixMs = (ulong)DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), BaseCheckpointId = facts.LastCheckpointId, TrecrVersion = facts.TrecrVersion,
            DeviceKind = ranks.Values.Select(r => r.DeviceKind).FirstOrDefault(k => k is not ("" or "none")) ?? "none",
            Stopped = job.Stop, StopTimeUs = ranks.Values.Max(r => r.StopTimeUs), UserId = Sys.EffectiveUserId(), WorkingDirectory = facts.WorkingDirectory,
            BytesTotal = (ulong)ranks.Values.Sum(r => (long)r.BytesTotal), BytesStored = (ulong)ranks.Values.Sum(r => (long)r.BytesStored),
        };
        manifest.Command.AddRange(facts.Command);
        manifest.GpuOnlyModules = (uint)ranks.Values.Sum(r => r.GpuOnlyModules);
        manifest.GpuOnlyReasons.AddRange(ranks.Values.SelectMany(r => r.GpuOnlyReasons).Distinct());
        foreach ((uint rank, RankPrepared prepared) in ranks)
        {
            RankManifest entry = new() { Rank = rank, Host = job.Ranks.TryGetValue(rank, out CoordinatedRank? known) ? known.Host : "" };
            entry.Snapshots.AddRange(prepared.Snapshots.Select(s => new SnapshotReference { Role = s.Role, Pid = s.Pid, ManifestHash = s.ManifestHash }));
            manifest.Ranks.Add(entry);
        }
        foreach (EndedRank ended in job.Ended.Values.Where(e => !ranks.ContainsKey(e.Rank))) manifest.Ranks.Add(new RankManifest { Rank = ended.Rank, Host = ended.Host, Ended = true, ExitCode = ended.ExitCode });
        RankManifest[] ordered = [.. manifest.Ranks.OrderBy(r => r.Rank)];
        manifest.Ranks.Clear();
        manifest.Ranks.AddRange(ordered);
        return manifest;
    }

    private void Finish(CoordinatedJob job, EpochMachine machine, EpochAction.Finished finished)
    {
        log($"{job.CheckpointId}: {(finished.Error == 0 ? "committed" : $"given up: {finished.Reason}")}");
        Answer answer = new() { Error = finished.Error, Reason = finished.Reason };
        answer.Findings.AddRange(finished.Findings);
        if (finished.Error == 0)
        {
            answer.CheckpointId = job.CheckpointId;
            answer.StopTimeUs = machine.Prepared.Values.Max(r => r.StopTimeUs);
            foreach (RankPrepared prepared in machine.Prepared.Values)
            {
                answer.BytesTotal += prepared.BytesTotal;
                answer.BytesStored += prepared.BytesStored;
            }
            foreach (CoordinatedRank rank in job.Ranks.Values) rank.Facts.LastCheckpointId = job.CheckpointId;
            job.Recovery?.Advanced();
            if (job.Stop) job.Recovery?.Hear("it was stopped with a checkpoint", failed: false);
        }
        Note(job, answer);
        job.Requester?.Send(new Envelope { Id = job.RequestId, Job = job.Name, Epoch = machine.Epoch, Answer = answer });
        job.Epoch = null;
        job.Requester = null;
        if (job.Ranks.Count == 0) Over(job);
    }

    /// <summary>How the checkpoint under way ended.</summary>
    private static void Note(CoordinatedJob job, Answer answer) => job.Journal?.Note(job.Name, answer.Error == 0 ? "checkpoint" : "checkpoint-failed", j =>
    {
        j.WriteString("checkpoint_id", job.CheckpointId);
        j.WriteNumber("took_ms", Environment.TickCount64 - job.EpochBeganMs);
        if (answer.Error == 0)
        {
            j.WriteNumber("stop_time_us", answer.StopTimeUs);
            j.WriteNumber("bytes_total", answer.BytesTotal);
            j.WriteNumber("bytes_stored", answer.BytesStored);
            j.WriteBoolean("stopped", job.Stop);
            return;
        }
        j.WriteString("error", $"TRECR-{answer.Error:d4}");
        j.WriteString("reason", answer.Reason);
        j.WriteStartArray("findings");
        foreach (string finding in answer.Findings) j.WriteStringValue(finding);
        j.WriteEndArray();
    });

    /// <summary>None of its ranks is here any more.</summary>
    private void Over(CoordinatedJob job)
    {
        _jobs.Remove(job.Name);
        if (job.Note is { } note) CoordinatorNotes.Remove(job.Store, job.Name, note);
        if (job.Recovery is not { } recovery) return;
        ulong lastEpoch = 0;
        try { lastEpoch = catalog.LastEpoch(job.Store, job.StoreKey, job.Name); }
        catch (Exception e) { log($"{job.Name}: {e.Message}"); }
        if (recovery.Decide(job.Name, lastEpoch, Environment.TickCount64)) _recoveries.Add((job.Name, recovery));
        else recovery.Dispose();
    }

    private void Recover(long nowMs)
    {
        foreach ((string job, JobRecovery recovery) in _recoveries.Where(r => r.Recovery.DueMs <= nowMs).ToArray())
        {
            string? failure = recovery.Start(CoordinatorClient.TrecrPath, job);
            log($"{job}: {(failure is null ? "restarted after a failure" : $"cannot be restarted: {failure}")}");
            recovery.Dispose();
            _recoveries.RemoveAll(r => r.Recovery == recovery);
            _idleSince = nowMs; // it registers soon
        }
    }

    private static string RankText(CoordinatedJob job, uint rank) => job.RankCount > 1 ? $"rank {rank} " : "it ";

    private void List(ControlChannel channel, Envelope message)
    {
        if (message.Job.Length > 0 && Find(channel, message) is null) return;
        DropEnded(_jobs.Values);
        CoordinatedJob[] jobs = [.. _jobs.Values.Where(j => j.Ranks.Count > 0 && (message.Job.Length == 0 || j.Name == message.Job)).OrderBy(j => j.Name, StringComparer.Ordinal)];
        Answer answer = new();
        if (message.ListJobs.Details) { PassOn(channel, message.Id, jobs, check: false, answer); return; }
        foreach (CoordinatedJob job in jobs) answer.Jobs.Add(Describe(job));
        channel.Send(new Envelope { Id = message.Id, Answer = answer });
    }

    private void PassOn(ControlChannel channel, ulong id, IReadOnlyList<CoordinatedJob> jobs, bool check, Answer answer)
    {
        PassedQuestion question = new(channel, id, answer, Environment.TickCount64 + (check ? 2 * QuestionMs : QuestionMs));
        foreach (CoordinatedJob job in jobs)
        {
            JobStatus status = Describe(job);
            answer.Jobs.Add(status);
            foreach (RankEntry entry in status.Ranks)
            {
                ulong passed = _nextId++;
                Envelope ask = new() { Id = passed };
                if (check) ask.Check = new CheckRank(); else ask.Status = new StatusRank();
                if (SendTo(job, entry.Rank, ask)) question.Waiting[passed] = entry;
            }
        }
        _questions.Add(question);
        Answered(question);
    }

    private void RankAnswered(Envelope message)
    {
        foreach (PassedQuestion question in _questions)
        {
            if (!question.Waiting.Remove(message.Id, out RankEntry? entry)) continue;
            entry.Status = message.RankStatus;
            Answered(question);
            return;
        }
    }

    private void Answered(PassedQuestion question)
    {
        if (question.Waiting.Count > 0 && Environment.TickCount64 < question.DeadlineMs) return;
        _questions.Remove(question);
        question.Requester.Send(new Envelope { Id = question.RequestId, Answer = question.Answer });
    }

    private static JobStatus Describe(CoordinatedJob job)
    {
        JobStatus status = new() { Job = job.Name, Store = job.Facts.Store, EpochUnderWay = job.Epoch?.Epoch ?? 0, RankCount = job.RankCount };
        status.EndedRanks.AddRange(job.Ended.Values);
        foreach (CoordinatedRank rank in job.Ranks.Values) status.Ranks.Add(new RankEntry { Rank = rank.Rank, Host = rank.Host, Facts = rank.Facts });
        return status;
    }

    private void Stop(ControlChannel channel, Envelope message)
    {
        if (Find(channel, message) is not { } job) return;
        if (message.StopJob.RestartId.Length > 0 && (job.RankCount > 1 || job.Launch.Length > 0))
        {
            Reply(channel, message.Id, TrecrError.Launched, $"job {job.Name} was started by a launcher, which cannot be rolled back in its place: `trecr stop {job.Name}`, then start it with `trecr restart {message.StopJob.RestartId}`");
            return;
        }
        job.Recovery?.Hear("it was stopped", failed: false);
        foreach (uint rank in job.Ranks.Keys.ToArray()) SendTo(job, rank, new Envelope { Stop = new StopRank { GraceMs = message.StopJob.GraceMs, RestartId = message.StopJob.RestartId } });
        channel.Send(new Envelope { Id = message.Id, Job = job.Name, Answer = new Answer { Job = job.Name } });
    }

    private void Tick()
    {
        lock (_lock)
        {
            long now = Environment.TickCount64;
            foreach (CoordinatedJob job in _jobs.Values.ToArray())
                if (job.Epoch is { } machine) Do(job, machine.Tick(now));
            foreach (PassedQuestion question in _questions.ToArray()) Answered(question);
            Recover(now);
        }
    }

    private void Gone(ControlChannel channel)
    {
        foreach (CoordinatedJob job in _jobs.Values.ToArray())
        {
            if (job.Requester == channel) job.Requester = null;
            foreach (CoordinatedRank rank in job.Ranks.Values.Where(r => r.Channel == channel).ToArray())
            {
                job.Ranks.Remove(rank.Rank);
                log($"{job.Name}: rank {rank.Rank} is gone");
                if (!job.Ended.ContainsKey(rank.Rank)) job.Recovery?.Hear(RankText(job, rank.Rank) + "has vanished", failed: true);
                if (job.Epoch is { } machine) Do(job, machine.RankLost(rank.Rank));
            }
            if (job.Ranks.Count == 0 && job.Epoch is null && (job.Ended.Count == 0 || !job.Missing.Any() || job.Recovery is { HasHeard: true })) Over(job); // else ranks of it may be about to register
        }
        _questions.RemoveAll(q => q.Requester == channel);
    }

    /// <summary>Supervisors that have just ended, of which their connections' threads have not told yet: nothing is asked of them. Of an epoch under way those threads tell, in order.</summary>
    private void DropEnded(IEnumerable<CoordinatedJob> jobs)
    {
        foreach (ControlChannel gone in jobs.Where(j => j.Epoch is null).SelectMany(j => j.Ranks.Values).Select(r => r.Channel).Where(c => c.PeerIsGone).ToArray()) Gone(gone);
    }

    private CoordinatedJob? Find(ControlChannel channel, Envelope message)
    {
        if (_jobs.TryGetValue(message.Job, out CoordinatedJob? job))
        {
            DropEnded([job]);
            if (job.Ranks.Count > 0) return job;
        }
        Reply(channel, message.Id, TrecrError.NoSuchJob, $"no job '{message.Job}' runs");
        return null;
    }

    private static bool SendTo(CoordinatedJob job, uint rank, Envelope envelope)
    {
        if (!job.Ranks.TryGetValue(rank, out CoordinatedRank? to)) return false;
        (envelope.Job, envelope.Rank, envelope.Host) = (job.Name, rank, to.Host);
        return to.Channel.Send(envelope);
    }

    private static void Reply(ControlChannel channel, ulong id, TrecrError error, string reason)
        => channel.Send(new Envelope { Id = id, Answer = new Answer { Error = error.Number, Reason = reason } });
}
