using TreCr.Images;

namespace TreCr.Store;

/// <summary>One line of a listing.</summary>
/// <param name="Id">JOB.EPOCH</param>
/// <param name="Manifest">null: see <paramref name="Problem"/></param>
/// <param name="Problem">why the manifest cannot be read</param>
public sealed record CheckpointInfo(string Id, string Job, ulong Epoch, JobManifest? Manifest, StoreException? Problem);
