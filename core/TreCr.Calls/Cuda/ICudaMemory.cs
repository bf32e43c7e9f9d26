namespace TreCr.Calls.Cuda;

/// <summary>Allocation. CUDA Driver API, "Memory Management". Implemented by the delegator's GMMU over <see cref="ICudaVirtualMemory"/>: it decides every address.</summary>
[CallTable(Library.Cuda)]
public unsafe interface ICudaMemory
{
    /// <param name="bytes">0 is CUDA_ERROR_INVALID_VALUE; the address is a multiple of 512</param>
    [Call(0x0301, CallClass.Answer), Creates(nameof(address))]
    CUresult cuMemAlloc_v2([Out] CUdeviceptr* address, nuint bytes);

    /// <param name="pitch">bytes between rows, a multiple of 512</param>
    /// <param name="elementSizeBytes">4, 8 or 16</param>
    [Call(0x0302, CallClass.Answer), Creates(nameof(address))]
    CUresult cuMemAllocPitch_v2([Out] CUdeviceptr* address, [Out] nuint* pitch, nuint widthBytes, nuint height, uint elementSizeBytes);

    /// <summary>Waits for all work of the context, as the driver does. 0 is success.</summary>
    [Call(0x0303, CallClass.Blocking), Destroys(nameof(address)), Manual("memory of a graph stays with the graph")]
    CUresult cuMemFree_v2(CUdeviceptr address);

    [Call(0x0304, CallClass.Answer)]
    CUresult cuMemGetInfo_v2([Out] nuint* free, [Out] nuint* total);

    [Call(0x0305, CallClass.Answer)]
    CUresult cuMemGetAddressRange_v2([Out(Optional = true)] CUdeviceptr* start, [Out(Optional = true)] nuint* bytes, CUdeviceptr address);

    /// <summary>Pinned memory from the session's pinned arena, at one address in program, delegator and device.</summary>
    /// <param name="flags">1 portable, 2 device-mapped, 4 write-combined</param>
    [Call(0x0306, CallClass.Answer), Creates(nameof(host))]
    CUresult cuMemHostAlloc([Out] ulong* host, nuint bytes, uint flags);

    /// <summary>Waits for all work of the context. 0 is success.</summary>
    [Call(0x0307, CallClass.Blocking), Destroys(nameof(host))]
    CUresult cuMemFreeHost([ProgramAddress] ulong host);

    [Call(0x0308, CallClass.Answer)]
    CUresult cuMemHostGetFlags([Out] uint* flags, [ProgramAddress] ulong host);

    /// <summary>Program memory made known for copies; it counts as pageable (design.md §5), is never remapped.</summary>
    [Call(0x0309, CallClass.Answer), Creates(nameof(host))]
    CUresult cuMemHostRegister_v2([ProgramAddress] ulong host, nuint bytes, uint flags);

    [Call(0x030a, CallClass.Answer), Destroys(nameof(host))]
    CUresult cuMemHostUnregister([ProgramAddress] ulong host);

    [Call(0x030b, CallClass.Answer)]
    CUresult cuMemHostGetDevicePointer_v2([Out] CUdeviceptr* address, [ProgramAddress] ulong host, uint flags);

    /// <summary>Managed memory: from the pinned arena, usable by both sides.</summary>
    [Call(0x030c, CallClass.Answer), Creates(nameof(address))]
    CUresult cuMemAllocManaged([Out] CUdeviceptr* address, nuint bytes, uint flags);

    /// <summary>Stream-ordered allocation; the address is decided at once, reuse waits for the stream.</summary>
    [Call(0x030d, CallClass.Answer), Creates(nameof(address)), Manual("a node where the stream captures; counted in a pool")]
    CUresult cuMemAllocAsync([Out] CUdeviceptr* address, nuint bytes, CUstream stream);

    [Call(0x030e, CallClass.Answer), Destroys(nameof(address)), Manual("a node where the stream captures; counted in a pool")]
    CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream);

    /// <summary>What the session knows of an address: behind cuPointerGetAttribute(s).</summary>
    /// <param name="facts">MemoryType 0 where CUDA does not know the address</param>
    [Call(0x0310, CallClass.Answer, Internal = true, NoContext = true)]
    CUresult trecrPointerFacts([Out] PointerFacts* facts, CUdeviceptr address);
}
