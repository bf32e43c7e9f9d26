using System.Diagnostics;
using System.Security.Cryptography;
using TreCr.Calls.Cuda;

namespace TreCr.Gmmu;

/// <summary>
/// Memory that processes of a job share (<see cref="IDeviceSharing"/>). Who allocated it owns and saves it. Others map whole blocks of it in the last part of a device's slot, under addresses that they keep over restarts.
/// Memory that its owner frees while others map it stays, without being the program's any more, until they have closed it.
/// </summary>
/// <remarks>A restart takes the addresses of imports at once, makes exports known when their content is there (<see cref="PublishExports"/>), and maps imports when the program is to be served (<see cref="ConnectImports"/>): no
/// process waits for another before it has done its own part.</remarks>
public sealed unsafe partial class DeviceMemory
{
    /// <summary>At the end of each slot, for imports.</summary>
    private const ulong ImportBytes = 256UL << 30;

    private const int PollMs = 10, StaleMs = 10_000;

    private readonly Dictionary<ulong, UInt128> _exports = [];
    private readonly HashSet<(ulong Start, ulong End)> _shared = []; // blocks that were ever exported or shown elsewhere
    private readonly SortedDictionary<ulong, ImportedMemory> _imports = [];
    private readonly SortedDictionary<ulong, MemoryAlias> _aliases = [];
    private readonly List<(Allocation Allocation, UInt128 Token)> _lingering = [];
    private FreeRanges[] _importSlots = [];
    private bool _keepsLingering; // of a restored program, as long as nobody can have come

    /// <summary>Names the program to those who miss its memory.</summary>
    public Func<string> Describe { get; set; } = () => "";

    private static (ulong Start, ulong End) BlocksOf(ulong address, ulong bytes) => (address & ~(Arena.BlockBytes - 1), (address + bytes + Arena.BlockBytes - 1) & ~(Arena.BlockBytes - 1));

    /// <inheritdoc cref="ICudaSharing.trecrMemExport"/>
    public CUresult Export(ulong address, bool streamOrdered, out UInt128 token)
    {
        lock (_lock)
        {
            token = default;
            if (_backend.Sharing is null) return CUresult.CUDA_ERROR_NOT_SUPPORTED;
            if (_allocations.Find(address) is not { Kind: AllocationKind.Device } found || (found.HostFlags == Allocation.StreamOrdered) != streamOrdered) return CUresult.CUDA_ERROR_INVALID_VALUE;
            if (_exports.TryGetValue(found.Address, out token)) return CUresult.CUDA_SUCCESS;
            token = BitConverter.ToUInt128(RandomNumberGenerator.GetBytes(16));
            CUresult result = Publish(found, token);
            if (result == CUresult.CUDA_SUCCESS) _exports[found.Address] = token;
            return result;
        }
    }

    private CUresult Publish(Allocation allocation, UInt128 token)
    {
        (ulong start, ulong end) = BlocksOf(allocation.Address, allocation.Bytes);
        _shared.Add((start, end));
        return _backend.Sharing!.Publish(token, start, end - start, allocation.Address, allocation.Bytes, Describe());
    }

    /// <inheritdoc cref="ICudaSharing.trecrMemImport"/>
    public CUresult Import(int ordinal, UInt128 token, ulong context, out ulong address)
    {
        address = 0;
        lock (_lock)
        {
            if (_backend.Sharing is not { } sharing) return CUresult.CUDA_ERROR_NOT_SUPPORTED;
            if ((uint)ordinal >= (uint)_importSlots.Length) return CUresult.CUDA_ERROR_INVALID_CONTEXT;
            foreach (ImportedMemory known in _imports.Values)
                if (known.Token == token && Start(known.Address) is { } allocation && allocation.DeviceOrdinal == ordinal)
                {
                    _imports[known.Address] = known with { Opened = known.Opened + 1 };
                    address = known.Address;
                    return CUresult.CUDA_SUCCESS;
                }
            CUresult result = sharing.Find(token, out SharedMemory memory);
            if (result != CUresult.CUDA_SUCCESS) return result;
            if (!_importSlots[ordinal].TryTake(memory.BlockBytes, out ulong start)) return CUresult.CUDA_ERROR_OUT_OF_MEMORY;
            result = sharing.Attach(token, start, memory);
            if (result != CUresult.CUDA_SUCCESS)
            {
                _importSlots[ordinal].Return(start, memory.BlockBytes);
                return result;
            }
            address = start + memory.Offset;
            _imports[address] = new ImportedMemory(address, start, memory.BlockBytes, token, 1, memory.Who);
            _allocations.Add(new Allocation(address, memory.Bytes, AllocationKind.Imported, ordinal, _nextBufferId++, context, Allocation.Foreign));
            return CUresult.CUDA_SUCCESS;
        }
    }

    /// <inheritdoc cref="ICudaSharing.trecrMemImportClose"/>
    public CUresult CloseImport(ulong address)
    {
        lock (_lock)
        {
            if (!_imports.TryGetValue(address, out ImportedMemory? import) || Start(address) is not { } allocation) return CUresult.CUDA_ERROR_INVALID_VALUE;
            if (import.Opened > 1)
            {
                _imports[address] = import with { Opened = import.Opened - 1 };
                return CUresult.CUDA_SUCCESS;
            }
            _allocations.Remove(allocation);
            EndImport(allocation);
            return CUresult.CUDA_SUCCESS;
        }
    }

    private void EndImport(Allocation allocation)
    {
        if (!_imports.Remove(allocation.Address, out ImportedMemory? import)) return;
        DropAliases(a => a.Target - import.Start < import.BlockBytes);
        _backend.Sharing!.Detach(import.Token, import.Start, import.BlockBytes);
        _importSlots[allocation.DeviceOrdinal].Return(import.Start, import.BlockBytes);
    }

    /// <inheritdoc cref="ICudaSharing.trecrMemAlias"/>
    public CUresult Alias(ulong address, ulong bytes, ulong target)
    {
        lock (_lock)
        {
            if (_backend.Sharing is not { } sharing) return CUresult.CUDA_ERROR_NOT_SUPPORTED;
            if (bytes == 0 || (address | bytes | target) % Arena.BlockBytes != 0 || _allocations.Find(address) is not { Kind: AllocationKind.Device } place || bytes > place.End - address) return CUresult.CUDA_ERROR_INVALID_VALUE;
            bool isKnown = _aliases.TryGetValue(address, out MemoryAlias? alias) && alias.Bytes == bytes;
            if (target == 0)
            {
                if (!isKnown) return CUresult.CUDA_ERROR_INVALID_VALUE;
                DropAliases(a => a.Address == address);
                return CUresult.CUDA_SUCCESS;
            }
            bool isTaken = _aliases.Values.Any(a => a.Address < address + bytes && address < a.Address + a.Bytes || a.Address < target + bytes && target < a.Address + a.Bytes);
            if (isTaken || Start(target) is not { Kind: AllocationKind.Device or AllocationKind.Imported } memory || bytes > BlocksOf(memory.Address, memory.Bytes).End - target) return CUresult.CUDA_ERROR_INVALID_VALUE;
            CUresult result = sharing.Alias(address, bytes, target);
            if (result != CUresult.CUDA_SUCCESS) return result;
            _aliases[address] = new MemoryAlias(address, bytes, target);
            _shared.Add((target, target + bytes));
            return CUresult.CUDA_SUCCESS;
        }
    }

    private void DropAliases(Func<MemoryAlias, bool> which)
    {
        if (_aliases.Count == 0) return;
        foreach (MemoryAlias alias in _aliases.Values.Where(which).ToArray())
        {
            _aliases.Remove(alias.Address);
            _backend.Sharing!.Alias(alias.Address, alias.Bytes, 0);
        }
    }

    /// <summary>An allocation has left the table and nothing here uses it.</summary>
    private void End(Allocation allocation)
    {
        DropAliases(a => a.Address - allocation.Address < allocation.Bytes || a.Target - allocation.Address < allocation.Bytes);
        if (_exports.Remove(allocation.Address, out UInt128 token) && !_backend.Sharing!.Withdraw(token)) _lingering.Add((allocation, token));
        else ArenaOf(allocation).Free(allocation.Address, allocation.Bytes);
    }

    private void CollectLingering()
    {
        if (_keepsLingering) return;
        for (int i = _lingering.Count - 1; i >= 0; i--)
        {
            if (!_backend.Sharing!.Withdraw(_lingering[i].Token)) continue;
            Allocation gone = _lingering[i].Allocation;
            ArenaOf(gone).Free(gone.Address, gone.Bytes);
            _lingering.RemoveAt(i);
        }
    }

    /// <summary>Address ranges of own memory that others may write past this process's page tables.</summary>
    public (ulong Start, ulong End)[] SharedRanges
    {
        get { lock (_lock) return [.. _shared]; }
    }

    /// <summary>Memory that is mapped here, of a process that has ended: nobody would save it.</summary>
    /// <returns>why no checkpoint can be taken; null: it can</returns>
    public string? Orphan
    {
        get
        {
            lock (_lock)
            {
                ImportedMemory? orphan = _imports.Values.FirstOrDefault(i => !_backend.Sharing!.IsOwned(i.Token));
                return orphan is null ? null : $"device memory that {orphan.Who} shared with {Describe()} is still mapped there, at 0x{orphan.Address:x}, though that process has ended or freed its context: nobody has it to save";
            }
        }
    }

    private CUresult RestoreImport(Allocation allocation, IReadOnlyList<ImportedMemory> imports)
    {
        if (imports.FirstOrDefault(i => i.Address == allocation.Address) is not { } import || allocation.Address - import.Start >= import.BlockBytes || allocation.Bytes > import.Start + import.BlockBytes - allocation.Address
            || !_importSlots[allocation.DeviceOrdinal].TryTakeAt(import.Start, import.BlockBytes)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        _imports[import.Address] = import;
        return CUresult.CUDA_SUCCESS;
    }

    private CUresult RestoreSharing(GmmuState state, out string? error)
    {
        error = null;
        if (state.Exports.Count + state.Imports.Count + state.Aliases.Count > 0 && _backend.Sharing is null)
        {
            error = "the program shares device memory with other processes or maps it at several addresses, which this device cannot";
            return CUresult.CUDA_ERROR_NOT_SUPPORTED;
        }
        foreach (ExportedMemory export in state.Exports)
        {
            if (Start(export.Address) is not { Kind: AllocationKind.Device } allocation)
            {
                error = $"what was exported at 0x{export.Address:x} is no device memory";
                return CUresult.CUDA_ERROR_INVALID_VALUE;
            }
            if (!export.IsFreed)
            {
                _exports[export.Address] = export.Token;
                continue;
            }
            _allocations.Remove(allocation);
            _lingering.Add((allocation, export.Token));
        }
        _keepsLingering = true;
        foreach (MemoryAlias alias in state.Aliases)
        {
            _aliases[alias.Address] = alias;
            _shared.Add((alias.Target, alias.Target + alias.Bytes));
        }
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>Restart: others can map what this process exports. Its content is there.</summary>
    /// <param name="error">what another process that lives exports</param>
    public bool PublishExports(out string? error)
    {
        lock (_lock)
        {
            error = null;
            foreach ((Allocation allocation, UInt128 token) in _exports.Select(e => (Start(e.Key)!, e.Value)).Concat(_lingering).ToArray())
            {
                CUresult result;
                // A process of the run before, which was killed just now, may still be seen.
                for (long start = Stopwatch.GetTimestamp(); (result = Publish(allocation, token)) == CUresult.CUDA_ERROR_ALREADY_MAPPED && Stopwatch.GetElapsedTime(start).TotalMilliseconds < StaleMs;) Thread.Sleep(PollMs);
                if (result == CUresult.CUDA_SUCCESS) continue;
                error = result == CUresult.CUDA_ERROR_ALREADY_MAPPED ? $"another process that runs exports the memory of 0x{allocation.Address:x} (the job runs already?)" : $"the memory of 0x{allocation.Address:x} cannot be exported: {result}";
                return false;
            }
            return true;
        }
    }

    /// <summary>Restart: maps what this process has imported, as soon as its owners have it.</summary>
    /// <param name="error">who has not come by the deadline</param>
    public bool ConnectImports(TimeSpan deadline, out string? error)
    {
        error = null;
        if (_backend.Sharing is not { } sharing) return true;
        long begin = Stopwatch.GetTimestamp();
        foreach (ImportedMemory import in _imports.Values)
        {
            CUresult result;
            SharedMemory wanted = new(import.BlockBytes, import.Address - import.Start, 0, "");
            while ((result = sharing.Attach(import.Token, import.Start, wanted)) == CUresult.CUDA_ERROR_INVALID_VALUE && Stopwatch.GetElapsedTime(begin) < deadline) Thread.Sleep(PollMs);
            if (result == CUresult.CUDA_SUCCESS) continue;
            error = $"{import.Who}, whose memory is mapped at 0x{import.Address:x} in {Describe()}, has not exported it again within {deadline.TotalSeconds:0} s ({result})";
            return false;
        }
        lock (_lock)
            foreach (MemoryAlias alias in _aliases.Values)
            {
                CUresult result = sharing.Alias(alias.Address, alias.Bytes, alias.Target);
                if (result == CUresult.CUDA_SUCCESS) continue;
                error = $"memory at 0x{alias.Target:x} cannot be shown at 0x{alias.Address:x} again: {result}";
                return false;
            }
        return true;
    }

    /// <summary>All that was imported when this one was saved is mapped again by now, or never will be.</summary>
    public void ForgetRestart() => _keepsLingering = false;

    /// <returns>false: others go on with memory of this process, whose content has to stay</returns>
    private bool EndSharing()
    {
        if (_backend.Sharing is not { } sharing) return true;
        bool isAlone = true;
        foreach (ImportedMemory import in _imports.Values) sharing.Detach(import.Token, import.Start, import.BlockBytes);
        foreach (UInt128 token in _exports.Values.Concat(_lingering.Select(l => l.Token))) isAlone &= sharing.Withdraw(token);
        _imports.Clear();
        _exports.Clear();
        _lingering.Clear();
        return isAlone;
    }
}
