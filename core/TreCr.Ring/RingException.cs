namespace TreCr.Ring;

/// <summary>The program wrote something into the segment that no wrapper writes; the session cannot go on.</summary>
/// <param name="message">channel and what is wrong</param>
public sealed class RingException(string message) : Exception(message);
