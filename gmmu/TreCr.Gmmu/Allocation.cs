namespace TreCr.Gmmu;

/// <summary>What an allocation is. Numbers are part of the image format.</summary>
public enum AllocationKind : byte
{
    /// <summary>cuMemAlloc, cuMemAllocPitch, cuMemAllocAsync.</summary>
    Device = 1,

    /// <summary>cuMemHostAlloc.</summary>
    Pinned = 2,

    /// <summary>cuMemAllocManaged: lies in the pinned arena.</summary>
    Managed = 3,

    /// <summary>The back end's own (module globals); not the program's to free.</summary>
    Internal = 4,

    /// <summary>cuMemHostRegister: program memory, known for copies only.</summary>
    Registered = 5,

    /// <summary>Managed variables of a module: the back end's own as Internal, but in the pinned arena.</summary>
    ManagedVariable = 6,

    /// <summary>Another process's, mapped here: that one saves it.</summary>
    Imported = 7,
}

/// <summary>One allocation. Immutable.</summary>
/// <param name="Address">in device and process alike</param>
/// <param name="Bytes">as asked for</param>
/// <param name="BufferId">never reused</param>
/// <param name="Context">virtual handle of the context that it ends with; 0: of none</param>
/// <param name="HostFlags">of cuMemHostAlloc or cuMemHostRegister</param>
public sealed record Allocation(ulong Address, ulong Bytes, AllocationKind Kind, int DeviceOrdinal, ulong BufferId, ulong Context, uint HostFlags)
{
    /// <summary>In the flags of device memory: cuMemAllocAsync gave it.</summary>
    public const uint StreamOrdered = 1u << 31;

    /// <summary>The same: another process gave it.</summary>
    public const uint Foreign = 1u << 30;

    public ulong End => Address + Bytes;

    /// <summary>It lies in the pinned arena: the program reaches it at the same address.</summary>
    public bool IsShared => IsSharedKind(Kind);

    public bool IsManaged => Kind is AllocationKind.Managed or AllocationKind.ManagedVariable;

    /// <summary>The back end's own: not the program's to free, and ended with its module.</summary>
    public bool IsInternal => Kind is AllocationKind.Internal or AllocationKind.ManagedVariable;

    public static bool IsSharedKind(AllocationKind kind) => kind is AllocationKind.Pinned or AllocationKind.Managed or AllocationKind.ManagedVariable;
}
