namespace TreCr.Store.Tiers;

/// <summary>A policy cannot be used. The message is one line: file, line, key, what is wrong.</summary>
public sealed class PolicyException(string message) : Exception(message);
