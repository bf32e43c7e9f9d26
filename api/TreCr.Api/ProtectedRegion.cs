namespace TreCr.Api;

/// <summary>Memory that belongs to a checkpoint.</summary>
/// <param name="Id">the program's number of it; the same number stands for it at a restart</param>
/// <param name="Address">in <paramref name="Memory"/></param>
/// <param name="Bytes">0 or more</param>
public readonly record struct ProtectedRegion(int Id, nint Address, long Bytes, IRegionMemory Memory, RegionCopy Copy = RegionCopy.Written);
