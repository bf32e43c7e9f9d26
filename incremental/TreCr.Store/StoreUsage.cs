namespace TreCr.Store;

/// <summary>Where the bytes of a store are.</summary>
/// <param name="PackBytes">all packs and indexes</param>
/// <param name="GarbageBytes">stored bytes of objects that no checkpoint names</param>
/// <param name="FreeBytes">left on the file system</param>
/// <param name="Checkpoints">by job and epoch; damaged ones are left out</param>
public sealed record StoreUsage(long PackBytes, long GarbageBytes, long FreeBytes, IReadOnlyList<CheckpointUsage> Checkpoints);

/// <summary>What one checkpoint takes.</summary>
/// <param name="PlainBytes">size of its image without zeroes: every frame it lists</param>
/// <param name="StoredBytes">stored bytes of the objects it names, each once</param>
/// <param name="OwnBytes">of those, what no other checkpoint names</param>
public readonly record struct CheckpointUsage(string Id, long PlainBytes, long StoredBytes, long OwnBytes);

/// <summary>How one part differs between two checkpoints.</summary>
/// <param name="Where">rank, role and part</param>
/// <param name="FramesA">frames that are not zero in the first</param><param name="FramesB">in the second</param>
/// <param name="FramesDiffer">frames of 64 KiB with other content</param>
/// <param name="BytesDiffer">bytes with another value</param>
public readonly record struct PartDifference(string Where, long FramesA, long FramesB, long FramesDiffer, long BytesDiffer);
