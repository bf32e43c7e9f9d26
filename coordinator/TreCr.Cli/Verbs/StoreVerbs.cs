using System.Globalization;
using System.Text.Json;
using TreCr.Control;
using TreCr.Images;
using TreCr.Store;

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
        if (arguments.Json)
            Output.Json("trecr.list/1", j => j.WriteObjects("checkpoints", checkpoints, c =>
            {
                j.WriteString("checkpoint_id", c.Id);
                j.WriteString("job", c.Job);
                j.WriteNumber("epoch", c.Epoch);
                if (c.Problem is { } problem) j.WriteString("problem", problem.Message);
                if (c.Manifest is { } m) WriteSummary(j, m);
            }));
        else
        {
            List<string[]> rows = [["ID", "CREATED", "SIZE", "STORED", "STOP", "DEVICE", "COMMAND"]];
            foreach (CheckpointInfo c in checkpoints)
                rows.Add(c.Manifest is { } m
                    ? [c.Id, Time(m), Output.Bytes(m.BytesTotal), Output.Bytes(m.BytesStored), $"{m.StopTimeUs / 1000.0:0.0} ms", m.DeviceKind, string.Join(' ', m.Command)]
                    : [c.Id, "-", "-", "-", "-", "-", $"damaged: {c.Problem!.Message}"]);
            if (rows.Count > 1) Output.Table(rows); else Output.Note("no checkpoints");
        }
        return 0;
    }

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
                        j.WriteNumber("bytes", part.FrameIndexDeltas.Count * (long)ISnapshotWriter.FrameSizeBytes);
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
        Output.Line($"device       {m.DeviceKind}");
        Output.Line($"base         {(m.BaseCheckpointId.Length > 0 ? m.BaseCheckpointId : "none (full)")}");
        Output.Line($"stop time    {m.StopTimeUs / 1000.0:0.000} ms");
        Output.Line($"size         {Output.Bytes(m.BytesTotal)}, newly stored {Output.Bytes(m.BytesStored)}");
        List<string[]> rows = [["RANK", "HOST", "ROLE", "PID", "PART", "SIZE"]];
        foreach ((RankManifest rank, SnapshotReference reference, SnapshotManifest snapshot) in snapshots)
            foreach (PartManifest part in snapshot.Parts)
                rows.Add([$"{rank.Rank}", rank.Host, reference.Role, $"{reference.Pid}", part.Name, Size(part.FrameIndexDeltas.Count)]);
        Output.Table(rows);
        return 0;
    }

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
        if (arguments.Json)
            Output.Json("trecr.verify/1", j =>
            {
                j.WriteNumber("checkpoints", report.Checkpoints);
                j.WriteNumber("frames", report.Frames);
                j.WriteNumber("bytes", report.Bytes);
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
        JobManifest a = store.FindCheckpoint(arguments.Operands[0]), b = store.FindCheckpoint(arguments.Operands[1]);
        Dictionary<string, HashSet<UInt128>> left = Frames(store, a), right = Frames(store, b);
        List<(string Part, long Both, long OnlyA, long OnlyB)> rows = [];
        foreach (string part in left.Keys.Union(right.Keys).Order(StringComparer.Ordinal))
        {
            HashSet<UInt128> l = left.GetValueOrDefault(part) ?? [], r = right.GetValueOrDefault(part) ?? [];
            long both = l.Count(r.Contains);
            rows.Add((part, both, l.Count - both, r.Count - both));
        }
        if (arguments.Json)
            Output.Json("trecr.diff/1", j =>
            {
                j.WriteString("a", a.CheckpointId);
                j.WriteString("b", b.CheckpointId);
                j.WriteObjects("parts", rows, row =>
                {
                    j.WriteString("part", row.Part);
                    j.WriteNumber("bytes_both", row.Both * ISnapshotWriter.FrameSizeBytes);
                    j.WriteNumber("bytes_only_a", row.OnlyA * ISnapshotWriter.FrameSizeBytes);
                    j.WriteNumber("bytes_only_b", row.OnlyB * ISnapshotWriter.FrameSizeBytes);
                });
            });
        else
        {
            List<string[]> table = [["PART", "BOTH", $"ONLY {a.CheckpointId}", $"ONLY {b.CheckpointId}"]];
            table.AddRange(rows.Select(r => (string[])[r.Part, Size(r.Both), Size(r.OnlyA), Size(r.OnlyB)]));
            Output.Table(table);
        }
        return 0;
    }

    /// <summary>Distinct frames of each part, by rank, role, pid and part.</summary>
    private static Dictionary<string, HashSet<UInt128>> Frames(SnapshotStore store, JobManifest manifest)
    {
        Dictionary<string, HashSet<UInt128>> found = [];
        foreach ((RankManifest rank, SnapshotReference reference, SnapshotManifest snapshot) in Snapshots(store, manifest))
            foreach (PartManifest part in snapshot.Parts)
            {
                HashSet<UInt128> hashes = [];
                ReadOnlySpan<byte> bytes = part.FrameHashes.Span;
                for (int i = 0; i + 16 <= bytes.Length; i += 16) hashes.Add(System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(bytes[i..]));
                found[$"{rank.Rank}/{reference.Role}/{reference.Pid}/{part.Name}"] = hashes;
            }
        return found;
    }

    public static int Gc(Arguments arguments)
    {
        using SnapshotStore store = Open(arguments);
        GcReport report = store.Gc(new GcOptions
        {
            KeepLast = arguments.Number("--keep", 3, 1), Keep = [.. arguments.Values("--keep-id")], DropDamaged = arguments.Has("--drop-damaged"), Wait = TimeSpan.FromSeconds(5),
        });
        if (arguments.Json)
            Output.Json("trecr.gc/1", j =>
            {
                j.WriteStrings("removed_checkpoints", report.RemovedCheckpoints);
                j.WriteNumber("removed_packs", report.RemovedPacks);
                j.WriteNumber("rewritten_packs", report.RewrittenPacks);
                j.WriteNumber("freed_bytes", report.FreedBytes);
            });
        else
        {
            foreach (string id in report.RemovedCheckpoints) Output.Line($"removed {id}");
            Output.Line($"freed {Output.Bytes((ulong)Math.Max(0, report.FreedBytes))}: {report.RemovedPacks} packs removed, {report.RewrittenPacks} rewritten");
        }
        return 0;
    }

    public static int DiskUse(Arguments arguments)
    {
        using SnapshotStore store = Open(arguments);
        long onDisk = 0;
        foreach (string file in Directory.EnumerateFiles(store.Location, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint }))
        {
            try { onDisk += new FileInfo(file).Length; }
            catch (FileNotFoundException) { } // removed meanwhile
        }
        long free = store.EstimateFits(0).FreeBytes;
        IReadOnlyList<CheckpointInfo> checkpoints = store.ListCheckpoints();
        if (arguments.Json)
            Output.Json("trecr.du/1", j =>
            {
                j.WriteString("store", store.Location);
                j.WriteNumber("bytes_on_disk", onDisk);
                j.WriteNumber("bytes_free", free);
                j.WriteObjects("checkpoints", checkpoints, c =>
                {
                    j.WriteString("checkpoint_id", c.Id);
                    j.WriteNumber("bytes_total", c.Manifest?.BytesTotal ?? 0);
                    j.WriteNumber("bytes_stored", c.Manifest?.BytesStored ?? 0);
                });
            });
        else
        {
            List<string[]> rows = [["ID", "SIZE", "NEWLY STORED"]];
            rows.AddRange(checkpoints.Select(c => (string[])[c.Id, Output.Bytes(c.Manifest?.BytesTotal ?? 0), Output.Bytes(c.Manifest?.BytesStored ?? 0)]));
            if (rows.Count > 1) Output.Table(rows);
            Output.Line($"{store.Location}: {Output.Bytes((ulong)onDisk)} on disk, {Output.Bytes((ulong)free)} free");
        }
        return 0;
    }
}
