namespace TreCr.Replay;

/// <summary>Bytes that a logged call read from the program, kept once however many calls read the same.</summary>
/// <param name="Name">record of the snapshot under which they are saved</param>
public sealed record ModuleImage(string Name, byte[] Bytes);
