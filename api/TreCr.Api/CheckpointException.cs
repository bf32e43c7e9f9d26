namespace TreCr.Api;

/// <summary>What was asked for cannot be done; the message names the checkpoint, region or file. Earlier checkpoints are as they were.</summary>
public sealed class CheckpointException(string message, Exception? inner = null) : Exception(message, inner);
