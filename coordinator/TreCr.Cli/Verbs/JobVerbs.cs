using TreCr.Control;
using TreCr.Coordinator;

namespace TreCr.Cli;

/// <summary>Verbs that ask the coordinator about running jobs: checkpoint, status, stop.</summary>
internal static class JobVerbs
{
    /// <summary>How long a job that was stopped may take to put everything away: by stop, and by checkpoint --stop, where the checkpoint exists already.</summary>
    private const int EndedMs = 30_000, StoppedMs = 10_000;

    private const int AnswerMs = 60_000;

    /// <summary>Connects to the coordinator of a job. Where none runs although jobs do, their supervisors start one within a second.</summary>
    /// <param name="job">null: this host's coordinator, or the one that the user names</param>
    public static ControlChannel Connect(RuntimeDirectory directory, string store, string? job)
    {
        CoordinatorClient.TrecrPath = Installation.Trecr;
        for (int attempt = 1; ; attempt++)
        {
            ControlChannel channel = JobCoordinator.Elsewhere(store, job) ?? CoordinatorClient.Connect(directory, start: true);
            try
            {
                if (job is not null) WaitUntilListed(channel, directory, job);
                else Listed(channel, ""); // it answers
                return channel;
            }
            catch (TrecrException e) when (e.Error == TrecrError.CoordinatorLost && attempt < 5) { channel.Dispose(); } // one that was dying took the connection; nothing was asked of it yet
        }
    }

    /// <summary>The coordinator may be new, and the job's supervisor about to register.</summary>
    private static void WaitUntilListed(ControlChannel channel, RuntimeDirectory directory, string job)
    {
        long end = Environment.TickCount64 + 30_000;
        using ManualResetEventSlim never = new();
        while ((JobLock.IsTaken(directory, job) || (!channel.IsLocal && Listed(channel, job))) && Environment.TickCount64 < end && !Listed(channel, job, whole: true)) never.Wait(50);
    }

    public static int Checkpoint(Arguments arguments)
    {
        string job = Job(arguments);
        int deadline = arguments.Number("--deadline", ControlWire.DefaultDeadlineMs / 1000, 1, 1_000_000);
        RuntimeDirectory directory = RuntimeDirectory.Open();
        using ControlChannel channel = Connect(directory, Installation.Store(arguments), job);
        Answer done = CoordinatorClient.Ask(channel, new Envelope { Job = job, CheckpointJob = new CheckpointJob { Stop = arguments.Has("--stop"), DeadlineMs = (uint)deadline * 1000 } }, deadline * 1000 + 30_000).Answer;
        if (arguments.Has("--stop")) AwaitEnd(channel, directory, job, StoppedMs); // so that a restart that comes next finds the name free; what it has still to print may take longer
        if (arguments.Json)
            Output.Json("trecr.checkpoint/1", j =>
            {
                j.WriteString("checkpoint_id", done.CheckpointId);
                j.WriteString("job", job);
                j.WriteNumber("stop_time_us", done.StopTimeUs);
                j.WriteNumber("bytes_total", done.BytesTotal);
                j.WriteNumber("bytes_stored", done.BytesStored);
                j.WriteBoolean("stopped", arguments.Has("--stop"));
            });
        else
        {
            Output.Note($"stop time {done.StopTimeUs / 1000.0:0.0} ms; {Output.Bytes(done.BytesTotal)}, of which {Output.Bytes(done.BytesStored)} newly stored");
            Output.Line(done.CheckpointId);
        }
        return 0;
    }

    public static int Status(Arguments arguments)
    {
        string? job = arguments.Operands.Count > 0 ? Job(arguments) : null;
        Answer answer = AskStatus(Installation.Store(arguments), job);
        if (arguments.Json)
        {
            Output.Json("trecr.status/1", j => j.WriteObjects("jobs", answer.Jobs, status =>
            {
                j.WriteString("job", status.Job);
                j.WriteString("store", status.Store);
                j.WriteNumber("epoch_under_way", status.EpochUnderWay);
                j.WriteNumber("rank_count", status.RankCount);
                j.WriteObjects("ended_ranks", status.EndedRanks, ended =>
                {
                    j.WriteNumber("rank", ended.Rank);
                    j.WriteNumber("exit_code", ended.ExitCode);
                });
                if (FlushState.TryRead(status.Store, status.Job) is { } flush)
                {
                    j.WriteStartObject("flush");
                    flush.WriteTo(j);
                    j.WriteStrings("problems", flush.Problems.Select(p => $"tier {p.Tier}: {p.Problem}"));
                    j.WriteEndObject();
                }
                j.WriteObjects("ranks", status.Ranks, rank =>
                {
                    j.WriteNumber("rank", rank.Rank);
                    j.WriteString("host", rank.Host);
                    j.WriteString("state", rank.Status?.State ?? "unknown");
                    j.WriteNumber("supervisor_pid", rank.Facts.Pid);
                    j.WriteNumber("pid", rank.Facts.ProgramPid);
                    j.WriteNumber("host_pid", rank.Facts.ProgramHostPid);
                    j.WriteNumber("init_pid", rank.Status?.InitPid ?? 0);
                    j.WriteNumber("engine_pid", rank.Status?.EnginePid ?? 0);
                    j.WriteNumber("started_unix_ms", rank.Facts.StartedUnixMs);
                    j.WriteString("last_checkpoint_id", rank.Facts.LastCheckpointId);
                    j.WriteStrings("command", rank.Facts.Command);
                    j.WriteStrings("not_supported", rank.Status?.NotSupported ?? []);
                    j.WriteObjects("sessions", rank.Status?.Sessions ?? [], s =>
                    {
                        j.WriteNumber("pid", s.Pid);
                        j.WriteNumber("delegator_pid", s.DelegatorPid);
                        j.WriteString("device_name", s.DeviceName);
                        j.WriteNumber("device_bytes", s.DeviceBytes);
                    });
                });
            }));
            return 0;
        }
        if (answer.Jobs.Count == 0) { Output.Note("no jobs run"); return 0; }
        bool ranks = answer.Jobs.Any(j => j.RankCount > 1), hosts = answer.Jobs.SelectMany(j => j.Ranks).Select(r => r.Host).Distinct().Count() > 1;
        List<string[]> rows = [["JOB", .. ranks ? ["RANK"] : Array.Empty<string>(), .. hosts ? ["HOST"] : Array.Empty<string>(), "STATE", "PID", "DEVICE", "MEMORY", "LAST CHECKPOINT", "COMMAND"]];
        foreach (JobStatus status in answer.Jobs)
        {
            foreach (EndedRank ended in status.EndedRanks.Where(e => status.Ranks.All(r => r.Rank != e.Rank))) rows.Add([status.Job, $"{ended.Rank}/{status.RankCount}", .. hosts ? [ended.Host] : Array.Empty<string>(), "ended", "-", "-", "-", "-", $"(exit code {ended.ExitCode})"]);
            foreach (RankEntry rank in status.Ranks)
                rows.Add([status.Job, .. ranks ? [$"{rank.Rank}/{status.RankCount}"] : Array.Empty<string>(), .. hosts ? [rank.Host] : Array.Empty<string>(), rank.Status?.State ?? "unknown", $"{rank.Facts.ProgramHostPid}", rank.Status?.DeviceName is { Length: > 0 } d ? d : "-",
                    rank.Status?.Sessions.Count > 0 ? Output.Bytes(rank.Status.DeviceBytes) : "-", rank.Facts.LastCheckpointId is { Length: > 0 } id ? id : "-", string.Join(' ', rank.Facts.Command)]);
        }
        Output.Table(rows);
        foreach (JobStatus status in answer.Jobs)
            if (FlushState.TryRead(status.Store, status.Job) is { } flush) Output.Line(flush.Describe(status.Job));
        foreach (string name in answer.Jobs.SelectMany(j => j.Ranks).SelectMany(r => r.Status?.NotSupported ?? []).Distinct()) Output.Note($"called but not supported: {name}");
        return 0;
    }

    /// <summary>Of one job, or of all that this host's coordinator knows and those on several hosts that have a note in the store.</summary>
    private static Answer AskStatus(string store, string? job)
    {
        RuntimeDirectory directory = RuntimeDirectory.Open();
        Answer answer = Ask(Connect(directory, store, job), job);
        if (job is null && HostConnection.Named is null)
            foreach (string other in CoordinatorNotes.Jobs(store).Where(o => answer.Jobs.All(j => j.Job != o)))
                if (JobCoordinator.Elsewhere(store, other) is { } channel) answer.Jobs.AddRange(Ask(channel, null).Jobs.Where(j => j.Job == other));
        return answer;

        static Answer Ask(ControlChannel channel, string? job)
        {
            using (channel) return CoordinatorClient.Ask(channel, new Envelope { Job = job ?? "", ListJobs = new ListJobs { Details = true } }, AnswerMs).Answer;
        }
    }

    public static int Stop(Arguments arguments)
    {
        string job = Job(arguments);
        int grace = arguments.Number("--grace", 10, 0, 100_000) * 1000;
        RuntimeDirectory directory = RuntimeDirectory.Open();
        using ControlChannel channel = Connect(directory, Installation.Store(arguments), job);
        CoordinatorClient.Ask(channel, new Envelope { Job = job, StopJob = new StopJob { GraceMs = (uint)grace } }, AnswerMs);
        if (!AwaitEnd(channel, directory, job, grace + EndedMs)) throw new TrecrException(TrecrError.Deadline, $"job {job} has not ended {grace + EndedMs} ms after it was told to");
        // The lock goes with the supervisor; the coordinator hears of it a moment later, and the next verb shall not find the job there.
        using ManualResetEventSlim never = new();
        for (long end = Environment.TickCount64 + 10_000; Environment.TickCount64 < end && Listed(channel, job); never.Wait(10)) { }
        if (arguments.Json) Output.Json("trecr.stop/1", j => j.WriteString("job", job));
        return 0;
    }

    /// <summary>Waits until no supervisor has the job's name.</summary>
    /// <returns>false: one has it still</returns>
    private static bool AwaitEnd(ControlChannel channel, RuntimeDirectory directory, string job, int limitMs)
    {
        long end = Environment.TickCount64 + limitMs;
        using ManualResetEventSlim never = new();
        for (; JobLock.IsTaken(directory, job) || (!channel.IsLocal && Listed(channel, job)); never.Wait(20))
            if (Environment.TickCount64 > end) return false;
        return true;
    }

    /// <param name="whole">with all its ranks: those that have ended are known too</param>
    public static bool Listed(ControlChannel channel, string job, bool whole = false)
        => CoordinatorClient.Ask(channel, new Envelope { ListJobs = new ListJobs() }, AnswerMs).Answer.Jobs.Any(j => j.Job == job
            && (!whole || j.Ranks.Select(r => r.Rank).Union(j.EndedRanks.Select(e => e.Rank)).Count() >= j.RankCount));

    /// <exception cref="TrecrException">not the name of a job</exception>
    public static string Job(Arguments arguments)
        => JobName.IsValid(arguments.Operands[0]) ? arguments.Operands[0] : throw new TrecrException(TrecrError.NoSuchJob, $"no job '{arguments.Operands[0]}' runs");
}
