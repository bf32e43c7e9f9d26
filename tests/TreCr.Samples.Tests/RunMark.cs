namespace TreCr.Samples.Tests;

/// <summary>What tells a restarted program from one that was started over.</summary>
/// <param name="Nonce">random bytes drawn at the start</param>
/// <param name="Starts">how often the program began; -1: not counted</param>
/// <param name="Launches">kernels launched so far</param>
public sealed record RunMark(string Nonce, long Starts, long Launches);
