namespace TreCr.Gmmu;

/// <summary>What a snapshot keeps of the GMMU: everything else follows from it. The proto form is in TreCr.Images (delegator.proto).</summary>
/// <param name="Allocations">ascending by address, registrations included</param>
/// <param name="NextBufferId">first id that was never given</param>
/// <param name="CapacityBytes">memory of each device as the program was told</param>
public sealed record GmmuState(IReadOnlyList<Allocation> Allocations, ulong NextBufferId, IReadOnlyList<ulong> CapacityBytes)
{
    public IReadOnlyList<ExportedMemory> Exports { get; init; } = [];

    public IReadOnlyList<ImportedMemory> Imports { get; init; } = [];

    /// <summary>Ascending by address.</summary>
    public IReadOnlyList<MemoryAlias> Aliases { get; init; } = [];

    /// <summary>What of the allocations is saved here: not what other processes save, nor what a place shows of other memory.</summary>
    public IReadOnlyList<Allocation> Saved => Without(Allocations, Aliases);

    internal static IReadOnlyList<Allocation> Without(IEnumerable<Allocation> allocations, IReadOnlyList<MemoryAlias> aliases)
    {
        List<Allocation> saved = [];
        foreach (Allocation a in allocations)
        {
            if (a.Kind == AllocationKind.Imported) continue;
            ulong at = a.Address;
            foreach (MemoryAlias alias in aliases)
            {
                if (alias.Address < at || alias.Address >= a.End) continue;
                if (alias.Address > at) saved.Add(a with { Address = at, Bytes = alias.Address - at });
                at = alias.Address + alias.Bytes;
            }
            if (at == a.Address) saved.Add(a);
            else if (at < a.End) saved.Add(a with { Address = at, Bytes = a.End - at });
        }
        return saved;
    }
}

/// <summary>An allocation that other processes may map.</summary>
/// <param name="IsFreed">its program has freed it, and others still map it</param>
public sealed record ExportedMemory(ulong Address, UInt128 Token, bool IsFreed);

/// <summary>What makes an <see cref="AllocationKind.Imported"/> allocation.</summary>
/// <param name="Start">of the blocks that hold it</param><param name="Opened">how often it was opened, and is still to be closed</param><param name="Who">exports it, for messages</param>
public sealed record ImportedMemory(ulong Address, ulong Start, ulong BlockBytes, UInt128 Token, int Opened, string Who);

/// <summary>A place in an allocation that shows other memory.</summary>
/// <param name="Target">start of an allocation, or of an import's blocks</param>
public sealed record MemoryAlias(ulong Address, ulong Bytes, ulong Target);
