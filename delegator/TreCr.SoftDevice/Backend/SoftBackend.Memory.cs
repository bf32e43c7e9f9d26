using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.SoftDevice.Engine;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Backend;

/// <summary>
/// Reserve, create, map. Physical memory is a range of one memfd of the device's size; mapping it at a device address makes that address an ordinary one of this
/// process, so kernels use device pointers as they are, and one piece of memory can stand at two addresses.
/// </summary>
public sealed unsafe partial class SoftBackend
{
    const ulong Granularity = 2 << 20, SlotBase = 0x7000_0000_0000;

    sealed class Physical
    {
        public ulong Offset, Bytes;
        public int Mappings;
        public bool Released;
    }

    sealed record Mapping(ulong Address, ulong Bytes, Physical Physical) { public bool Accessible { get; set; } }

    readonly SortedDictionary<ulong, ulong> reservations = [];
    readonly SortedDictionary<ulong, Mapping> mappings = [];
    readonly Dictionary<ulong, ulong> hostRanges = [];
    readonly List<(ulong Offset, ulong Bytes)> freeRanges = [];
    int memfd = -1;
    ulong usedBytes;

    /// <summary>Of all devices; what each of them has is the GMMU's to count.</summary>
    ulong TotalBytes => SoftDeviceFacts.MemoryBytes * (ulong)deviceCount;

    /// <summary>Bytes of physical memory in use.</summary>
    public ulong UsedBytes { get { lock (gate) return usedBytes; } }

    public CUresult cuMemAddressReserve(CUdeviceptr* address, nuint bytes, nuint alignment, CUdeviceptr wanted, ulong flags)
    {
        if (address == null || bytes == 0 || bytes % 4096 != 0 || wanted.Value % 4096 != 0 || flags != 0 || (alignment & alignment - 1) != 0) return CUDA_ERROR_INVALID_VALUE;
        lock (gate)
        {
            long got = Sys.Mmap(wanted.Value == 0 ? SlotBase : wanted.Value, bytes, Sys.PROT_NONE, Sys.MAP_PRIVATE | Sys.MAP_ANONYMOUS | Sys.MAP_NORESERVE | Sys.MAP_FIXED_NOREPLACE);
            // A taken address is a legal answer of the driver too: another one, which the caller compares.
            if (got < 0) got = Sys.Mmap(0, bytes, Sys.PROT_NONE, Sys.MAP_PRIVATE | Sys.MAP_ANONYMOUS | Sys.MAP_NORESERVE);
            if (got < 0) return CUDA_ERROR_OUT_OF_MEMORY;
            reservations[(ulong)got] = bytes;
            *address = new((ulong)got);
            return CUDA_SUCCESS;
        }
    }

    public CUresult cuMemAddressFree(CUdeviceptr address, nuint bytes)
    {
        lock (gate)
        {
            if (!reservations.TryGetValue(address.Value, out ulong known) || known != bytes) return CUDA_ERROR_INVALID_VALUE;
            foreach (Mapping m in mappings.Values)
                if (m.Address - address.Value < bytes) return CUDA_ERROR_INVALID_VALUE;
            reservations.Remove(address.Value);
            Sys.Munmap(address.Value, bytes);
            return CUDA_SUCCESS;
        }
    }

    public CUresult cuMemCreate(CUmemGenericAllocationHandle* handle, nuint bytes, CUmemAllocationProp* properties, ulong flags)
    {
        if (handle == null || properties == null || bytes == 0 || bytes % Granularity != 0 || flags != 0 || properties->Type != 1) return CUDA_ERROR_INVALID_VALUE;
        if (properties->LocationType != 1 || (uint)properties->LocationId >= (uint)deviceCount) return CUDA_ERROR_INVALID_DEVICE;
        lock (gate)
        {
            if (bytes > TotalBytes - usedBytes) return CUDA_ERROR_OUT_OF_MEMORY;
            if (memfd < 0)
            {
                memfd = Sys.MemfdCreate("trecr-soft-device");
                freeRanges.Add((0, TotalBytes));
                if (Sys.Raw(SyscallNumber.Ftruncate, memfd, (long)TotalBytes) < 0) return CUDA_ERROR_OUT_OF_MEMORY;
                board?.SetMemory(memfd, TotalBytes);
            }
            for (int n = 0; n < freeRanges.Count; n++)
            {
                (ulong offset, ulong free) = freeRanges[n];
                if (free < bytes) continue;
                if (free == bytes) freeRanges.RemoveAt(n);
                else freeRanges[n] = (offset + bytes, free - bytes);
                usedBytes += bytes;
                *handle = new(Add(new Physical { Offset = offset, Bytes = bytes }));
                return CUDA_SUCCESS;
            }
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
    }

    public CUresult cuMemRelease(CUmemGenericAllocationHandle handle)
    {
        lock (gate)
        {
            if (Find<Physical>(handle.Value) is not { } p) return CUDA_ERROR_INVALID_VALUE;
            p.Released = true;
            Remove(p);
            FreeIfUnused(p);
            return CUDA_SUCCESS;
        }
    }

    void FreeIfUnused(Physical p)
    {
        if (!p.Released || p.Mappings > 0) return;
        // Punched pages read as zero when they are created again: FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE.
        Sys.Raw(SyscallNumber.Fallocate, memfd, 3, (long)p.Offset, (long)p.Bytes);
        usedBytes -= p.Bytes;
        int at = freeRanges.FindIndex(r => r.Offset > p.Offset);
        if (at < 0) at = freeRanges.Count;
        freeRanges.Insert(at, (p.Offset, p.Bytes));
        if (at + 1 < freeRanges.Count && p.Offset + p.Bytes == freeRanges[at + 1].Offset)
        {
            freeRanges[at] = (p.Offset, p.Bytes + freeRanges[at + 1].Bytes);
            freeRanges.RemoveAt(at + 1);
        }
        if (at > 0 && freeRanges[at - 1].Offset + freeRanges[at - 1].Bytes == p.Offset)
        {
            freeRanges[at - 1] = (freeRanges[at - 1].Offset, freeRanges[at - 1].Bytes + freeRanges[at].Bytes);
            freeRanges.RemoveAt(at);
        }
    }

    public CUresult cuMemMap(CUdeviceptr address, nuint bytes, nuint offset, CUmemGenericAllocationHandle handle, ulong flags)
    {
        lock (gate)
        {
            if (Find<Physical>(handle.Value) is not { } p || flags != 0 || offset != 0 || bytes != p.Bytes || address.Value % Granularity != 0) return CUDA_ERROR_INVALID_VALUE;
            bool reserved = false;
            foreach ((ulong start, ulong length) in reservations)
                reserved |= address.Value >= start && address.Value - start <= length && length - (address.Value - start) >= bytes;
            if (!reserved) return CUDA_ERROR_INVALID_VALUE;
            foreach (Mapping m in mappings.Values)
                if (address.Value < m.Address + m.Bytes && m.Address < address.Value + bytes) return CUDA_ERROR_ALREADY_MAPPED;
            if (Sys.Mmap(address.Value, bytes, Sys.PROT_NONE, Sys.MAP_SHARED | Sys.MAP_FIXED | Sys.MAP_NORESERVE, memfd, (long)p.Offset) != (long)address.Value) return CUDA_ERROR_OUT_OF_MEMORY;
            p.Mappings++;
            mappings[address.Value] = new(address.Value, bytes, p);
            board?.SetBlocks(address.Value, bytes, p.Offset);
            return CUDA_SUCCESS;
        }
    }

    public CUresult cuMemUnmap(CUdeviceptr address, nuint bytes)
    {
        lock (gate)
        {
            List<Mapping> gone = [];
            ulong covered = 0;
            foreach (Mapping m in mappings.Values)
                if (m.Address >= address.Value && m.Address + m.Bytes <= address.Value + bytes) { gone.Add(m); covered += m.Bytes; }
            if (bytes == 0 || covered != bytes) return CUDA_ERROR_INVALID_VALUE;
            foreach (Mapping m in gone)
            {
                mappings.Remove(m.Address);
                PageTable.Mark(m.Address, m.Bytes, false);
                board?.SetBlocks(m.Address, m.Bytes, null);
            }
            PublishRanges();
            Sys.Mmap(address.Value, bytes, Sys.PROT_NONE, Sys.MAP_PRIVATE | Sys.MAP_ANONYMOUS | Sys.MAP_NORESERVE | Sys.MAP_FIXED);
            foreach (Mapping m in gone)
            {
                m.Physical.Mappings--;
                FreeIfUnused(m.Physical);
            }
            return CUDA_SUCCESS;
        }
    }

    public CUresult cuMemSetAccess(CUdeviceptr address, nuint bytes, CUmemAccessDesc* descriptions, nuint count)
    {
        if (descriptions == null || count == 0 || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
        lock (gate)
        {
            bool writable = false;
            for (nuint n = 0; n < count; n++)
            {
                if (descriptions[n].LocationType != 1 || (uint)descriptions[n].LocationId >= (uint)deviceCount) return CUDA_ERROR_INVALID_DEVICE;
                writable = descriptions[n].Flags == 3;
            }
            List<Mapping> covered = [];
            ulong total = 0;
            foreach (Mapping m in mappings.Values)
                if (m.Address >= address.Value && m.Address + m.Bytes <= address.Value + bytes) { covered.Add(m); total += m.Bytes; }
            if (total != bytes) return CUDA_ERROR_INVALID_VALUE;
            // Pages stay writable for the delegator itself; what kernels may touch is the access map's matter.
            if (Sys.Raw(SyscallNumber.Mprotect, (long)address.Value, (long)bytes, Sys.PROT_READ | Sys.PROT_WRITE) < 0) return CUDA_ERROR_OUT_OF_MEMORY;
            foreach (Mapping m in covered)
            {
                m.Accessible = writable;
                PageTable.Mark(m.Address, m.Bytes, writable);
            }
            PublishRanges();
            return CUDA_SUCCESS;
        }
    }

    public CUresult cuMemGetAllocationGranularity(nuint* bytes, CUmemAllocationProp* properties, int option)
    {
        if (bytes == null || properties == null) return CUDA_ERROR_INVALID_VALUE;
        *bytes = (nuint)Granularity;
        return CUDA_SUCCESS;
    }

    public CUresult trecrHostMap(ulong address, nuint bytes)
    {
        if (address == 0 || bytes == 0 || address % 4096 != 0 || bytes % 4096 != 0) return CUDA_ERROR_INVALID_VALUE;
        lock (gate)
        {
            if (!hostRanges.TryAdd(address, bytes)) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
            PageTable.Mark(address, bytes, true);
            PublishRanges();
            return CUDA_SUCCESS;
        }
    }

    public CUresult trecrHostUnmap(ulong address)
    {
        lock (gate)
        {
            if (!hostRanges.Remove(address, out ulong bytes)) return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
            PageTable.Mark(address, bytes, false);
            PublishRanges();
            return CUDA_SUCCESS;
        }
    }

    void PublishRanges()
    {
        AccessMap map = new(mappings.Values.Where(m => m.Accessible).Select(m => (m.Address, m.Bytes)).Concat(hostRanges.Select(r => (r.Key, r.Value))).Concat(attached.Select(a => (a.Key, a.Value.Bytes))));
        lock (scheduler.Gate) scheduler.Memory = map;
    }

    bool IsAccessible(ulong address, ulong bytes)
    {
        AccessMap map;
        lock (scheduler.Gate) map = scheduler.Memory;
        return bytes == 0 || map.IsAccessible(address, bytes);
    }

    void ReleaseMemory()
    {
        lock (gate)
        {
            foreach (Mapping m in mappings.Values) PageTable.Mark(m.Address, m.Bytes, false);
            foreach ((ulong start, ulong length) in hostRanges) PageTable.Mark(start, length, false);
            foreach ((ulong start, ulong length) in reservations) Sys.Munmap(start, length);
            reservations.Clear();
            mappings.Clear();
            if (memfd >= 0) Sys.Raw(SyscallNumber.Close, memfd);
            memfd = -1;
        }
    }
}
