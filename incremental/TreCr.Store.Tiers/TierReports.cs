using TreCr.Images;

namespace TreCr.Store.Tiers;

/// <summary>How far a flush is.</summary>
/// <param name="Bytes">of this checkpoint, written so far, as stored</param>
public readonly record struct TierProgress(string Tier, string CheckpointId, long Bytes, long TotalBytes);

/// <summary>What a flush did with one tier.</summary>
/// <param name="Copied">checkpoints that were brought there now</param>
/// <param name="Bytes">written, as stored</param>
/// <param name="HealedShards">of a set: shards of lost nodes that were computed again</param>
/// <param name="Problem">why the tier lacks something still; null: it has all it should</param>
public sealed record TierFlush(string Tier, IReadOnlyList<string> Copied, long Bytes, int HealedShards, string? Problem);

/// <summary>How a checkpoint became whole in the store.</summary>
/// <param name="Frames">objects that were missing or damaged here</param>
/// <param name="From">how many came from which tier</param>
/// <param name="ComputedUnits">pieces of sets that were computed because a node was lost or damaged</param>
/// <param name="Notes">tiers that could not be asked, newer checkpoints that cannot be made whole</param>
public sealed record WholeReport(JobManifest Checkpoint, long Frames, IReadOnlyList<(string Tier, long Frames)> From, long ComputedUnits, IReadOnlyList<string> Notes);

/// <summary>What a tier holds.</summary>
/// <param name="Checkpoints">ids</param><param name="Problem">null: it could be asked</param>
public sealed record TierContents(string Tier, TierKind Kind, IReadOnlyList<string> Checkpoints, string? Problem);
