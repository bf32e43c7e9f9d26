using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;

namespace TreCr.Gmmu;

/// <summary>
/// Decides every address (design.md §5): one arena per device ordinal in its 1 TiB slot, one for pinned and managed memory. Any thread.
/// </summary>
/// <remarks>Lock order: this lock, then whatever the back end takes; the back end may call <see cref="IDeviceAllocator"/> without holding locks that its other calls need.</remarks>
public sealed unsafe partial class DeviceMemory : IDeviceAllocator, IDisposable
{
    /// <summary>Device memory is mapped in blocks of so many bytes, at multiples of it.</summary>
    public const ulong BlockBytes = Arena.BlockBytes;

    private readonly Lock _lock = new();
    private readonly ICudaBackend _backend;
    private readonly AllocationTable _allocations = new();
    private readonly AllocationTable _registered = new();
    private readonly List<Allocation> _collected = [];
    private StreamOrderedFrees _freed;
    private Arena[] _devices = [];
    private Arena? _pinned;
    private (ulong Address, ulong Bytes)[] _reservations = [];
    private ulong _nextBufferId = 1;

    public DeviceMemory(ICudaBackend backend)
    {
        _backend = backend;
        _freed = new StreamOrderedFrees(backend);
    }

    /// <summary>Called, with the lock held, after pinned memory that nobody uses was given back to the system: address, bytes. It reads as zero then, without having been written.</summary>
    public Action<ulong, ulong>? OnPinnedDiscarded { get; set; }

    /// <summary>Devices that have an arena.</summary>
    public int DeviceCount => _devices.Length;

    /// <summary>Reserves each device's slot and compares the address got with the one asked for. Once, right after cuInit.</summary>
    /// <param name="baseAddress">address of slot 0</param><param name="slotBytes">bytes of a slot</param>
    /// <param name="capacityBytes">memory of each device; what may be allocated</param>
    /// <param name="pinnedAddress">pinned arena, mapped in this process already</param>
    /// <param name="error">why it failed: slot and address</param>
    public CUresult Reserve(ulong baseAddress, ulong slotBytes, IReadOnlyList<ulong> capacityBytes, ulong pinnedAddress, ulong pinnedBytes, out string? error)
    {
        error = null;
        _devices = new Arena[capacityBytes.Count];
        _reservations = new (ulong, ulong)[capacityBytes.Count];
        _importSlots = new FreeRanges[capacityBytes.Count];
        for (int i = 0; i < capacityBytes.Count; i++)
        {
            ulong wanted = baseAddress + (ulong)i * slotBytes;
            CUdeviceptr got;
            CUresult result = _backend.cuMemAddressReserve(&got, (nuint)slotBytes, (nuint)Arena.BlockBytes, new CUdeviceptr(wanted), 0);
            if (result != CUresult.CUDA_SUCCESS || got.Value != wanted)
            {
                if (result == CUresult.CUDA_SUCCESS)
                {
                    _backend.cuMemAddressFree(got, (nuint)slotBytes);
                    result = CUresult.CUDA_ERROR_OUT_OF_MEMORY;
                }
                error = $"the addresses of device {i} (0x{wanted:x}, 0x{slotBytes:x} bytes) are not free in this process: {result}, got 0x{got.Value:x}";
                Dispose();
                return result;
            }
            _reservations[i] = (wanted, slotBytes);
            _devices[i] = new Arena(wanted, slotBytes - ImportBytes, new DeviceBlocks(_backend, i), capacityBytes[i]);
            _importSlots[i] = new FreeRanges(wanted + slotBytes - ImportBytes, ImportBytes);
        }
        _pinned = new Arena(pinnedAddress, pinnedBytes, new PinnedBlocks(_backend, (address, bytes) => OnPinnedDiscarded?.Invoke(address, bytes)), pinnedBytes);
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>Device memory.</summary>
    /// <param name="context">virtual handle, kept with the allocation</param>
    public CUresult Allocate(int ordinal, ulong bytes, ulong context, out ulong address)
    {
        lock (_lock) return Place(ordinal, bytes, context, AllocationKind.Device, 0, out address);
    }

    /// <summary>Memory of the pinned arena.</summary>
    /// <param name="kind">Pinned or Managed</param>
    public CUresult AllocateHost(int ordinal, ulong bytes, AllocationKind kind, uint flags, ulong context, out ulong address)
    {
        lock (_lock) return Place(ordinal, bytes, context, kind, flags, out address);
    }

    /// <summary>Stream-ordered device memory: may be memory that was freed in the same stream and is still in use there.</summary>
    /// <param name="stream">real handle</param>
    public CUresult AllocateAsync(int ordinal, ulong bytes, CUstream stream, ulong context, out ulong address)
    {
        lock (_lock)
        {
            if (bytes != 0 && (uint)ordinal < (uint)_devices.Length && _freed.TakeSame(stream, ordinal, bytes) is { } same)
            {
                address = same.Address;
                if (_exports.Remove(address, out UInt128 token)) _backend.Sharing!.Withdraw(token);
                _allocations.Add(same with { BufferId = _nextBufferId++, Context = context, HostFlags = Allocation.StreamOrdered });
                return CUresult.CUDA_SUCCESS;
            }
            return Place(ordinal, bytes, context, AllocationKind.Device, Allocation.StreamOrdered, out address);
        }
    }

    /// <summary>Ends an allocation that nothing uses any more: the caller has waited for the device.</summary>
    /// <param name="pinned">true: cuMemFreeHost; false: cuMemFree</param>
    /// <returns>CUDA_ERROR_INVALID_VALUE: no allocation of that kind starts there</returns>
    public CUresult Free(ulong address, bool pinned)
    {
        lock (_lock)
        {
            if (Start(address) is not { Kind: not AllocationKind.Imported } allocation || allocation.IsInternal || pinned != (allocation.Kind == AllocationKind.Pinned))
                return CUresult.CUDA_ERROR_INVALID_VALUE;
            _allocations.Remove(allocation);
            End(allocation);
            return CUresult.CUDA_SUCCESS;
        }
    }

    /// <summary>Ends an allocation in the order of a stream.</summary>
    public CUresult FreeAsync(ulong address, CUstream stream)
    {
        lock (_lock)
        {
            if (Start(address) is not { Kind: AllocationKind.Device } allocation) return CUresult.CUDA_ERROR_INVALID_VALUE;
            if (_exports.TryGetValue(address, out UInt128 token)) _backend.Sharing!.Withdraw(token); // nobody opens it any more
            CUresult result = _freed.Add(allocation, stream);
            if (result == CUresult.CUDA_SUCCESS) _allocations.Remove(allocation);
            return result;
        }
    }

    /// <summary>The allocation or registration that holds an address; null: CUDA does not know it.</summary>
    public Allocation? Find(ulong address)
    {
        lock (_lock) return _allocations.Find(address) ?? _registered.Find(address);
    }

    /// <summary>True when the range lies inside one allocation that the device reaches.</summary>
    public bool IsInside(ulong address, ulong bytes)
    {
        lock (_lock) return _allocations.Find(address) is { } allocation && bytes <= allocation.End - address;
    }

    /// <summary>Program memory made known (cuMemHostRegister).</summary>
    public CUresult Register(ulong address, ulong bytes, uint flags, int ordinal, ulong context)
    {
        if (address == 0 || bytes == 0 || address + bytes < address) return CUresult.CUDA_ERROR_INVALID_VALUE;
        lock (_lock)
        {
            if (_registered.Overlaps(address, bytes) || _allocations.Overlaps(address, bytes)) return CUresult.CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
            _registered.Add(new Allocation(address, bytes, AllocationKind.Registered, ordinal, _nextBufferId++, context, flags));
            return CUresult.CUDA_SUCCESS;
        }
    }

    /// <returns>CUDA_ERROR_INVALID_VALUE: inside a registration or pinned; CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED (cuda.md §4.2)</returns>
    public CUresult Unregister(ulong address)
    {
        lock (_lock)
        {
            if (address == 0 || _allocations.Find(address) is not null) return CUresult.CUDA_ERROR_INVALID_VALUE;
            if (_registered.Find(address) is not { } found) return CUresult.CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
            if (found.Address != address) return CUresult.CUDA_ERROR_INVALID_VALUE;
            _registered.Remove(found);
            return CUresult.CUDA_SUCCESS;
        }
    }

    /// <summary>cuMemGetInfo: total is what the program was told; free is what is left of it in whole blocks.</summary>
    public void Info(int ordinal, out ulong free, out ulong total)
    {
        lock (_lock)
        {
            CollectFreed(wait: false);
            total = _devices[ordinal].CapacityBytes;
            free = total - _devices[ordinal].TakenBytes;
        }
    }

    /// <summary>Bytes allocated on all devices and in the pinned arena.</summary>
    public ulong AllocatedBytes
    {
        get
        {
            lock (_lock)
            {
                ulong sum = 0;
                foreach (Allocation allocation in _allocations.All) sum += allocation.Bytes;
                return sum;
            }
        }
    }

    /// <summary>Takes back all memory freed in streams; the caller has waited for the device.</summary>
    public void Settle()
    {
        lock (_lock) CollectFreed(wait: true);
    }

    /// <summary>The context is gone: so is its memory. The device is idle.</summary>
    public void FreeContext(ulong context)
    {
        lock (_lock)
        {
            CollectFreed(wait: false);
            foreach (Allocation allocation in _allocations.All.Where(a => a.Context == context && !a.IsInternal).ToArray())
            {
                _allocations.Remove(allocation);
                if (allocation.Kind == AllocationKind.Imported) EndImport(allocation);
                else End(allocation);
            }
            foreach (Allocation allocation in _registered.All.Where(a => a.Context == context).ToArray()) _registered.Remove(allocation);
        }
    }

    /// <inheritdoc cref="ICudaSharing.trecrMemDetach"/>
    public CUresult DetachFromContext(ulong address)
    {
        lock (_lock)
        {
            if (Start(address) is not { Kind: AllocationKind.Device or AllocationKind.Imported } allocation) return CUresult.CUDA_ERROR_INVALID_VALUE;
            _allocations.Remove(allocation);
            _allocations.Add(allocation with { Context = 0 });
            return CUresult.CUDA_SUCCESS;
        }
    }

    private CUresult Place(int ordinal, ulong bytes, ulong context, AllocationKind kind, uint flags, out ulong address)
    {
        address = 0;
        if ((uint)ordinal >= (uint)_devices.Length) return CUresult.CUDA_ERROR_INVALID_CONTEXT;
        if (bytes == 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        Arena arena = Allocation.IsSharedKind(kind) ? _pinned! : _devices[ordinal];
        CollectFreed(wait: false);
        CUresult result = arena.Allocate(bytes, out address);
        if (result == CUresult.CUDA_ERROR_OUT_OF_MEMORY && _freed.Bytes != 0)
        {
            CollectFreed(wait: true);
            result = arena.Allocate(bytes, out address);
        }
        if (result == CUresult.CUDA_SUCCESS) _allocations.Add(new Allocation(address, bytes, kind, ordinal, _nextBufferId++, context, flags));
        return result;
    }

    private void CollectFreed(bool wait)
    {
        CollectLingering();
        if (_freed.Bytes == 0) return;
        _freed.Collect(wait, _collected);
        foreach (Allocation allocation in _collected) End(allocation);
        _collected.Clear();
    }

    private Allocation? Start(ulong address) => _allocations.Find(address) is { } found && found.Address == address ? found : null;

    private Arena ArenaOf(Allocation allocation)
        => allocation.IsShared ? _pinned! : _devices[allocation.DeviceOrdinal];

    /// <summary>Unmaps all memory and gives the slots back.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            bool isAlone = EndSharing();
            _pinned?.Clear();
            if (isAlone)
                foreach (Arena? arena in _devices) arena?.Clear();
            foreach ((ulong address, ulong bytes) in _reservations)
                if (bytes != 0) _backend.cuMemAddressFree(new CUdeviceptr(address), (nuint)bytes);
            _devices = [];
            _reservations = [];
        }
    }
}
