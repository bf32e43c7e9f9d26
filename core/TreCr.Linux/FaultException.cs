namespace TreCr.Linux;

/// <summary>Thrown by <see cref="FaultKind.Exception"/>; of a type that no handler names.</summary>
/// <param name="point">where</param>
public sealed class FaultException(FaultPoint point) : Exception($"fault at {point}");
