using TreCr.Images;

namespace TreCr.Store;

// Collection of what no checkpoint needs. The only code that deletes committed data.
public sealed partial class SnapshotStore
{
    /// <summary>
    /// Removes the checkpoints that <see cref="GcOptions.Retention"/> does not keep, and the frames that nothing needs any more. Finished snapshots that wait for their
    /// checkpoint are kept for 24 hours.
    /// </summary>
    /// <exception cref="StoreException">
    /// Busy: a writer or reader is at work here, or an unfinished session of another host is younger than 24 hours; nothing was touched.
    /// Damaged, NewerFormat: a manifest cannot be read, so that nobody knows what it needs; nothing was touched.
    /// </exception>
    /// <remarks>
    /// Order, so that a crash at any point leaves only garbage: manifests go and are durably gone; live objects of rewritten packs are durably
    /// in their new pack; indexes go and are durably gone; packs go.
    /// </remarks>
    public GcReport Gc(GcOptions? options = null)
    {
        options ??= new GcOptions();
        using IDisposable lease = TryLease(exclusive: true, options.Wait)
            ?? throw new StoreException(StoreErrorKind.Busy, $"store {Location}: in use by a checkpoint, a restart or another gc; try again when it has ended");
        Catalog.Refresh();
        List<string> deadSessions = [];
        List<(string Session, SessionFile.State State)> ahead = [];
        List<ContentHash> waiting = ScanSessions(deadSessions, ahead);
        List<string> removed = [];
        HashSet<UInt128> live = Mark(options, waiting, removed);
        foreach (PackIndex pack in Catalog.Packs)
        {
            if (pack.Problem is not { } problem || (options.DropDamaged && problem.Kind == StoreErrorKind.Damaged)) continue;
            if (pack.Pack is null) throw new StoreException(problem.Kind, $"{problem.Message}; gc leaves the store alone (--drop-damaged removes it)", problem);
        }

        long before = PackBytes();
        foreach ((string session, SessionFile.State state) in ahead) SessionFile.Restamp(Files, session, Format.NewSessionId(Options.Time.GetUtcNow()), state, Seal);
        foreach (string id in removed) Files.Delete(StoreDirectory.Checkpoints, id);
        foreach (string name in Files.List(StoreDirectory.Checkpoints))
            if (name.StartsWith(Format.TemporaryPrefix, StringComparison.Ordinal)) Files.Delete(StoreDirectory.Checkpoints, name);
        if (removed.Count > 0) Files.SyncDirectory(StoreDirectory.Checkpoints);
        (List<string> deadPacks, int rewritten) = Sweep(live, options.RewriteBelow);
        DeletePacks(deadPacks);
        RemoveAbandonedFormat();
        foreach (string id in deadSessions) Files.Delete(StoreDirectory.Sessions, id);
        Catalog.Refresh();
        return new GcReport(removed, deadPacks.Count - rewritten, rewritten, before - PackBytes());
    }

    /// <returns>snapshots that wait for their checkpoint</returns>
    /// <param name="dead">filled with names of files that nobody needs</param>
    /// <param name="ahead">filled with those of them whose session began more than 24 hours from now: the clock jumped back</param>
    private List<ContentHash> ScanSessions(List<string> dead, List<(string, SessionFile.State)> ahead)
    {
        List<ContentHash> waiting = [];
        DateTimeOffset now = Options.Time.GetUtcNow();
        foreach (string name in Files.List(StoreDirectory.Sessions))
        {
            bool temporary = name.StartsWith(Format.TemporaryPrefix, StringComparison.Ordinal);
            string id = temporary ? name[Format.TemporaryPrefix.Length..] : name;
            if (!Format.IsSessionId(id)) continue; // not ours
            TimeSpan age = now - Format.TimeOf(id);
            SessionFile.State? state = SessionFile.TryRead(Files, name, Seal);
            if (temporary)
            {
                // With the lock in hand none of this machine is being written; one of another host may be.
                if (state is { ThisMachine: true } || age > TimeSpan.FromMinutes(1)) dead.Add(name);
                continue;
            }
            // Finished is noted just before the pack becomes visible: without its snapshot, a session is one that still runs or was killed there.
            bool whole = state is { Finished: true } s && Catalog.Contains(s.Manifest.Value);
            if (!whole && state is { ThisMachine: false } && age < SessionFile.Lifetime && age > -SessionFile.Lifetime)
                throw new StoreException(StoreErrorKind.Busy, $"store {Location}: session {id} of another host is not finished; gc can run when it is, or 24 hours after its begin");
            if (whole && age < SessionFile.Lifetime)
            {
                waiting.Add(state!.Value.Manifest);
                if (age < -SessionFile.Lifetime) ahead.Add((name, state.Value)); // its 24 hours begin now, or it would be kept until the clock is there again
            }
            else dead.Add(name);
        }
        return waiting;
    }

    /// <returns>hashes of all objects that are needed</returns>
    /// <param name="removed">filled with the ids of the checkpoints to remove</param>
    private HashSet<UInt128> Mark(GcOptions options, List<ContentHash> waiting, List<string> removed)
    {
        HashSet<UInt128> live = [];
        foreach (ContentHash hash in waiting)
        {
            try { MarkSnapshot(hash, live); }
            catch (StoreException e) when (e.Kind == StoreErrorKind.Damaged && options.DropDamaged) { } // its commit will be refused
        }
        foreach (IGrouping<string, CheckpointInfo> job in ListCheckpoints().GroupBy(c => c.Job))
        {
            List<CheckpointInfo> ofJob = [.. job.OrderByDescending(c => c.Epoch)];
            bool all = options.Job is not null && options.Job != job.Key;
            if (options.DropDamaged && !all)
            {
                // What cannot be read counts for nothing.
                foreach (CheckpointInfo bad in ofJob.Where(c => c.Problem is { Kind: StoreErrorKind.Damaged } || !CanMark(c)).ToArray())
                {
                    removed.Add(bad.Id);
                    ofJob.Remove(bad);
                }
            }
            // The time of a checkpoint that cannot be read is nobody's to guess; without times only its number counts.
            if (!all && options.Retention.LooksAtTimes && ofJob.Find(c => c.Problem is not null) is { } unreadable) throw Refused(unreadable.Id, unreadable.Problem!);
            bool[] keep = options.Retention.Keeps([.. ofJob.Select(c => c.Manifest?.CreatedUnixMs ?? 0)]);
            for (int i = 0; i < ofJob.Count; i++)
            {
                CheckpointInfo checkpoint = ofJob[i];
                if (!all && !keep[i] && !options.Keep.Contains(checkpoint.Id))
                {
                    removed.Add(checkpoint.Id);
                    continue;
                }
                try
                {
                    if (checkpoint.Problem is { } problem) throw problem;
                    MarkCheckpoint(checkpoint.Manifest!, live);
                }
                catch (StoreException e) { throw Refused(checkpoint.Id, e); }
            }
        }
        return live;

        bool CanMark(CheckpointInfo checkpoint)
        {
            if (checkpoint.Manifest is null) return true; // newer, or not to be read now: refused where it would be kept
            try
            {
                MarkCheckpoint(checkpoint.Manifest, []);
                return true;
            }
            catch (StoreException e) when (e.Kind == StoreErrorKind.Damaged) { return false; }
        }

        static StoreException Refused(string id, StoreException e)
            => new(e.Kind, $"checkpoint {id}: {e.Message}; gc leaves the store alone" + (e.Kind == StoreErrorKind.Damaged ? " (--drop-damaged removes it)" : ""), e);
    }

    private void MarkCheckpoint(JobManifest manifest, HashSet<UInt128> live)
    {
        foreach (SnapshotReference reference in manifest.Ranks.SelectMany(r => r.Snapshots)) MarkSnapshot(ContentHash.FromBytes(reference.ManifestHash.Span), live);
    }

    /// <summary>What a making of this store that was killed left in the root. One that goes on does not have our lock: only what is older than 24 hours.</summary>
    private void RemoveAbandonedFormat()
    {
        foreach (string name in Files.List(StoreDirectory.Root))
        {
            if (!name.StartsWith(Format.TemporaryPrefix, StringComparison.Ordinal) || !Format.IsSessionId(name.AsSpan(Format.TemporaryPrefix.Length))) continue;
            if ((Options.Time.GetUtcNow() - Format.TimeOf(name[Format.TemporaryPrefix.Length..])).Duration() > SessionFile.Lifetime) Files.Delete(StoreDirectory.Root, name);
        }
    }

    private void MarkSnapshot(ContentHash hash, HashSet<UInt128> live)
    {
        if (!live.Add(hash.Value)) return;
        foreach (UInt128 frame in LoadSnapshot(hash).Objects) live.Add(frame);
    }

    /// <returns>ids of the packs to delete, those rewritten among them</returns>
    private (List<string> Dead, int Rewritten) Sweep(HashSet<UInt128> live, double rewriteBelow)
    {
        List<string> dead = [];
        List<(PackIndex Pack, List<IndexEntry> Live)> thin = [];
        HashSet<string> known = [];
        foreach (PackIndex pack in Catalog.Packs)
        {
            known.Add(pack.SessionId);
            List<IndexEntry> needed = [];
            long liveBytes = 0, allBytes = 0;
            foreach (IndexEntry entry in pack.Entries)
            {
                allBytes += entry.StoredBytes;
                // Of an object that two packs have, only the one that is read counts.
                if (!live.Contains(entry.Hash) || !Catalog.TryFind(entry.Hash, out PackIndex? at, out _) || at != pack) continue;
                needed.Add(entry);
                liveBytes += entry.StoredBytes;
            }
            if (needed.Count == 0) dead.Add(pack.SessionId);
            else if (pack.Problem is null && liveBytes < allBytes * rewriteBelow) thin.Add((pack, needed));
        }
        // Packs of sessions that died before their index was there: with the lock in hand, no session of this machine runs.
        foreach (string name in Files.List(StoreDirectory.Packs))
        {
            string id = name.EndsWith(Format.PackSuffix, StringComparison.Ordinal) ? name[..^Format.PackSuffix.Length] : "";
            if (Format.IsSessionId(id) && known.Add(id)) dead.Add(id);
        }
        int rewritten = Rewrite(thin, dead);
        return (dead, rewritten);
    }

    /// <summary>Copies live objects of thin packs into one new pack. A pack with a damaged object stays as it is.</summary>
    private int Rewrite(List<(PackIndex Pack, List<IndexEntry> Live)> thin, List<string> dead)
    {
        if (thin.Count == 0) return 0;
        using PackWriter writer = new(Files, Format.NewSessionId(Options.Time.GetUtcNow()), Seal);
        int count = 0;
        byte[] scratch = [];
        try
        {
            foreach ((PackIndex pack, List<IndexEntry> objects) in thin)
            {
                bool whole = true;
                foreach (IndexEntry entry in objects)
                {
                    byte[] stored;
                    int plainBytes;
                    try { stored = Catalog.ReadStored(entry.Hash, ref scratch, out plainBytes); }
                    catch (StoreException e) when (e.Kind == StoreErrorKind.Damaged)
                    {
                        whole = false;
                        break;
                    }
                    if (writer.Claim(entry.Hash)) writer.AppendStored(entry.Hash, plainBytes, stored);
                }
                if (!whole) continue;
                dead.Add(pack.SessionId);
                count++;
            }
            writer.Commit();
        }
        catch
        {
            writer.Discard();
            throw;
        }
        return count;
    }

    private void DeletePacks(List<string> ids)
    {
        foreach (string id in ids) Files.Delete(StoreDirectory.Packs, id + Format.IndexSuffix);
        foreach (string name in Files.List(StoreDirectory.Packs))
            if (name.StartsWith(Format.TemporaryPrefix, StringComparison.Ordinal)) Files.Delete(StoreDirectory.Packs, name);
        if (ids.Count == 0) return;
        Files.SyncDirectory(StoreDirectory.Packs); // an index must never outlive its pack
        foreach (string id in ids) Files.Delete(StoreDirectory.Packs, id + Format.PackSuffix);
        Files.SyncDirectory(StoreDirectory.Packs);
    }

    private long PackBytes()
    {
        long sum = 0;
        foreach (string name in Files.List(StoreDirectory.Packs))
        {
            try
            {
                using IStoreFile? file = Files.TryOpen(StoreDirectory.Packs, name);
                sum += file?.LengthBytes ?? 0;
            }
            catch (StoreException e) when (e.Kind == StoreErrorKind.Damaged) { } // of a set of nodes, whose pack was never synced
        }
        return sum;
    }
}
