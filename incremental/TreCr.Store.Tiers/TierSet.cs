using TreCr.Images;

namespace TreCr.Store.Tiers;

/// <summary>The tiers of a policy around a store: brings checkpoints out to them, and back.</summary>
/// <remarks>Keeps nothing open and no state: what a tier lacks is found by comparing, so that a flush that was killed goes on where it was.</remarks>
public sealed class TierSet(StorePolicy policy)
{
    /// <summary>Brings every tier what it should have of a job, oldest first: each <see cref="TierPolicy.Every"/>th checkpoint and those of <c>--stop</c>, the last <see cref="TierPolicy.Keep"/> of them.</summary>
    /// <param name="progress">heard on the calling thread</param>
    /// <returns>by tier; one that cannot be reached does not keep the others from theirs</returns>
    /// <exception cref="OperationCanceledException"/>
    public IReadOnlyList<TierFlush> Flush(SnapshotStore local, string job, Action<TierProgress>? progress = null, CancellationToken cancel = default)
        => [.. policy.Tiers.Select(tier => Flush(local, job, tier, progress, cancel))];

    private static TierFlush Flush(SnapshotStore local, string job, TierPolicy policy, Action<TierProgress>? progress, CancellationToken cancel)
    {
        List<string> copied = [];
        long bytes = 0;
        int healed = 0;
        string? problem = null;
        try
        {
            using StorageTier tier = StorageTier.Open(policy, create: true);
            if (tier.Set is { } set && set.IsDegraded()) healed = set.Heal(thorough: false);
            foreach (CheckpointInfo due in Due(local, job, policy))
            {
                if (tier.Store.HasAllOf(due.Manifest!)) continue;
                try
                {
                    FillReport report = tier.Store.Fill(due.Manifest!, [local], new FillOptions
                    {
                        MaxBytesPerSecond = policy.MaxBytesPerSecond, Cancel = cancel, Progress = p => progress?.Invoke(new TierProgress(policy.Name, due.Id, p.Bytes, p.TotalBytes)),
                    });
                    copied.Add(due.Id);
                    bytes += report.Bytes;
                }
                catch (StoreException e) when (e.Kind == StoreErrorKind.Damaged) { problem ??= e.Message; } // the next one may be whole
            }
            Retain(tier.Store, job, policy.Keep);
        }
        catch (StoreException e) { problem ??= e.Message; }
        return new TierFlush(policy.Name, copied, bytes, healed, problem);
    }

    /// <summary>Makes a checkpoint whole in the store, from whatever the tiers have of it: what is missing and what is damaged.</summary>
    /// <param name="idOrJob">of a job: the newest that can be made whole, wherever it is</param>
    /// <exception cref="StoreException">NotFound: neither here nor on a tier. Damaged: nobody has all of it. Busy, NoSpace, IO: the store itself.</exception>
    public WholeReport MakeWhole(SnapshotStore local, string idOrJob)
    {
        List<string> notes = [];
        List<StorageTier> tiers = OpenAll(notes);
        try
        {
            SortedDictionary<ulong, JobManifest> found = [];
            bool isId = SnapshotStore.TryParseId(idOrJob, out _, out _);
            foreach (SnapshotStore store in tiers.Select(t => t.Store).Prepend(local))
            {
                try
                {
                    foreach (CheckpointInfo info in store.ListCheckpoints())
                        if (info.Manifest is { } m && (info.Id == idOrJob || info.Job == idOrJob)) found.TryAdd(isId && info.Id == idOrJob ? ulong.MaxValue : info.Epoch, m);
                }
                catch (StoreException e) when (store != local) { notes.Add(e.Message); }
            }
            if (found.Count == 0) throw new StoreException(StoreErrorKind.NotFound, $"{idOrJob}: no such checkpoint or job in {local.Location}{Asked(tiers)}");
            StoreException? newest = null;
            foreach (JobManifest manifest in found.Values.Reverse())
            {
                try
                {
                    long before = tiers.Sum(t => t.Set?.RebuiltUnits ?? 0);
                    FillReport report = local.Fill(manifest, [.. tiers.Select(t => t.Store)], new FillOptions { Verify = true });
                    return new WholeReport(manifest, report.Objects, [.. tiers.Select((t, i) => (t.Policy.Name, report.ObjectsFrom[i])).Where(f => f.Item2 > 0)],
                        tiers.Sum(t => t.Set?.RebuiltUnits ?? 0) - before, notes);
                }
                catch (StoreException e) when (e.Kind == StoreErrorKind.Damaged && found.Count > 1 && !found.ContainsKey(ulong.MaxValue))
                {
                    newest ??= e;
                    notes.Add($"{manifest.CheckpointId} cannot be made whole: {e.Message}");
                }
            }
            throw newest!;
        }
        finally { Close(tiers); }
    }

    /// <summary>The number of a job's newest checkpoint on the tiers that can be asked; 0: none.</summary>
    public ulong LastEpoch(string job)
    {
        List<StorageTier> tiers = OpenAll([]);
        try { return tiers.Select(t => t.Store.NextEpoch(job) - 1).DefaultIfEmpty(0UL).Max(); }
        finally { Close(tiers); }
    }

    /// <summary>What each tier has.</summary>
    public IReadOnlyList<TierContents> Contents() => [.. policy.Tiers.Select(tier =>
    {
        try
        {
            using StorageTier opened = StorageTier.Open(tier, create: false);
            return new TierContents(tier.Name, tier.Kind, [.. opened.Store.ListCheckpoints().Where(c => c.Manifest is not null).Select(c => c.Id)], opened.Set?.Unreachable.FirstOrDefault());
        }
        catch (StoreException e) { return new TierContents(tier.Name, tier.Kind, [], e.Message); }
    })];

    /// <summary>Verifies the tiers as <see cref="SnapshotStore.Verify"/> does a store; one that cannot be asked, and shards that are lost, count as problems.</summary>
    public IReadOnlyList<(string Tier, VerifyReport Report)> Verify(string? idOrJob) => [.. policy.Tiers.Select(tier => (tier.Name, Verify(tier, idOrJob)))];

    /// <summary>Repairs each tier out of itself: sets compute lost shards, others look for what is whole.</summary>
    /// <returns>by tier: what was done, or why nothing could be</returns>
    public IReadOnlyList<(string Tier, string Done, bool Failed)> Repair() => [.. policy.Tiers.Select(tier =>
    {
        try
        {
            if (tier.Parity > 0)
            {
                using ErasureStoreFiles set = StorageTier.OpenSet(tier, create: true);
                return (tier.Name, $"{set.Heal(thorough: true)} shards computed again", false);
            }
            using StorageTier opened = StorageTier.Open(tier, create: true);
            RepairReport report = opened.Store.Repair();
            return (tier.Name, $"{report.RewrittenIndexes} indexes made anew, {report.DroppedObjects} damaged objects dropped", false);
        }
        catch (StoreException e) { return (tier.Name, e.Message, true); }
    })];

    private static VerifyReport Verify(TierPolicy tier, string? idOrJob)
    {
        try
        {
            using StorageTier opened = StorageTier.Open(tier, create: false);
            VerifyReport report = opened.Store.Verify(idOrJob);
            if (opened.Set is { } set && (set.RebuiltUnits > 0 || set.IsDegraded()))
                report = report with { Problems = [.. report.Problems, new VerifyProblem("", tier.Name, StoreErrorKind.Damaged, $"{set.Location}: shards are lost or damaged ({set.Unreachable.Count} nodes cannot be reached); repair computes them again")] };
            return report;
        }
        catch (StoreException e) when (e.Kind == StoreErrorKind.NotFound) { return new VerifyReport(0, 0, 0, []); } // nothing was brought there yet
        catch (StoreException e) { return new VerifyReport(0, 0, 0, [new VerifyProblem("", tier.Name, e.Kind, e.Message)]); }
    }

    private static bool IsDue(TierPolicy policy, JobManifest checkpoint) => checkpoint.Stopped || checkpoint.Epoch % (ulong)policy.Every == 0;

    /// <summary>What the tier should have, oldest first, of what is still here.</summary>
    private static IEnumerable<CheckpointInfo> Due(SnapshotStore local, string job, TierPolicy policy)
    {
        CheckpointInfo[] due = [.. local.ListCheckpoints().Where(c => c.Job == job && c.Manifest is { } m && IsDue(policy, m)).OrderByDescending(c => c.Epoch)];
        bool[] keep = policy.Keep.Keeps([.. due.Select(c => c.Manifest!.CreatedUnixMs)]);
        return due.Where((_, i) => keep[i]).Reverse();
    }

    /// <summary>Removes what the policy does not keep of this job; those of other jobs are not touched.</summary>
    private static void Retain(SnapshotStore store, string job, Retention keep)
    {
        if (store.ListCheckpoints().Count(c => c.Job == job) <= keep.Last) return;
        try { store.Gc(new GcOptions { Retention = keep, Job = job }); }
        catch (StoreException) { } // in use, or something in it is damaged: it keeps more for now
    }

    private List<StorageTier> OpenAll(List<string> notes)
    {
        List<StorageTier> tiers = [];
        foreach (TierPolicy tier in policy.Tiers)
        {
            try { tiers.Add(StorageTier.Open(tier, create: false)); }
            catch (StoreException e) { notes.Add($"tier {tier.Name} is left out: {e.Message}"); }
        }
        return tiers;
    }

    private static string Asked(List<StorageTier> tiers) => tiers.Count == 0 ? "" : $" and the tiers {string.Join(", ", tiers.Select(t => t.Policy.Name))}";

    private static void Close(List<StorageTier> tiers)
    {
        foreach (StorageTier tier in tiers) tier.Dispose();
    }
}
