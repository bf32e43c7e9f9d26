using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;

namespace TreCr.Gmmu;

/// <summary>Saving and restoring, and the back end's own allocations.</summary>
public sealed unsafe partial class DeviceMemory
{
    private List<Allocation>? _recording;
    private Queue<ulong>? _expected;

    /// <summary>What is to be saved as it is now, for a copy made while the program runs. Waits for nothing; memory whose free was not reached may be missing.</summary>
    public IReadOnlyList<Allocation> LiveAllocations()
    {
        lock (_lock) return GmmuState.Without(_allocations.All, [.. _aliases.Values]);
    }

    /// <summary>What a snapshot keeps. The device is drained, so that every stream-ordered free was reached.</summary>
    public GmmuState Save()
    {
        lock (_lock)
        {
            CollectFreed(wait: true);
            return new GmmuState([.. _allocations.All.Concat(_lingering.Select(l => l.Allocation)).OrderBy(a => a.Address), .. _registered.All], _nextBufferId, [.. _devices.Select(d => d.CapacityBytes)])
            {
                Exports = [.. _exports.Select(e => new ExportedMemory(e.Key, e.Value, false)), .. _lingering.Select(l => new ExportedMemory(l.Allocation.Address, l.Token, true))],
                Imports = [.. _imports.Values], Aliases = [.. _aliases.Values],
            };
        }
    }

    /// <summary>Takes all saved ranges in a GMMU that has reserved its slots and allocated nothing.</summary>
    /// <param name="error">which allocation could not be placed</param>
    public CUresult Restore(GmmuState state, out string? error)
    {
        error = null;
        lock (_lock)
        {
            foreach (Allocation allocation in state.Allocations)
            {
                if (allocation.Kind == AllocationKind.Registered)
                {
                    _registered.Add(allocation);
                    continue;
                }
                CUresult result = (uint)allocation.DeviceOrdinal < (uint)_devices.Length && allocation.Bytes != 0
                    ? allocation.Kind == AllocationKind.Imported ? RestoreImport(allocation, state.Imports) : ArenaOf(allocation).AllocateAt(allocation.Address, allocation.Bytes) : CUresult.CUDA_ERROR_INVALID_DEVICE;
                if (result != CUresult.CUDA_SUCCESS)
                {
                    error = $"{allocation.Bytes} bytes of {allocation.Kind} memory of device {allocation.DeviceOrdinal} cannot be placed at 0x{allocation.Address:x}: {result}";
                    return result;
                }
                _allocations.Add(allocation);
            }
            _nextBufferId = state.NextBufferId;
            return RestoreSharing(state, out error);
        }
    }

    /// <summary>Notes the back end's own allocations from here on (a module is being loaded).</summary>
    public void BeginInternal()
    {
        lock (_lock) _recording = [];
    }

    /// <summary>Ends <see cref="BeginInternal"/>.</summary>
    /// <returns>their addresses, in the order of allocation</returns>
    public ulong[] EndInternal()
    {
        lock (_lock)
        {
            ulong[] addresses = [.. _recording!.Select(a => a.Address)];
            _recording = null;
            return addresses;
        }
    }

    /// <summary>Replay of a load: the back end's next allocations get these addresses, which <see cref="Restore"/> has taken already.</summary>
    public void ExpectInternal(IEnumerable<ulong> addresses)
    {
        lock (_lock) _expected = new Queue<ulong>(addresses);
    }

    /// <summary>Ends <see cref="ExpectInternal"/>.</summary>
    /// <returns>addresses that were not asked for</returns>
    public int EndExpected()
    {
        lock (_lock)
        {
            int left = _expected?.Count ?? 0;
            _expected = null;
            return left;
        }
    }

    /// <inheritdoc/>
    ulong IDeviceAllocator.Allocate(int deviceOrdinal, ulong bytes) => AllocateOwn(deviceOrdinal, bytes, AllocationKind.Internal);

    /// <inheritdoc/>
    ulong IDeviceAllocator.AllocateManaged(int deviceOrdinal, ulong bytes) => AllocateOwn(deviceOrdinal, bytes, AllocationKind.ManagedVariable);

    private ulong AllocateOwn(int deviceOrdinal, ulong bytes, AllocationKind kind)
    {
        lock (_lock)
        {
            ulong address;
            if (_expected is { } expected)
            {
                // In replay only what the log names may be given: anything else would lie where the program's memory is.
                if (!expected.TryDequeue(out address) || Start(address) is not { } known || known.Kind != kind || known.Bytes != bytes) return 0;
            }
            else
            {
                if (Place(deviceOrdinal, bytes, 0, kind, 0, out address) != CUresult.CUDA_SUCCESS) return 0;
                _recording?.Add(Start(address)!);
            }
            if (_backend.DeviceMemoryIsHostMemory || kind == AllocationKind.ManagedVariable) NativeMemory.Clear((void*)address, (nuint)bytes);
            return address;
        }
    }

    /// <inheritdoc/>
    void IDeviceAllocator.Free(ulong address)
    {
        lock (_lock)
        {
            if (Start(address) is not { IsInternal: true } allocation) return;
            _allocations.Remove(allocation);
            ArenaOf(allocation).Free(address, allocation.Bytes);
        }
    }
}
