namespace TreCr.Store;

/// <summary>Sizes of one checkpoint, all its snapshots together.</summary>
/// <param name="PlainBytes">the image without zeroes</param>
/// <param name="NewBytes">plain bytes of the frames that no earlier snapshot in the store had</param>
/// <param name="StoredBytes">what those took in the store when it was written</param>
public readonly record struct CheckpointSizes(long PlainBytes, long NewBytes, long StoredBytes);
