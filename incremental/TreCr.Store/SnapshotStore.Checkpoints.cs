using System.Buffers.Binary;
using System.Text;
using Google.Protobuf;
using TreCr.Images;
using TreCr.XxHash;

namespace TreCr.Store;

// Checkpoints: the job manifests, each a file named JOB.EPOCH.
public sealed partial class SnapshotStore
{
    private const int JobHeaderBytes = 16; // magic, version, length; the body and the hash of all of it follow

    /// <summary>Makes a checkpoint exist: checks that every snapshot it names and every frame of those is in the store, then writes the job manifest durably and atomically.</summary>
    /// <param name="manifest">format version, id, job, epoch and owner are checked or filled in</param>
    /// <returns>the checkpoint's id, JOB.EPOCH</returns>
    /// <exception cref="StoreException">Damaged, NotFound: something it names is not there. Busy: the id exists. NoSpace, IO: the previous checkpoint stays the newest.</exception>
    public string CommitCheckpoint(JobManifest manifest) => Commit(manifest, keepUser: false);

    private string Commit(JobManifest manifest, bool keepUser, bool replace = false)
    {
        if (!PartName.IsValidJob(manifest.Job)) throw new ArgumentException($"job name {manifest.Job}: 1 to 64 characters of [A-Za-z0-9._-], the first no dot or minus", nameof(manifest));
        if (manifest.Epoch == 0) throw new ArgumentException("epochs begin with 1", nameof(manifest));
        manifest = manifest.Clone();
        manifest.CheckpointId = $"{manifest.Job}.{manifest.Epoch}";
        if (!keepUser) manifest.UserId = Linux.Sys.EffectiveUserId();
        if (manifest.CreatedUnixMs == 0) manifest.CreatedUnixMs = (ulong)Options.Time.GetUtcNow().ToUnixTimeMilliseconds();
        using IDisposable lease = Lease();
        Catalog.Refresh();
        List<ContentHash> taken = [];
        bool patched = false;
        foreach (RankManifest rank in manifest.Ranks)
        {
            foreach (SnapshotReference reference in rank.Snapshots)
            {
                ContentHash hash = ContentHash.FromBytes(reference.ManifestHash.Span);
                try
                {
                    SnapshotFrames frames = LoadSnapshot(hash);
                    patched |= frames.IsPatched;
                    foreach (UInt128 needed in frames.Objects)
                        if (!Catalog.Contains(needed)) throw Catalog.Missing(needed);
                }
                catch (StoreException e)
                {
                    throw new StoreException(e.Kind, $"checkpoint {manifest.CheckpointId}, rank {rank.Rank}, {reference.Role}: {e.Message}", e);
                }
                taken.Add(hash);
            }
        }
        manifest.FormatVersion = Seal.ManifestVersion(patched);
        byte[] body = SealManifest(manifest, manifest.CheckpointId);
        byte[] bytes = new byte[JobHeaderBytes + body.Length + Format.HashBytes];
        Format.JobMagic.CopyTo(bytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), manifest.FormatVersion);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12), body.Length);
        body.CopyTo(bytes.AsSpan(JobHeaderBytes));
        XxHash128.Hash(bytes.AsSpan(0, bytes.Length - Format.HashBytes), bytes.AsSpan(bytes.Length - Format.HashBytes));
        StoreBytes.WriteDurably(Files, StoreDirectory.Checkpoints, manifest.CheckpointId, bytes, replace, Linux.FaultPoint.ManifestRename);
        ForgetSessions(taken);
        return manifest.CheckpointId;
    }

    /// <summary>All checkpoints, by job and epoch; a damaged one is listed with its problem.</summary>
    public IReadOnlyList<CheckpointInfo> ListCheckpoints()
    {
        List<CheckpointInfo> found = [];
        foreach (string name in Files.List(StoreDirectory.Checkpoints))
        {
            if (!TryParseId(name, out string job, out ulong epoch)) continue;
            try { found.Add(new CheckpointInfo(name, job, epoch, Inspect(name), null)); }
            catch (StoreException e) when (e.Kind == StoreErrorKind.NotFound) { } // removed meanwhile
            catch (StoreException e) { found.Add(new CheckpointInfo(name, job, epoch, null, e)); }
        }
        found.Sort((a, b) => string.CompareOrdinal(a.Job, b.Job) is var c and not 0 ? c : a.Epoch.CompareTo(b.Epoch));
        return found;
    }

    /// <summary>Finds a checkpoint by its id, or the newest of a job.</summary>
    /// <exception cref="StoreException">NotFound. Damaged, NewerFormat: found, but not readable.</exception>
    public JobManifest FindCheckpoint(string idOrJob)
    {
        IReadOnlyList<string> names = Files.List(StoreDirectory.Checkpoints);
        if (TryParseId(idOrJob, out _, out _) && names.Contains(idOrJob)) return Inspect(idOrJob);
        List<(ulong Epoch, string Id)> ofJob = [];
        foreach (string name in names)
            if (TryParseId(name, out string job, out ulong epoch) && job == idOrJob) ofJob.Add((epoch, name));
        if (ofJob.Count == 0) throw new StoreException(StoreErrorKind.NotFound, $"{idOrJob}: no such checkpoint or job in {Location}");
        ofJob.Sort();
        try { return Inspect(ofJob[^1].Id); }
        catch (StoreException e) when (ofJob.Count > 1) { throw new StoreException(e.Kind, $"{e.Message}; the checkpoint before it is {ofJob[^2].Id}", e); }
    }

    /// <summary>Adds up the sizes that the snapshots of a checkpoint note about themselves.</summary>
    /// <exception cref="StoreException">Damaged, NewerFormat; Busy: gc is running.</exception>
    public CheckpointSizes SizesOf(JobManifest checkpoint)
    {
        using IDisposable lease = Lease();
        Catalog.Refresh();
        long plain = 0, fresh = 0, stored = 0;
        foreach (SnapshotReference reference in checkpoint.Ranks.SelectMany(r => r.Snapshots))
        {
            SnapshotFrames frames = LoadSnapshot(ContentHash.FromBytes(reference.ManifestHash.Span));
            plain += frames.FrameCount * Format.FrameSizeBytes;
            fresh += (long)frames.Manifest.BytesNew;
            stored += (long)frames.Manifest.BytesStored;
        }
        return new CheckpointSizes(plain, fresh, stored);
    }

    /// <summary>Reads the job manifest of a checkpoint.</summary>
    /// <param name="id">JOB.EPOCH</param>
    /// <exception cref="StoreException">NotFound, Damaged, NewerFormat, OtherOwner, IO.</exception>
    public JobManifest Inspect(string id)
    {
        string path = $"{Location}/checkpoints/{id}";
        if (!TryParseId(id, out string job, out ulong epoch)) throw new StoreException(StoreErrorKind.NotFound, $"{id}: not the id of a checkpoint (JOB.EPOCH)");
        byte[] bytes = StoreBytes.ReadAll(Files, StoreDirectory.Checkpoints, id, path);
        if (bytes.Length < JobHeaderBytes + Format.HashBytes || !bytes.AsSpan(0, 8).SequenceEqual(Format.JobMagic))
            throw new StoreException(StoreErrorKind.Damaged, $"{path}: not a job manifest");
        if (BinaryPrimitives.ReadUInt128BigEndian(bytes.AsSpan(bytes.Length - Format.HashBytes)) != XxHash128.HashToUInt128(bytes.AsSpan(0, bytes.Length - Format.HashBytes)))
            throw new StoreException(StoreErrorKind.Damaged, $"{path}: its bytes do not have the hash at its end");
        Format.CheckVersion(BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(8)), path);
        ReadOnlySpan<byte> body = bytes.AsSpan(JobHeaderBytes, bytes.Length - JobHeaderBytes - Format.HashBytes);
        uint version = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(8));
        if (version != Seal.ManifestVersion(patched: false) && version != Seal.ManifestVersion(patched: true)) throw new StoreException(StoreErrorKind.Damaged, $"{path}: of a store {(Seal.KeyId == 0 ? "with" : "without")} a key");
        if (BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(12)) != body.Length) throw new StoreException(StoreErrorKind.Damaged, $"{path}: says another length");
        JobManifest manifest;
        try { manifest = JobManifest.Parser.ParseFrom(OpenManifest(body, id, path)); }
        catch (InvalidProtocolBufferException e) { throw new StoreException(StoreErrorKind.Damaged, $"{path}: not a job manifest ({e.Message})", e); }
        Format.CheckVersion(manifest.FormatVersion, path);
        if (manifest.Job != job || manifest.Epoch != epoch || manifest.CheckpointId != id) throw new StoreException(StoreErrorKind.Damaged, $"{path}: says it is {manifest.CheckpointId}");
        return manifest;
    }

    /// <summary>The bytes of a job manifest, encrypted where the store is.</summary>
    /// <param name="id">what it is bound to: it cannot be taken for another's</param>
    private byte[] SealManifest(JobManifest manifest, string id)
    {
        int length = manifest.CalculateSize();
        byte[] bytes = new byte[length + Seal.OverheadBytes];
        manifest.WriteTo(bytes.AsSpan(Seal.HeadBytes, length));
        new StoreSeal.Writer(Seal).Close(Seal.Name(Encoding.UTF8.GetBytes(id)), length, bytes, length);
        return bytes;
    }

    /// <exception cref="StoreException">Damaged</exception>
    private ReadOnlySpan<byte> OpenManifest(ReadOnlySpan<byte> bytes, string id, string path)
    {
        if (!Seal.Encrypts) return bytes;
        byte[] plain = new byte[Math.Max(0, bytes.Length - Seal.OverheadBytes)];
        return bytes.Length > Seal.OverheadBytes && Seal.TryOpen(Seal.Name(Encoding.UTF8.GetBytes(id)), plain.Length, bytes, plain) ? plain
            : throw new StoreException(StoreErrorKind.Damaged, $"{path}: is not what was encrypted under this name");
    }

    /// <summary>The number that a job's next checkpoint gets: one above the highest in the store.</summary>
    public ulong NextEpoch(string job)
    {
        ulong highest = 0;
        foreach (string name in Files.List(StoreDirectory.Checkpoints))
            if (TryParseId(name, out string j, out ulong epoch) && j == job) highest = Math.Max(highest, epoch);
        return highest + 1;
    }

    /// <summary>Splits JOB.EPOCH at the last dot.</summary>
    /// <returns>false: not an id</returns>
    public static bool TryParseId(string id, out string job, out ulong epoch)
    {
        int dot = id.LastIndexOf('.');
        job = dot > 0 ? id[..dot] : "";
        epoch = 0;
        return dot > 0 && dot < id.Length - 1 && PartName.IsValidJob(job) && id[dot + 1] != '0' && !id.AsSpan(dot + 1).ContainsAnyExceptInRange('0', '9') && ulong.TryParse(id.AsSpan(dot + 1), out epoch);
    }

    private void ForgetSessions(IReadOnlyCollection<ContentHash> manifests)
    {
        foreach (string name in Files.List(StoreDirectory.Sessions))
        {
            if (!Format.IsSessionId(name)) continue;
            if (SessionFile.TryRead(Files, name, Seal) is { Finished: true } state && manifests.Contains(state.Manifest)) Files.Delete(StoreDirectory.Sessions, name);
        }
    }
}
