namespace TreCr.Store;

/// <summary>A finished snapshot.</summary>
/// <param name="ManifestHash">names the snapshot in the store; goes into the job manifest</param>
/// <param name="BytesTotal">plain bytes of all frames that are not zero</param>
/// <param name="BytesNew">plain bytes of the frames stored for the first time</param>
/// <param name="BytesStored">what those took after compression</param>
public readonly record struct SnapshotResult(ContentHash ManifestHash, long BytesTotal, long BytesNew, long BytesStored);
