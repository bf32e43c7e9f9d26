namespace TreCr.Store;

/// <summary>What a verification found.</summary>
/// <param name="Checkpoints">checkpoints looked at</param>
/// <param name="Frames">distinct frames read</param>
/// <param name="Bytes">their plain bytes</param>
/// <param name="Problems">empty: all is well</param>
public sealed record VerifyReport(int Checkpoints, long Frames, long Bytes, IReadOnlyList<VerifyProblem> Problems);

/// <summary>One thing that is damaged or missing.</summary>
/// <param name="CheckpointId">checkpoint it makes unusable; empty: a file that no checkpoint was traced to</param>
/// <param name="Where">rank, role and part; empty: the checkpoint as a whole</param>
/// <param name="Message">one line that names the file or the part</param>
public readonly record struct VerifyProblem(string CheckpointId, string Where, StoreErrorKind Kind, string Message);
