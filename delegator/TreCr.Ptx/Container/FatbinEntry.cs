namespace TreCr.Ptx.Container;

/// <summary>What a fat binary entry holds; other numbers exist and are skipped.</summary>
public enum FatbinKind { Ptx = 1, Elf = 2 }

/// <summary>One entry of a fat binary.</summary>
/// <param name="Sm">compute capability times ten, e.g. 90</param>
/// <param name="ArchSpecific">built for one architecture ("a" or "f" suffix); PTX of this kind runs nowhere else</param>
/// <param name="PayloadOffset">from the start of the bytes given to <see cref="Fatbin.Entries"/></param>
public readonly record struct FatbinEntry(FatbinKind Kind, int Sm, bool ArchSpecific, long PayloadOffset, long PayloadBytes, long ExpandedBytes, FatbinCompression Compression);

public enum FatbinCompression { None, Lz4, Zstd }
