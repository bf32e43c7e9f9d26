namespace TreCr.Gmmu;

/// <summary>What a snapshot keeps of the GMMU: everything else follows from it. The proto form is in TreCr.Images (delegator.proto).</summary>
/// <param name="Allocations">ascending by address, registrations included</param>
/// <param name="NextBufferId">first id that was never given</param>
/// <param name="CapacityBytes">memory of each device as the program was told</param>
public sealed record GmmuState(IReadOnlyList<Allocation> Allocations, ulong NextBufferId, IReadOnlyList<ulong> CapacityBytes);
