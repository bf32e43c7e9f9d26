namespace TreCr.Api.Scr;

/// <summary>What is done with a kind of checkpoint: a CKPT line, or the settings in its place (facts/api.md §2.3).</summary>
/// <param name="Number">of the line</param>
/// <param name="Interval">every so many checkpoints; the line with the largest interval that fits is taken</param>
/// <param name="Group">failure group: processes of the same value of it may fail together</param>
/// <param name="Store">base directory of the cache</param>
/// <param name="Bypass">files are written to the prefix directory at once, there is nothing in the cache</param>
/// <param name="SetSize">members of a redundancy set, at least, where there are so many</param>
/// <param name="SetFailures">members that may be lost of a Reed–Solomon set</param>
/// <param name="Output">takes what is output and no checkpoint</param>
public sealed record CopyDescriptor(int Number, int Interval, string Group, string Store, CopyType Type, bool Bypass, int SetSize, int SetFailures, bool Output);
