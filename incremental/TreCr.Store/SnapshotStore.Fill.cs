using TreCr.Images;

namespace TreCr.Store;

// A checkpoint brought from other stores: what is missing here is looked up there, object by object. Copies between tiers go this way in both directions.
public sealed partial class SnapshotStore
{
    /// <summary>
    /// Makes a checkpoint whole in this store: brings what it names and this store lacks, each object from the first source that has it undamaged, then writes the job manifest durably and
    /// atomically. What was brought stays when the fill fails, is cancelled or killed, and the next one goes on from there (until gc runs).
    /// </summary>
    /// <param name="checkpoint">as <see cref="Inspect"/> of one of the sources (or of this store) gave it</param>
    /// <param name="sources">nearest first; none: only looks whether this store has all</param>
    /// <exception cref="StoreException">
    /// Damaged: something is damaged or missing in this store and in every source; the checkpoint does not exist here then. Busy: gc is running here or there, or another checkpoint has the id.
    /// NoSpace, IO.
    /// </exception>
    /// <exception cref="OperationCanceledException">cancelled by the options</exception>
    public FillReport Fill(JobManifest checkpoint, IReadOnlyList<SnapshotStore> sources, FillOptions? options = null)
    {
        options ??= new FillOptions();
        List<IDisposable> leases = [];
        try
        {
            leases.Add(Lease());
            Catalog.Refresh();
            foreach (SnapshotStore source in sources)
            {
                if (!source.Seal.IsAs(Seal)) throw new StoreException(StoreErrorKind.WrongKey, $"store {Location} and {source.Location} are not encrypted alike: nothing can be copied from one to the other");
                leases.Add(source.Lease());
                source.Catalog.Refresh();
            }
            bool committed = IsCommitted(checkpoint, out bool replace);
            using StoreFill fill = new(this, checkpoint, sources, options);
            FillReport report = fill.Run();
            if (!committed) Commit(checkpoint, keepUser: true, replace);
            fill.End();
            return report;
        }
        finally
        {
            foreach (IDisposable lease in leases) lease.Dispose();
        }
    }

    /// <summary>Whether every frame of a checkpoint is listed here; none is read.</summary>
    /// <exception cref="StoreException">Busy: gc is running. IO.</exception>
    public bool HasAllOf(JobManifest checkpoint)
    {
        using IDisposable lease = Lease();
        Catalog.Refresh();
        try
        {
            if (!IsCommitted(checkpoint, out _)) return false;
            foreach (SnapshotReference reference in checkpoint.Ranks.SelectMany(r => r.Snapshots))
                foreach (UInt128 frame in LoadSnapshot(ContentHash.FromBytes(reference.ManifestHash.Span)).Objects)
                    if (!Catalog.Contains(frame)) return false;
            return true;
        }
        catch (StoreException e) when (e.Kind == StoreErrorKind.Damaged) { return false; }
    }

    /// <param name="damaged">true: the manifest that is there cannot be read</param>
    /// <exception cref="StoreException">Busy: the id belongs to another checkpoint</exception>
    private bool IsCommitted(JobManifest checkpoint, out bool damaged)
    {
        damaged = false;
        if (!Files.List(StoreDirectory.Checkpoints).Contains(checkpoint.CheckpointId)) return false;
        try
        {
            JobManifest present = Inspect(checkpoint.CheckpointId);
            if (present.CreatedUnixMs == checkpoint.CreatedUnixMs
                && present.Ranks.SelectMany(r => r.Snapshots).Select(s => s.ManifestHash).SequenceEqual(checkpoint.Ranks.SelectMany(r => r.Snapshots).Select(s => s.ManifestHash)))
                return true;
            throw new StoreException(StoreErrorKind.Busy, $"store {Location}: has another checkpoint {checkpoint.CheckpointId}, of {DateTimeOffset.FromUnixTimeMilliseconds((long)present.CreatedUnixMs):yyyy-MM-dd HH:mm:ss'Z'}");
        }
        catch (StoreException e) when (e.Kind == StoreErrorKind.Damaged)
        {
            damaged = true;
            return false;
        }
        catch (StoreException e) when (e.Kind == StoreErrorKind.NotFound) { return false; }
    }
}
