namespace TreCr.Store;

/// <summary>Whether a checkpoint will fit.</summary>
/// <param name="Fits">false: refuse it beforehand</param><param name="FreeBytes">what the file system has</param><param name="NeededBytes">what was asked for</param>
public readonly record struct SpaceEstimate(bool Fits, long FreeBytes, long NeededBytes);
