using System.Globalization;
using TreCr.Control;
using TreCr.Coordinator;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary><c>trecr rollback</c>: a running job goes on from an earlier checkpoint, in the same terminal or with the same streams.</summary>
internal static class RollbackVerb
{
    public static int Run(Arguments arguments)
    {
        string job = JobVerbs.Job(arguments), store = Installation.Store(arguments);
        int deadlineMs = arguments.Number("--deadline", ControlWire.DefaultDeadlineMs / 1000, 1, 1_000_000) * 1000;
        long end = Environment.TickCount64 + deadlineMs;
        RuntimeDirectory directory = RuntimeDirectory.Open();
        using ControlChannel channel = JobVerbs.Connect(directory, store, job);
        RankEntry before = Find(channel, job) ?? throw new TrecrException(TrecrError.NoSuchJob, $"no job '{job}' runs");
        string checkpoint = Checkpoint(before.Facts.Store, job, arguments.Operands.Count > 1 ? arguments.Operands[1] : null);
        CoordinatorClient.Ask(channel, new Envelope { Job = job, StopJob = new StopJob { RestartId = checkpoint } }, deadlineMs);
        using ManualResetEventSlim never = new();
        for (; ; never.Wait(20))
        {
            if (Find(channel, job) is { } now && now.Facts.StartedUnixMs != before.Facts.StartedUnixMs) break;
            if (!JobLock.IsTaken(directory, job) && ProcessLook.StartTime(before.Facts.Pid) == 0)
                throw new TrecrException(TrecrError.RestoreFailed, $"job {job} could not go on from {checkpoint}: `trecr logs {job}` says why; no checkpoint was lost");
            if (Environment.TickCount64 > end) throw new TrecrException(TrecrError.Deadline, $"job {job} does not run {deadlineMs / 1000} s after it was rolled back to {checkpoint}");
        }
        if (arguments.Json)
            Output.Json("trecr.rollback/1", j =>
            {
                j.WriteString("job", job);
                j.WriteString("checkpoint_id", checkpoint);
            });
        else Output.Line(checkpoint);
        return 0;
    }

    private static RankEntry? Find(ControlChannel channel, string job)
        => CoordinatorClient.Ask(channel, new Envelope { ListJobs = new ListJobs() }, 60_000).Answer.Jobs.FirstOrDefault(j => j.Job == job)?.Ranks.FirstOrDefault();

    /// <param name="name">its id, or just its epoch; null: the newest</param>
    private static string Checkpoint(string store, string job, string? name)
    {
        if (name is not null && ulong.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out ulong epoch)) name = $"{job}.{epoch}";
        if (name is not null && !name.StartsWith(job + ".", StringComparison.Ordinal)) throw new TrecrException(TrecrError.NoSuchCheckpoint, $"{name} is no checkpoint of job {job}");
        using SnapshotStore opened = SnapshotStore.OpenExisting(store);
        string id = opened.FindCheckpoint(name ?? job).CheckpointId;
        // What the program has done since is given up: not for a checkpoint that cannot be restarted.
        if (opened.Verify(id).Problems is { Count: > 0 } problems) throw new TrecrException(TrecrError.Damaged, $"{problems[0].Message}; job {job} runs on");
        return id;
    }
}
