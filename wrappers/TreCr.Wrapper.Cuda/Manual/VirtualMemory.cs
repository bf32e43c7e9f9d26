using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: reservations and physical memory are the wrapper's own over plain device memory, which has fixed addresses and comes back at a restart. CUDA Driver API, "Virtual Memory
// Management". A reservation has its memory from the start, so it counts as used; physical memory that is mapped nowhere has memory of its own. So has memory that is made for other
// processes, comes from one, or is mapped at a second address: the places where it is mapped show it (trecrMemAlias). A difference that a program can see: an access before cuMemSetAccess is no fault.
internal static unsafe class VirtualMemory
{
    private const ulong Granularity = 2 << 20;
    private const int Device = 1;

    private const int FileDescriptor = 1; // CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR

    private static int s_toldTwice, s_toldExport;

    private static readonly Lock Gate = new();
    private static readonly Dictionary<ulong, Reservation> Reservations = [];
    private static readonly Dictionary<ulong, Physical> Known = [];
    private static ulong s_serial = VirtualHandle.FirstSerial;

    /// <param name="Allocated">what cuMemAlloc gave, at or before Start</param>
    private sealed record Reservation(ulong Start, ulong Bytes, ulong Allocated)
    {
        public List<Mapping> Mappings { get; } = [];
    }

    private sealed class Mapping(ulong start, Physical memory)
    {
        public ulong Start => start;
        public Physical Memory => memory;

        /// <summary>CUmemAccess_flags: 0 none, 1 read, 3 read and write.</summary>
        public int Access { get; set; }
    }

    private sealed class Physical(ulong handle, ulong bytes, CUmemAllocationProp properties)
    {
        public ulong Handle => handle;
        public ulong Bytes => bytes;
        public CUmemAllocationProp Properties => properties;
        public int References { get; set; } = 1;
        public List<Mapping> Mappings { get; } = [];

        /// <summary>Where the contents lie while it is mapped nowhere, or for good where <see cref="IsHomed"/>; 0: it was never written.</summary>
        public ulong Kept { get; set; }

        /// <summary>It stays in its own place, which its mappings show.</summary>
        public bool IsHomed { get; set; }

        /// <summary>Another process's.</summary>
        public bool IsImported { get; init; }

        /// <summary>What other processes know it by; 0: they do not.</summary>
        public (ulong Low, ulong High) Token { get; set; }
    }

    private delegate CUresult Body(ProgramThread* thread);

    private static CUresult Do(ReadOnlySpan<byte> name, Body body)
    {
        ProgramThread* thread = WrapperRuntime.Enter();
        if (thread == null) return WrapperRuntime.EnterError();
        bool isLent = false;
        try
        {
            CUresult result = Borrow(thread, out isLent);
            if (result != CUresult.CUDA_SUCCESS) return result;
            lock (Gate) return body(thread);
        }
        catch (Exception e) { return Session.Failed(name, e); }
        finally
        {
            if (isLent) thread->Pop();
        }
    }

    /// <summary>These calls need no context, and what they make ends with none (memMapIPCDrv unmaps after cuCtxDestroy). Ours are sent in one, which is the device's primary context where none is current, or
    /// one that nobody holds (cudart 11.8 after cudaSetDevice, in cudaCompressibleMemory); it is held from then on.</summary>
    /// <param name="isLent">it was pushed, and is to be popped</param>
    private static CUresult Borrow(ProgramThread* thread, out bool isLent)
    {
        isLent = false;
        int device = 0;
        if (thread->Context != 0)
        {
            while (device < Devices.Count && VirtualHandle.PrimaryContext(device) != thread->Context) device++;
            if (device == Devices.Count || Contexts.References(device) != 0) return CUresult.CUDA_SUCCESS;
        }
        CUcontext primary = default;
        CUresult result = ContextLife.Retain(&primary, new CUdevice(device));
        if (result == CUresult.CUDA_SUCCESS && thread->Context == 0) isLent = thread->Push(primary.Value);
        return result;
    }

    /// <summary>Memory of no context: reservations and physical memory are the process's own.</summary>
    private static CUresult Allocate(ProgramThread* thread, CUdeviceptr* address, ulong bytes)
    {
        CUresult result = CudaMemoryCalls.Send_cuMemAlloc_v2(thread, address, (nuint)bytes);
        return result == CUresult.CUDA_SUCCESS ? CudaSharingCalls.Send_trecrMemDetach(thread, *address) : result;
    }

    private static CUresult Check(CUmemAllocationProp* properties)
    {
        if (properties == null || properties->Type != 1 || properties->LocationType != Device || !Devices.IsValid(new CUdevice(properties->LocationId))) return CUresult.CUDA_ERROR_INVALID_VALUE;
        bool isOffered = properties->RequestedHandleTypes == 0 || properties->RequestedHandleTypes == FileDescriptor && Devices.IsSoft(properties->LocationId);
        return isOffered ? CUresult.CUDA_SUCCESS : Unsupported.Use(ref s_toldExport, "cuMemCreate"u8, "for other processes, on a GPU or by other handles than file descriptors,"u8);
    }

    /// <summary>A reservation holds the address.</summary>
    public static bool IsReserved(ulong address)
    {
        lock (Gate) return Around(address, 1) is not null;
    }

    /// <param name="option">0 minimum, 1 recommended: the same here</param>
    [UnmanagedCallersOnly(EntryPoint = "cuMemGetAllocationGranularity")]
    public static CUresult GetGranularity(nuint* bytes, CUmemAllocationProp* properties, int option)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        if (bytes == null || option is not (0 or 1)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        CUresult result = Check(properties);
        if (result == CUresult.CUDA_SUCCESS) *bytes = (nuint)Granularity;
        return result;
    }

    /// <param name="wanted">a hint, which the driver may ignore; so do we</param>
    [UnmanagedCallersOnly(EntryPoint = "cuMemAddressReserve")]
    public static CUresult Reserve(CUdeviceptr* address, nuint bytes, nuint alignment, CUdeviceptr wanted, ulong flags) => Do("cuMemAddressReserve"u8, thread =>
    {
        if (address == null || bytes == 0 || bytes % Granularity != 0 || flags != 0 || (alignment & (alignment - 1)) != 0 || alignment > 1 << 30) return CUresult.CUDA_ERROR_INVALID_VALUE;
        ulong align = Math.Max(Granularity, alignment);
        CUdeviceptr got = default;
        CUresult result = Allocate(thread, &got, bytes);
        if (result == CUresult.CUDA_SUCCESS && got.Value % align != 0)
        {
            CudaMemoryCalls.Send_cuMemFree_v2(thread, CallClass.Blocking, got);
            result = Allocate(thread, &got, bytes + align);
        }
        if (result != CUresult.CUDA_SUCCESS) return result;
        ulong start = (got.Value + align - 1) & ~(align - 1);
        Reservations[start] = new Reservation(start, bytes, got.Value);
        *address = new CUdeviceptr(start);
        return CUresult.CUDA_SUCCESS;
    });

    /// <summary>The whole of a reservation in which nothing is mapped.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuMemAddressFree")]
    public static CUresult FreeAddress(CUdeviceptr address, nuint bytes) => Do("cuMemAddressFree"u8, thread =>
    {
        if (!Reservations.TryGetValue(address.Value, out Reservation? found) || found.Bytes != bytes || found.Mappings.Count != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        Reservations.Remove(address.Value);
        return CudaMemoryCalls.Send_cuMemFree_v2(thread, CallClass.Blocking, new CUdeviceptr(found.Allocated));
    });

    [UnmanagedCallersOnly(EntryPoint = "cuMemCreate")]
    public static CUresult Create(ulong* handle, nuint bytes, CUmemAllocationProp* properties, ulong flags) => Do("cuMemCreate"u8, thread =>
    {
        if (handle == null || bytes == 0 || bytes % Granularity != 0 || flags != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        CUresult result = Check(properties);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (bytes > Devices.Facts(properties->LocationId)->TotalMemoryBytes) return CUresult.CUDA_ERROR_OUT_OF_MEMORY;
        Physical made = new(VirtualHandle.Make(HandleKind.MemoryAllocation, s_serial++), bytes, *properties);
        if (properties->RequestedHandleTypes != 0)
        {
            result = MakeHome(thread, made);
            if (result != CUresult.CUDA_SUCCESS) return result;
        }
        Known[made.Handle] = made;
        *handle = made.Handle;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuMemRelease")]
    public static CUresult Release(ulong handle) => Do("cuMemRelease"u8, thread =>
    {
        if (!Known.TryGetValue(handle, out Physical? found) || found.References == 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        found.References--;
        return found.References == 0 && found.Mappings.Count == 0 ? Forget(thread, found) : CUresult.CUDA_SUCCESS;
    });

    private static CUresult Forget(ProgramThread* thread, Physical gone)
    {
        Known.Remove(gone.Handle);
        if (gone.IsImported) return CudaSharingCalls.Send_trecrMemImportClose(thread, new CUdeviceptr(gone.Kept));
        return gone.Kept == 0 ? CUresult.CUDA_SUCCESS : CudaMemoryCalls.Send_cuMemFree_v2(thread, CallClass.Blocking, new CUdeviceptr(gone.Kept));
    }

    /// <summary>Gives memory a place of its own, with what is in it.</summary>
    private static CUresult MakeHome(ProgramThread* thread, Physical memory)
    {
        CUdeviceptr home = new(memory.Kept);
        CUresult result = CUresult.CUDA_SUCCESS;
        if (memory.Kept == 0)
        {
            result = Allocate(thread, &home, memory.Bytes);
            if (result == CUresult.CUDA_SUCCESS && memory.Mappings.Count != 0) result = Contexts.Synchronize(thread);
            if (result == CUresult.CUDA_SUCCESS) result = Fill(thread, home, memory.Mappings.Count == 0 ? 0 : memory.Mappings[0].Start, memory.Bytes);
            if (result == CUresult.CUDA_SUCCESS && memory.Mappings.Count != 0) result = CudaSharingCalls.Send_trecrMemAlias(thread, new CUdeviceptr(memory.Mappings[0].Start), (nuint)memory.Bytes, home);
            if (result != CUresult.CUDA_SUCCESS)
            {
                if (home.Value != 0) CudaMemoryCalls.Send_cuMemFree_v2(thread, CallClass.Blocking, home);
                return result;
            }
        }
        (memory.Kept, memory.IsHomed) = (home.Value, true);
        return result;
    }

    /// <param name="from">0: zeroes</param>
    private static CUresult Fill(ProgramThread* thread, CUdeviceptr to, ulong from, ulong bytes)
    {
        CUresult result = from == 0 ? CudaCopyCalls.Send_cuMemsetD8Async(thread, CallClass.Enqueue, to, 0, (nuint)bytes, CUstream.Legacy)
            : CudaCopyCalls.Send_cuMemcpyDtoDAsync_v2(thread, CallClass.Enqueue, to, new CUdeviceptr(from), (nuint)bytes, CUstream.Legacy);
        return result == CUresult.CUDA_SUCCESS ? CudaStreamCalls.Send_cuStreamSynchronize(thread, CallClass.Blocking, CUstream.Legacy) : result;
    }

    private static Reservation? Around(ulong address, ulong bytes)
    {
        foreach (Reservation r in Reservations.Values)
            if (address >= r.Start && address - r.Start < r.Bytes && bytes <= r.Bytes - (address - r.Start)) return r;
        return null;
    }

    /// <param name="offset">0 is all that the driver takes</param>
    [UnmanagedCallersOnly(EntryPoint = "cuMemMap")]
    public static CUresult Map(CUdeviceptr address, nuint bytes, nuint offset, ulong handle, ulong flags) => Do("cuMemMap"u8, thread =>
    {
        if (flags != 0 || offset != 0 || !Known.TryGetValue(handle, out Physical? memory) || memory.References == 0 || memory.Bytes != bytes || address.Value % Granularity != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (Around(address.Value, bytes) is not { } reservation || reservation.Mappings.Any(m => m.Start < address.Value + bytes && address.Value < m.Start + m.Memory.Bytes)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        CUresult result = CUresult.CUDA_SUCCESS;
        if (memory.Mappings.Count != 0 && !memory.IsHomed)
        {
            if (!Devices.IsSoft(memory.Properties.LocationId)) return Unsupported.Use(ref s_toldTwice, "cuMemMap"u8, "of the same memory at two addresses, on a GPU,"u8);
            result = MakeHome(thread, memory);
        }
        if (result == CUresult.CUDA_SUCCESS) result = memory.IsHomed ? CudaSharingCalls.Send_trecrMemAlias(thread, address, bytes, new CUdeviceptr(memory.Kept)) : Fill(thread, address, memory.Kept, bytes);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (memory.Kept != 0 && !memory.IsHomed)
        {
            CudaMemoryCalls.Send_cuMemFree_v2(thread, CallClass.Blocking, new CUdeviceptr(memory.Kept));
            memory.Kept = 0;
        }
        Mapping made = new(address.Value, memory);
        memory.Mappings.Add(made);
        reservation.Mappings.Add(made);
        return CUresult.CUDA_SUCCESS;
    });

    /// <summary>Mappings that fill a range.</summary>
    /// <param name="whole">they do not reach beyond it</param>
    private static List<Mapping>? Inside(ulong address, ulong bytes, bool whole)
    {
        if (bytes == 0 || Around(address, bytes) is not { } reservation) return null;
        List<Mapping> found = [.. reservation.Mappings.Where(m => m.Start < address + bytes && address < m.Start + m.Memory.Bytes).OrderBy(m => m.Start)];
        ulong at = found.Count == 0 || whole && found[0].Start != address ? 0 : found[0].Start;
        foreach (Mapping m in found)
        {
            if (m.Start != at) return null;
            at += m.Memory.Bytes;
        }
        return found.Count == 0 || found[0].Start > address || (whole ? at != address + bytes : at < address + bytes) ? null : found;
    }

    /// <summary>Memory that a handle is still held on keeps its contents.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuMemUnmap")]
    public static CUresult Unmap(CUdeviceptr address, nuint bytes) => Do("cuMemUnmap"u8, thread =>
    {
        if (Inside(address.Value, bytes, whole: true) is not { } mappings) return CUresult.CUDA_ERROR_INVALID_VALUE;
        CUresult result = Contexts.Synchronize(thread);
        Reservation reservation = Around(address.Value, bytes)!;
        foreach (Mapping m in mappings)
        {
            if (result != CUresult.CUDA_SUCCESS) return result;
            if (m.Memory.IsHomed) result = CudaSharingCalls.Send_trecrMemAlias(thread, new CUdeviceptr(m.Start), (nuint)m.Memory.Bytes, default);
            else if (m.Memory.References > 0)
            {
                CUdeviceptr kept = default;
                result = Allocate(thread, &kept, m.Memory.Bytes);
                if (result != CUresult.CUDA_SUCCESS) return result;
                result = CudaCopyCalls.Send_cuMemcpyDtoDAsync_v2(thread, CallClass.Enqueue, kept, new CUdeviceptr(m.Start), (nuint)m.Memory.Bytes, CUstream.Legacy);
                if (result == CUresult.CUDA_SUCCESS) result = CudaStreamCalls.Send_cuStreamSynchronize(thread, CallClass.Blocking, CUstream.Legacy);
                m.Memory.Kept = kept.Value;
            }
            m.Memory.Mappings.Remove(m);
            reservation.Mappings.Remove(m);
            if (m.Memory.References == 0 && m.Memory.Mappings.Count == 0) Forget(thread, m.Memory);
        }
        return result;
    });

    /// <param name="descriptions">[count]</param>
    [UnmanagedCallersOnly(EntryPoint = "cuMemSetAccess")]
    public static CUresult SetAccess(CUdeviceptr address, nuint bytes, CUmemAccessDesc* descriptions, nuint count) => Do("cuMemSetAccess"u8, thread =>
    {
        if (descriptions == null || count == 0 || Inside(address.Value, bytes, whole: false) is not { } mappings) return CUresult.CUDA_ERROR_INVALID_VALUE;
        for (nuint n = 0; n < count; n++)
            if (descriptions[n].LocationType != Device || !Devices.IsValid(new CUdevice(descriptions[n].LocationId)) || descriptions[n].Flags is not (0 or 1 or 3)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        for (nuint n = 0; n < count; n++)
            foreach (Mapping m in mappings)
                if (m.Memory.Properties.LocationId == descriptions[n].LocationId) m.Access = descriptions[n].Flags;
        return CUresult.CUDA_SUCCESS;
    });

    /// <param name="location">CUmemLocation: type, ordinal</param>
    [UnmanagedCallersOnly(EntryPoint = "cuMemGetAccess")]
    public static CUresult GetAccess(ulong* flags, int* location, CUdeviceptr address) => Do("cuMemGetAccess"u8, thread =>
    {
        if (flags == null || location == null || location[0] != Device || !Devices.IsValid(new CUdevice(location[1])) || Inside(address.Value, 1, whole: false) is not { } mappings) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *flags = mappings[0].Memory.Properties.LocationId == location[1] ? (ulong)mappings[0].Access : 0;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuMemGetAllocationPropertiesFromHandle")]
    public static CUresult GetProperties(CUmemAllocationProp* properties, ulong handle) => Do("cuMemGetAllocationPropertiesFromHandle"u8, thread =>
    {
        if (properties == null || !Known.TryGetValue(handle, out Physical? found)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *properties = found.Properties;
        return CUresult.CUDA_SUCCESS;
    });

    /// <param name="shareable">int*: receives a file descriptor, which is the caller's</param><param name="type">1, as cuMemCreate was told</param>
    /// <remarks>The driver's descriptor keeps the memory alive; ours only names it, so that its maker must hold it until the others have it.</remarks>
    [UnmanagedCallersOnly(EntryPoint = "cuMemExportToShareableHandle")]
    public static CUresult Export(void* shareable, ulong handle, int type, ulong flags) => Do("cuMemExportToShareableHandle"u8, thread =>
    {
        if (shareable == null || flags != 0 || type != FileDescriptor || !Known.TryGetValue(handle, out Physical? memory) || memory.References == 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (memory.IsImported || memory.Properties.RequestedHandleTypes != FileDescriptor) return CUresult.CUDA_ERROR_INVALID_VALUE;
        ulong low, high;
        CUresult result = CudaSharingCalls.Send_trecrMemExport(thread, &low, &high, new CUdeviceptr(memory.Kept), 0);
        if (result != CUresult.CUDA_SUCCESS) return result;
        memory.Token = (low, high);
        *(int*)shareable = new ShareHandle(ShareHandle.Kinds.Physical, low, high).ToDescriptor();
        return CUresult.CUDA_SUCCESS;
    });

    /// <param name="shareable">the descriptor itself, as a pointer</param>
    [UnmanagedCallersOnly(EntryPoint = "cuMemImportFromShareableHandle")]
    public static CUresult Import(ulong* handle, void* shareable, int type) => Do("cuMemImportFromShareableHandle"u8, thread =>
    {
        if (handle == null || type != FileDescriptor || !ShareHandle.TryRead((int)(nint)shareable, ShareHandle.Kinds.Physical, out ShareHandle read)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        (ulong, ulong) token = (read.TokenLow, read.TokenHigh);
        foreach (Physical p in Known.Values)
            if (p.Token == token && p.References > 0)
            {
                p.References++;
                *handle = p.Handle;
                return CUresult.CUDA_SUCCESS;
            }
        CUdeviceptr home;
        CUresult result = CudaSharingCalls.Send_trecrMemImport(thread, &home, read.TokenLow, read.TokenHigh);
        if (result == CUresult.CUDA_SUCCESS) result = CudaSharingCalls.Send_trecrMemDetach(thread, home);
        PointerFacts facts = default;
        if (result == CUresult.CUDA_SUCCESS) result = CudaMemoryCalls.Send_trecrPointerFacts(thread, &facts, home);
        if (result != CUresult.CUDA_SUCCESS) return result;
        CUmemAllocationProp properties = new() { Type = 1, RequestedHandleTypes = FileDescriptor, LocationType = Device, LocationId = facts.DeviceOrdinal };
        Physical made = new(VirtualHandle.Make(HandleKind.MemoryAllocation, s_serial++), facts.RangeBytes, properties) { Kept = home.Value, IsHomed = true, IsImported = true, Token = token };
        Known[made.Handle] = made;
        *handle = made.Handle;
        return CUresult.CUDA_SUCCESS;
    });

    /// <summary>The handle behind a mapped address, held once more.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuMemRetainAllocationHandle")]
    public static CUresult Retain(ulong* handle, CUdeviceptr address) => Do("cuMemRetainAllocationHandle"u8, thread =>
    {
        if (handle == null || Inside(address.Value, 1, whole: false) is not { } mappings) return CUresult.CUDA_ERROR_INVALID_VALUE;
        mappings[0].Memory.References++;
        *handle = mappings[0].Memory.Handle;
        return CUresult.CUDA_SUCCESS;
    });
}
