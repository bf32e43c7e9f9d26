using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Ring;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda;

/// <summary>Memory pools: each device's own, and those of the program. Memory itself comes from the GMMU; a pool is a name on it, hints, and a sum.</summary>
internal sealed unsafe class PoolState(ulong handle, int device)
{
    private const ulong ReservedStep = 32 << 20;

    public static readonly Lock Gate = new();

    private static readonly Dictionary<ulong, PoolState> Known = [];
    private static readonly ulong[] Current = new ulong[SegmentLayout.MaxDevices];
    private static ulong s_serial = VirtualHandle.FirstSerial;

    private readonly Dictionary<ulong, ulong> _allocations = [];
    private ulong _used, _usedHigh, _reservedHigh;

    public ulong Handle => handle;

    public int Device => device;

    /// <summary>Its memory may go to other processes (1: by file descriptors).</summary>
    public int HandleTypes { get; init; }

    /// <summary>Another process's: nothing can be allocated from it.</summary>
    public bool IsImported { get; init; }

    /// <summary>By what other processes know it.</summary>
    public ShareHandle? Shared { get; set; }

    /// <summary>Peers that may use its memory, and how: CUmemAccess_flags by ordinal.</summary>
    public Dictionary<int, int> Peers { get; } = [];

    /// <summary>Attributes 1 to 4: reuse policies (on at first) and the release threshold.</summary>
    public ulong[] Hints { get; } = [0, 1, 1, 1, 0];

    public static ulong Own(int ordinal) => VirtualHandle.Make(HandleKind.MemoryPool, (ulong)ordinal + 1);

    /// <summary>Null: no such pool now.</summary>
    public static PoolState? Find(ulong handle)
    {
        if (Known.TryGetValue(handle, out PoolState? known)) return known;
        if (VirtualHandle.KindOf(handle) != HandleKind.MemoryPool || VirtualHandle.SerialOf(handle) - 1 >= (ulong)Devices.Count) return null;
        return Known[handle] = new PoolState(handle, (int)VirtualHandle.SerialOf(handle) - 1);
    }

    public static PoolState Make(int ordinal, int handleTypes = 0, bool isImported = false)
    {
        PoolState made = new(VirtualHandle.Make(HandleKind.MemoryPool, s_serial++), ordinal) { HandleTypes = handleTypes, IsImported = isImported };
        Known[made.Handle] = made;
        return made;
    }

    /// <summary>What was allocated lives on until it is freed; a device whose pool this was goes back to its own.</summary>
    public static void Remove(PoolState pool)
    {
        Known.Remove(pool.Handle);
        if (Current[pool.Device] == pool.Handle) Current[pool.Device] = 0;
    }

    /// <summary>The pool of cuMemAllocAsync.</summary>
    public static PoolState CurrentOf(int ordinal) => Find(Current[ordinal] == 0 ? Own(ordinal) : Current[ordinal])!;

    public static void SetCurrent(int ordinal, PoolState pool) => Current[ordinal] = pool.Handle;

    public void Add(ulong address, ulong bytes)
    {
        _allocations[address] = bytes;
        _used += bytes;
        Raise();
    }

    public static void Freed(ulong address)
    {
        foreach (PoolState pool in Known.Values)
            if (pool.Forget(address)) return;
    }

    /// <summary>Attributes 5 reserved, 6 reserved at most, 7 used, 8 used at most; bytes.</summary>
    public ulong Sum(ProgramThread* thread, int attribute)
    {
        // What was freed by cuMemFree, or with its context, is known there only.
        foreach ((ulong address, ulong bytes) in _allocations.ToArray())
        {
            PointerFacts facts;
            if (CudaMemoryCalls.Send_trecrPointerFacts(thread, &facts, new CUdeviceptr(address)) != CUresult.CUDA_SUCCESS || facts.RangeBytes != bytes || facts.RangeStart != address) Forget(address);
        }
        return attribute switch { 5 => Reserved, 6 => _reservedHigh, 7 => _used, _ => _usedHigh };
    }

    /// <summary>High-water marks can be set to 0 only: they begin anew.</summary>
    public void ResetHigh(int attribute)
    {
        if (attribute == 6) _reservedHigh = Reserved;
        else _usedHigh = _used;
    }

    /// <summary>The pool that gave an address, or took it in from another process.</summary>
    public static PoolState? Of(ulong address) => Known.Values.FirstOrDefault(p => p._allocations.ContainsKey(address));

    private bool Forget(ulong address)
    {
        if (!_allocations.Remove(address, out ulong bytes)) return false;
        _used -= bytes;
        return true;
    }

    private ulong Reserved => (_used + ReservedStep - 1) & ~(ReservedStep - 1);

    private void Raise()
    {
        _usedHigh = Math.Max(_usedHigh, _used);
        _reservedHigh = Math.Max(_reservedHigh, Reserved);
    }
}
