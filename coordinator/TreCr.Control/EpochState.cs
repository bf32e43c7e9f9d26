namespace TreCr.Control;

/// <summary>Where a checkpoint stands in the coordinator.</summary>
public enum EpochState
{
    /// <summary>Ranks were told to prepare; not all have answered.</summary>
    Preparing,
    /// <summary>All ranks have prepared; the job manifest is being made durable.</summary>
    Committing,
    /// <summary>The checkpoint exists.</summary>
    Committed,
    /// <summary>Given up; the previous checkpoint is the valid one.</summary>
    Aborted,
}
