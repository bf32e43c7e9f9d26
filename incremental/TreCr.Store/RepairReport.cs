namespace TreCr.Store;

/// <summary>What a repair found and did.</summary>
/// <param name="Packs">packs looked at</param>
/// <param name="RewrittenIndexes">indexes that were made anew from their pack</param>
/// <param name="DroppedObjects">damaged objects that are no longer offered; the next checkpoint that has such a frame stores it again, which heals older ones too</param>
/// <param name="RecoveredObjects">objects found in packs whose index was damaged</param>
/// <param name="LostCheckpoints">ids of checkpoints that still lack something</param>
public sealed record RepairReport(int Packs, int RewrittenIndexes, long DroppedObjects, long RecoveredObjects, IReadOnlyList<string> LostCheckpoints);
