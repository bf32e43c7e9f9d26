using System.Collections.Concurrent;
using TreCr.Images;

namespace TreCr.Store;

// Verification: every frame of a checkpoint is read and hashed.
public sealed partial class SnapshotStore
{
    /// <summary>Reads every frame of one checkpoint, or of all, and names each part that is damaged.</summary>
    /// <param name="idOrJob">a checkpoint, or a job's newest; null: all checkpoints, and every index</param>
    /// <exception cref="StoreException">NotFound: no such checkpoint. Busy: gc is running. Damage is reported, not thrown.</exception>
    public VerifyReport Verify(string? idOrJob = null)
    {
        using IDisposable lease = Lease();
        Catalog.Refresh();
        List<VerifyProblem> problems = [];
        List<JobManifest> checkpoints = [];
        if (idOrJob is null)
        {
            foreach (CheckpointInfo info in ListCheckpoints())
            {
                if (info.Manifest is { } manifest) checkpoints.Add(manifest);
                else problems.Add(new VerifyProblem(info.Id, "", info.Problem!.Kind, info.Problem.Message));
            }
            foreach (PackIndex pack in Catalog.Packs)
                if (pack.Problem is { } problem) problems.Add(new VerifyProblem("", "", problem.Kind, problem.Message));
        }
        else
        {
            try { checkpoints.Add(FindCheckpoint(idOrJob)); }
            catch (StoreException e) when (e.Kind is StoreErrorKind.Damaged or StoreErrorKind.NewerFormat) { problems.Add(new VerifyProblem(idOrJob, "", e.Kind, e.Message)); }
        }
        ConcurrentDictionary<(UInt128 Frame, UInt128 Patch), string?> verdicts = new(); // null: good
        foreach (JobManifest checkpoint in checkpoints) VerifyCheckpoint(checkpoint, verdicts, problems);
        return new VerifyReport(checkpoints.Count, verdicts.Count, verdicts.Count * (long)Format.FrameSizeBytes, problems);
    }

    private void VerifyCheckpoint(JobManifest checkpoint, ConcurrentDictionary<(UInt128 Frame, UInt128 Patch), string?> verdicts, List<VerifyProblem> problems)
    {
        foreach (RankManifest rank in checkpoint.Ranks)
        {
            foreach (SnapshotReference reference in rank.Snapshots)
            {
                string where = $"rank {rank.Rank}, {reference.Role}";
                SnapshotFrames frames;
                try { frames = LoadSnapshot(ContentHash.FromBytes(reference.ManifestHash.Span)); }
                catch (StoreException e)
                {
                    problems.Add(new VerifyProblem(checkpoint.CheckpointId, where, e.Kind, e.Message));
                    continue;
                }
                foreach ((string name, SnapshotFrames.Part part) in frames.Parts) Check(part.Hashes, part.PatchAt, $"{where}, part {name}");
                foreach ((string name, SnapshotFrames.Record record) in frames.Records) Check(record.Hashes, _ => null, $"{where}, record {name}");
            }
        }

        void Check(UInt128[] hashes, Func<int, FramePatch?> patchAt, string where)
        {
            // In runs, so that one reader and its buffer serve many frames.
            Parallel.ForEach(Partitioner.Create(0, Math.Max(1, hashes.Length), 64), range =>
            {
                FrameReader reader = new(Catalog);
                byte[] buffer = new byte[Format.FrameSizeBytes];
                for (int i = range.Item1; i < Math.Min(range.Item2, hashes.Length); i++)
                    if (hashes[i] != UInt128.Zero && !verdicts.ContainsKey(Key(i))) verdicts[Key(i)] = Judge(reader, hashes[i], patchAt(i), buffer);
            });
            List<string> bad = [.. Enumerable.Range(0, hashes.Length).Where(i => hashes[i] != UInt128.Zero).Select(i => verdicts[Key(i)]).OfType<string>()];
            if (bad.Count == 0) return;
            string more = bad.Count == 1 ? "" : $" (and {bad.Count - 1} more frames of it)";
            problems.Add(new VerifyProblem(checkpoint.CheckpointId, where, StoreErrorKind.Damaged, $"checkpoint {checkpoint.CheckpointId}, {where}: {bad[0]}{more}"));

            (UInt128, UInt128) Key(int i) => (hashes[i], patchAt(i)?.Fingerprint ?? UInt128.Zero);
        }
    }

    /// <returns>null: good; else what is wrong</returns>
    private static string? Judge(FrameReader reader, UInt128 hash, FramePatch? patch, Span<byte> buffer)
    {
        try
        {
            reader.Read(hash, patch, buffer);
            return null;
        }
        catch (StoreException e) { return e.Message; }
    }
}
