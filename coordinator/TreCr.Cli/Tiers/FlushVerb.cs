using TreCr.Control;
using TreCr.Linux;
using TreCr.Store;
using TreCr.Store.Tiers;

namespace TreCr.Cli;

/// <summary><c>trecr flush</c>: brings the tiers what they should have of a job. The supervisor starts it after each checkpoint, in a session of its own, so that it outlives the job.</summary>
internal static class FlushVerb
{
    private const int WaitMs = 600_000, WriteEveryMs = 200, Nice = 10;

    public static int Run(Arguments arguments)
    {
        string path = Installation.Store(arguments);
        IReadOnlyList<string> jobs = arguments.Operands.Count > 0 ? [JobVerbs.Job(arguments)] : JobTiers.Jobs(path);
        Sys.SetThreadNice(Nice); // the program goes first
        using SnapshotStore store = StoreVerbs.Open(arguments);
        List<(string Job, TierFlush Flush)> all = [];
        foreach (string job in jobs)
        {
            StorePolicy policy = JobTiers.Find(arguments, path, job)
                ?? throw new TrecrException(TrecrError.PolicyBad, $"job {job} has no policy: neither --policy nor {JobTiers.Variable} is given, and there is no {JobTiers.PolicyPath(path, job)}");
            all.AddRange(Flush(store, job, policy).Select(f => (job, f)));
        }
        if (arguments.Json)
            Output.Json("trecr.flush/1", j => j.WriteObjects("tiers", all, f =>
            {
                j.WriteString("job", f.Job);
                j.WriteString("tier", f.Flush.Tier);
                j.WriteStrings("copied", f.Flush.Copied);
                j.WriteNumbers(("bytes", f.Flush.Bytes), ("healed_shards", f.Flush.HealedShards));
                if (f.Flush.Problem is { } problem) j.WriteString("problem", problem);
            }));
        else
            foreach ((string job, TierFlush flush) in all)
            {
                if (flush.HealedShards > 0) Output.Line($"{job}: tier {flush.Tier}: {flush.HealedShards} shards of lost nodes computed again");
                Output.Line($"{job}: tier {flush.Tier}: {(flush.Copied.Count > 0 ? $"{string.Join(' ', flush.Copied)} ({Output.Bytes((ulong)flush.Bytes)})" : "nothing new")}");
            }
        if (all.FirstOrDefault(f => f.Flush.Problem is not null) is not { Flush: not null } failed) return 0;
        Output.Error(TrecrError.TierBehind, $"job {failed.Job}: tier {failed.Flush.Tier}: {failed.Flush.Problem}", [.. all.Where(f => f.Flush.Problem is not null && f != failed).Select(f => $"job {f.Job}: tier {f.Flush.Tier}: {f.Flush.Problem}")]);
        return TrecrError.TierBehind.ExitCode;
    }

    /// <summary>Flushes one job, alone, and keeps its progress in the store.</summary>
    public static IReadOnlyList<TierFlush> Flush(SnapshotStore store, string job, StorePolicy policy)
    {
        using IDisposable alone = JobTiers.TryLock(store.Location, job, WaitMs) ?? throw new TrecrException(TrecrError.StoreBusy, $"job {job} is being flushed by another process");
        long told = 0;
        Tell(new FlushState(true, "", "", 0, 0, []));
        IReadOnlyList<TierFlush> flushed = new TierSet(policy).Flush(store, job, p =>
        {
            if (Environment.TickCount64 - told < WriteEveryMs && p.Bytes < p.TotalBytes) return;
            told = Environment.TickCount64;
            Tell(new FlushState(true, p.Tier, p.CheckpointId, p.Bytes, p.TotalBytes, []));
        });
        Tell(new FlushState(false, "", "", flushed.Sum(f => f.Bytes), flushed.Sum(f => f.Bytes), [.. flushed.Where(f => f.Problem is not null).Select(f => (f.Tier, f.Problem!))]));
        return flushed;

        void Tell(FlushState state)
        {
            try { FlushState.Write(store.Location, job, state); }
            catch (IOException) { } // a full disk: the copy itself goes elsewhere
        }
    }
}
