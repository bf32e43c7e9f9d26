using System.Globalization;
using System.Text.Json;
using TreCr.Control;
using TreCr.Images;
using TreCr.Store;
using TreCr.Store.Tiers;

namespace TreCr.Cli;

/// <summary>Verbs that look at the store and keep it: list, inspect, verify, diff, gc, du.</summary>
internal static class StoreVerbs
{
    public static SnapshotStore Open(Arguments arguments)
        => SnapshotStore.Open(Installation.Store(arguments), new StoreOptions { Create = false, TrustOtherOwner = arguments.Has("--trust") });

    public static int List(Arguments arguments)
    {
        IReadOnlyList<CheckpointInfo> checkpoints;
        try
        {
            using SnapshotStore store = Open(arguments);
            checkpoints = store.ListCheckpoints();
        }
        catch (StoreException e) when (e.Kind == StoreErrorKind.NotFound && arguments.Value("--store") is null) { checkpoints = []; } // nothing was ever saved
        if (arguments.Operands is [string job]) checkpoints = [.. checkpoints.Where(c => c.Job == job)];
        IReadOnlyList<TierContents> tiers = arguments.Has("--tiers") ? [.. TierSets(arguments, arguments.Operands.FirstOrDefault()).SelectMany(t => t.Contents())] : [];
        if (arguments.Json)
            Output.Json("trecr.list/1", j =>
            {
                if (arguments.Has("--tiers"))
                    j.WriteObjects("tiers", tiers, t =>
                    {
                        j.WriteString("tier", t.Tier);
                        j.WriteString("kind", t.Kind.ToString());
                        j.WriteStrings("checkpoints", t.Checkpoints);
                        if (t.Problem is { } problem) j.WriteString("problem", problem);
                    });
                j.WriteObjects("checkpoints", checkpoints, c =>
                {
                    j.WriteString("checkpoint_id", c.Id);
                    j.WriteString("job", c.Job);
                    j.WriteNumber("epoch", c.Epoch);
                    if (c.Problem is { } problem) j.WriteString("problem", problem.Message);
                    if (c.Manifest is { } m) WriteSummary(j, m);
                });
            });
        else
        {
            List<string[]> rows = [["ID", "CREATED", "SIZE", "STORED", "STOP", "DEVICE", "COMMAND"]];
            foreach (CheckpointInfo c in checkpoints)
                rows.Add(c.Manifest is { } m
                    ? [c.Id, Time(m), Output.Bytes(m.BytesTotal), Output.Bytes(m.BytesStored), $"{m.StopTimeUs / 1000.0:0.0} ms", Device(m), string.Join(' ', m.Command)]
                    : [c.Id, "-", "-", "-", "-", "-", $"{(c.Problem!.Kind == StoreErrorKind.Damaged ? "damaged: " : "")}{c.Problem.Message}"]);
            if (rows.Count > 1) Output.Table(rows); else Output.Note("no checkpoints");
            foreach (TierContents tier in tiers) Output.Line($"tier {tier.Tier}: {(tier.Checkpoints.Count > 0 ? string.Join(' ', tier.Checkpoints) : "nothing")}{(tier.Problem is { } p ? $" ({p})" : "")}");
        }
        return 0;
    }

    /// <summary>A checkpoint of a GPU that cannot restart on the software device: modules of it have no PTX.</summary>
    private static bool IsGpuOnly(JobManifest manifest) => manifest.DeviceKind == "cuda" && manifest.GpuOnlyModules > 0;

    private static string Device(JobManifest manifest) => IsGpuOnly(manifest) ? $"{manifest.DeviceKind} (GPU only)" : manifest.DeviceKind;

    private static string Time(JobManifest manifest)
        => DateTimeOffset.FromUnixTimeMilliseconds((long)manifest.CreatedUnixMs).ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private static void WriteSummary(Utf8JsonWriter j, JobManifest m)
    {
        j.WriteNumber("created_unix_ms", m.CreatedUnixMs);
        j.WriteString("base_checkpoint_id", m.BaseCheckpointId);
        j.WriteNumber("bytes_total", m.BytesTotal);
        j.WriteNumber("bytes_stored", m.BytesStored);
        j.WriteNumber("stop_time_us", m.StopTimeUs);
        j.WriteString("device_kind", m.DeviceKind);
        j.WriteBoolean("gpu_only", IsGpuOnly(m));
        j.WriteNumber("gpu_only_modules", m.GpuOnlyModules);
        j.WriteStrings("gpu_only_reasons", m.GpuOnlyReasons);
        j.WriteBoolean("stopped", m.Stopped);
        j.WriteNumber("user_id", m.UserId);
        j.WriteString("trecr_version", m.TrecrVersion);
        j.WriteString("working_directory", m.WorkingDirectory);
        j.WriteStrings("command", m.Command);
    }

    public static int Inspect(Arguments arguments)
    {
        using SnapshotStore store = Open(arguments);
        JobManifest m = store.FindCheckpoint(arguments.Operands[0]);
        List<(RankManifest Rank, SnapshotReference Reference, SnapshotManifest Snapshot)> snapshots = Snapshots(store, m);
        if (arguments.Json)
        {
            Output.Json("trecr.inspect/1", j =>
            {
                j.WriteString("checkpoint_id", m.CheckpointId);
                j.WriteString("job", m.Job);
                j.WriteNumber("epoch", m.Epoch);
                WriteSummary(j, m);
                j.WriteObjects("snapshots", snapshots, s =>
                {
                    j.WriteNumber("rank", s.Rank.Rank);
                    j.WriteString("host", s.Rank.Host);
                    j.WriteString("role", s.Reference.Role);
                    j.WriteNumber("pid", s.Reference.Pid);
                    j.WriteString("manifest", Convert.ToHexStringLower(s.Reference.ManifestHash.Span));
                    j.WriteNumber("bytes_new", s.Snapshot.BytesNew);
                    j.WriteNumber("bytes_stored", s.Snapshot.BytesStored);
                    j.WriteBoolean("incremental", s.Snapshot.BaseHash.Length > 0);
                    j.WriteObjects("parts", s.Snapshot.Parts, part =>
                    {
                        j.WriteString("name", part.Name);
                        j.WriteNumber("bytes", Frames(part.FrameHashes) * ISnapshotWriter.FrameSizeBytes);
                        j.WriteNumber("bytes_patched", Frames(part.PatchBases) * ISnapshotWriter.FrameSizeBytes);
                    });
                    j.WriteStrings("records", s.Snapshot.Records.Select(r => r.Name));
                });
            });
            return 0;
        }
        Output.Line($"checkpoint   {m.CheckpointId}{(m.Stopped ? " (taken with --stop)" : "")}");
        Output.Line($"created      {Time(m)} by trecr {m.TrecrVersion}, user {m.UserId}");
        Output.Line($"command      {string.Join(' ', m.Command)}");
        Output.Line($"directory    {m.WorkingDirectory}");
        Output.Line($"device       {Device(m)}");
        foreach (string module in m.GpuOnlyReasons) Output.Line($"GPU only     {module}");
        if (m.GpuOnlyModules > m.GpuOnlyReasons.Count) Output.Line($"             and {m.GpuOnlyModules - m.GpuOnlyReasons.Count} modules more");
        Output.Line($"base         {(m.BaseCheckpointId.Length > 0 ? m.BaseCheckpointId : "none (full)")}");
        Output.Line($"stop time    {m.StopTimeUs / 1000.0:0.000} ms");
        Output.Line($"size         {Output.Bytes(m.BytesTotal)}, newly stored {Output.Bytes(m.BytesStored)}");
        List<string[]> rows = [["RANK", "HOST", "ROLE", "PID", "PART", "SIZE", "PATCHED"]];
        foreach ((RankManifest rank, SnapshotReference reference, SnapshotManifest snapshot) in snapshots)
            foreach (PartManifest part in snapshot.Parts)
                rows.Add([$"{rank.Rank}", rank.Host, reference.Role, $"{reference.Pid}", part.Name, Size(Frames(part.FrameHashes)), Size(Frames(part.PatchBases))]);
        Output.Table(rows);
        return 0;
    }

    /// <param name="hashes">16 bytes for each</param>
    private static long Frames(Google.Protobuf.ByteString hashes) => hashes.Length / 16;

    private static string Size(long frames) => Output.Bytes((ulong)frames * ISnapshotWriter.FrameSizeBytes);

    private static List<(RankManifest Rank, SnapshotReference Reference, SnapshotManifest Snapshot)> Snapshots(SnapshotStore store, JobManifest manifest)
    {
        List<(RankManifest, SnapshotReference, SnapshotManifest)> all = [];
        foreach (RankManifest rank in manifest.Ranks)
            foreach (SnapshotReference reference in rank.Snapshots)
            {
                using StoreSnapshotReader snapshot = store.OpenSnapshot(ContentHash.FromBytes(reference.ManifestHash.Span));
                all.Add((rank, reference, snapshot.Manifest));
            }
        return all;
    }

    public static int Verify(Arguments arguments)
    {
        using SnapshotStore store = Open(arguments);
        VerifyReport report = store.Verify(arguments.Operands.FirstOrDefault());
        List<(string Tier, VerifyReport Report)> tiers = arguments.Has("--tiers") ? [.. TierSets(arguments, arguments.Operands.FirstOrDefault()).SelectMany(t => t.Verify(arguments.Operands.FirstOrDefault()))] : [];
        foreach ((string tier, VerifyReport of) in tiers)
        {
            if (!arguments.Json) Output.Line($"tier {tier}: {of.Checkpoints} checkpoints, {of.Frames} frames ({Output.Bytes((ulong)of.Bytes)}): {(of.Problems.Count == 0 ? "all whole" : $"{of.Problems.Count} problems")}");
            report = report with { Problems = [.. report.Problems, .. of.Problems.Select(p => p with { Message = $"tier {tier}: {p.Message}" })] };
        }
        if (arguments.Json)
            Output.Json("trecr.verify/1", j =>
            {
                j.WriteNumbers(("checkpoints", report.Checkpoints), ("frames", report.Frames), ("bytes", report.Bytes));
                j.WriteObjects("problems", report.Problems, p =>
                {
                    j.WriteString("checkpoint_id", p.CheckpointId);
                    j.WriteString("where", p.Where);
                    j.WriteString("kind", p.Kind.ToString());
                    j.WriteString("message", p.Message);
                });
            });
        else Output.Line($"{report.Checkpoints} checkpoints, {report.Frames} frames ({Output.Bytes((ulong)report.Bytes)}): {(report.Problems.Count == 0 ? "all whole" : $"{report.Problems.Count} problems")}");
        if (report.Problems.Count == 0) return 0;
        foreach (VerifyProblem problem in report.Problems.Skip(1)) Output.Note($"finding: {problem.Message}");
        TrecrError error = StoreErrors.For(report.Problems[0].Kind);
        Output.Error(error, $"verify: {report.Problems[0].Message}");
        return error.ExitCode;
    }

    public static int Diff(Arguments arguments)
    {
        using SnapshotStore store = Open(arguments);
        string a = store.FindCheckpoint(arguments.Operands[0]).CheckpointId, b = store.FindCheckpoint(arguments.Operands[1]).CheckpointId;
        IReadOnlyList<PartDifference> differences = store.Diff(a, b);
        if (arguments.Json)
            Output.Json("trecr.diff/1", j =>
            {
                j.WriteString("a", a);
                j.WriteString("b", b);
                j.WriteObjects("differences", differences, d =>
                {
                    j.WriteString("where", d.Where);
                    j.WriteNumbers(("frames_a", d.FramesA), ("frames_b", d.FramesB), ("frames_differ", d.FramesDiffer), ("bytes_differ", d.BytesDiffer));
                });
            });
        else if (differences.Count == 0) Output.Line($"{a} and {b} are the same");
        else
        {
            List<string[]> table = [["WHERE", $"IN {a}", $"IN {b}", "FRAMES DIFFER", "BYTES DIFFER"]];
            table.AddRange(differences.Select(d => (string[])[d.Where, Size(d.FramesA), Size(d.FramesB), $"{d.FramesDiffer}", $"{d.BytesDiffer}"]));
            Output.Table(table);
        }
        return 0;
    }

    public static int Repair(Arguments arguments)
    {
        using SnapshotStore store = Open(arguments);
        RepairReport report = store.Repair();
        List<string> done = RepairTiers(arguments, store, ref report);
        if (arguments.Json)
            Output.Json("trecr.repair/1", j =>
            {
                j.WriteNumbers(("packs", report.Packs), ("rewritten_indexes", report.RewrittenIndexes), ("dropped_objects", report.DroppedObjects), ("recovered_objects", report.RecoveredObjects));
                j.WriteStrings("lost_checkpoints", report.LostCheckpoints);
                j.WriteStrings("tiers", done);
            });
        else
        {
            foreach (string line in done) Output.Line(line);
            Output.Line($"{report.Packs} packs: {report.RewrittenIndexes} indexes made anew, {report.RecoveredObjects} objects found again, {report.DroppedObjects} damaged ones dropped");
            foreach (string id in report.LostCheckpoints) Output.Line($"cannot be restarted: {id}");
        }
        return report.LostCheckpoints.Count == 0 ? 0 : TrecrError.Damaged.ExitCode;
    }

    /// <summary>Sets compute what their lost nodes had, what the store lacks comes from the tiers, and what these lack goes out.</summary>
    private static List<string> RepairTiers(Arguments arguments, SnapshotStore store, ref RepairReport report)
    {
        List<string> done = [];
        HashSet<string> lost = [.. report.LostCheckpoints];
        foreach (TierSet tiers in TierSets(arguments, null))
        {
            foreach ((string tier, string text, bool failed) in tiers.Repair()) done.Add($"tier {tier}: {text}");
            foreach (string id in lost.ToArray())
            {
                try
                {
                    WholeReport whole = tiers.MakeWhole(store, id);
                    lost.Remove(id);
                    done.Add($"{id}: {whole.Frames} frames came from {string.Join(", ", whole.From.Select(f => $"tier {f.Tier}"))}");
                }
                catch (StoreException e) { done.Add($"{id}: {e.Message}"); }
            }
        }
        report = report with { LostCheckpoints = [.. report.LostCheckpoints.Where(lost.Contains)] };
        foreach (string job in JobTiers.Jobs(store.Location))
            if (JobTiers.Find(arguments, store.Location, job) is { } policy)
                foreach (TierFlush flush in FlushVerb.Flush(store, job, policy))
                    if (flush.Copied.Count > 0 || flush.Problem is not null) done.Add($"tier {flush.Tier}: {flush.Problem ?? string.Join(' ', flush.Copied)}");
        return done;
    }

    /// <summary>The tiers of the policy that was given, or of the job; of all jobs where none is named.</summary>
    private static IEnumerable<TierSet> TierSets(Arguments arguments, string? idOrJob)
    {
        string store = Installation.Store(arguments);
        if (JobTiers.Find(arguments, store, idOrJob) is { } policy) return [new TierSet(policy)];
        return idOrJob is null ? JobTiers.Jobs(store).Select(j => JobTiers.Find(arguments, store, j)!).DistinctBy(p => p.Text).Select(p => new TierSet(p)) : [];
    }

    public static int Export(Arguments arguments)
    {
        using SnapshotStore store = Open(arguments);
        string target = arguments.Operands[1], temporary = $"{target}.tmp-{Environment.ProcessId}";
        try
        {
            using (FileStream file = new(temporary, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }))
            {
                store.Export(arguments.Operands[0], file);
                file.Flush(flushToDisk: true);
            }
            File.Move(temporary, target, overwrite: false);
        }
        finally { File.Delete(temporary); }
        if (arguments.Json) Output.Json("trecr.export/1", j => j.WriteString("file", target));
        return 0;
    }

    public static int Import(Arguments arguments)
    {
        using SnapshotStore store = SnapshotStore.Open(Installation.Store(arguments));
        using FileStream file = File.OpenRead(arguments.Operands[0]);
        string id = store.Import(file, arguments.Value("--job"));
        if (arguments.Json) Output.Json("trecr.import/1", j => j.WriteString("checkpoint_id", id));
        else Output.Line(id);
        return 0;
    }

    public static int Gc(Arguments arguments)
    {
        using SnapshotStore store = Open(arguments);
        GcReport report = store.Gc(new GcOptions
        {
            Retention = new() { Last = arguments.Number("--keep", 3, 1), Hourly = arguments.Number("--hourly", 0, 0), Daily = arguments.Number("--daily", 0, 0) },
            Keep = [.. arguments.Values("--keep-id")], DropDamaged = arguments.Has("--drop-damaged"), Wait = TimeSpan.FromSeconds(5),
        });
        IReadOnlyList<string> bundles = Bundles.RemoveUnused(store);
        if (arguments.Json)
            Output.Json("trecr.gc/1", j =>
            {
                j.WriteStrings("removed_checkpoints", report.RemovedCheckpoints);
                j.WriteStrings("removed_bundles", bundles);
                j.WriteNumbers(("removed_packs", report.RemovedPacks), ("rewritten_packs", report.RewrittenPacks), ("freed_bytes", report.FreedBytes));
            });
        else
        {
            foreach (string id in report.RemovedCheckpoints) Output.Line($"removed {id}");
            foreach (string bundle in bundles) Output.Line($"removed bundles/{bundle}");
            Output.Line($"freed {Output.Bytes((ulong)Math.Max(0, report.FreedBytes))}: {report.RemovedPacks} packs removed, {report.RewrittenPacks} rewritten");
        }
        return 0;
    }

    public static int DiskUse(Arguments arguments)
    {
        using SnapshotStore store = Open(arguments);
        StoreUsage usage = store.Du();
        if (arguments.Json)
            Output.Json("trecr.du/1", j =>
            {
                j.WriteString("store", store.Location);
                j.WriteNumbers(("bytes_packs", usage.PackBytes), ("bytes_garbage", usage.GarbageBytes), ("bytes_free", usage.FreeBytes));
                j.WriteObjects("checkpoints", usage.Checkpoints, c =>
                {
                    j.WriteString("checkpoint_id", c.Id);
                    j.WriteNumbers(("bytes_plain", c.PlainBytes), ("bytes_stored", c.StoredBytes), ("bytes_own", c.OwnBytes));
                });
            });
        else
        {
            List<string[]> rows = [["ID", "SIZE", "STORED", "ITS OWN"]];
            rows.AddRange(usage.Checkpoints.Select(c => (string[])[c.Id, Output.Bytes((ulong)c.PlainBytes), Output.Bytes((ulong)c.StoredBytes), Output.Bytes((ulong)c.OwnBytes)]));
            if (rows.Count > 1) Output.Table(rows);
            Output.Line($"{store.Location}: {Output.Bytes((ulong)usage.PackBytes)} in packs, of which {Output.Bytes((ulong)usage.GarbageBytes)} for gc; {Output.Bytes((ulong)usage.FreeBytes)} free");
        }
        return 0;
    }
}
