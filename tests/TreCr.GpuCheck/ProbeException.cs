namespace TreCr.GpuCheck;

/// <summary>A check ended early; the message goes into the report.</summary>
internal sealed class ProbeException(string message) : Exception(message);
