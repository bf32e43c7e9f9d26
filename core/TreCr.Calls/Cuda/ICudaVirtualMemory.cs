namespace TreCr.Calls.Cuda;

/// <summary>Reserve, create, map: what the GMMU builds arenas from. CUDA Driver API, "Virtual Memory Management".</summary>
/// <remarks>Not exported to programs yet (they get CUDA_ERROR_NOT_SUPPORTED by name); ids are set aside.</remarks>
[CallTable(Library.Cuda)]
public unsafe interface ICudaVirtualMemory
{
    /// <param name="wanted">address asked for; the caller compares what it got</param>
    [Call(0x0401, CallClass.Answer, Internal = true)]
    CUresult cuMemAddressReserve([Out] CUdeviceptr* address, nuint bytes, nuint alignment, CUdeviceptr wanted, ulong flags);

    [Call(0x0402, CallClass.Answer, Internal = true)]
    CUresult cuMemAddressFree(CUdeviceptr address, nuint bytes);

    /// <summary>Physical memory; contents are zero.</summary>
    [Call(0x0403, CallClass.Answer, Internal = true)]
    CUresult cuMemCreate([Out] CUmemGenericAllocationHandle* handle, nuint bytes, [In] CUmemAllocationProp* properties, ulong flags);

    [Call(0x0404, CallClass.Answer, Internal = true)]
    CUresult cuMemRelease(CUmemGenericAllocationHandle handle);

    [Call(0x0405, CallClass.Answer, Internal = true)]
    CUresult cuMemMap(CUdeviceptr address, nuint bytes, nuint offset, CUmemGenericAllocationHandle handle, ulong flags);

    [Call(0x0406, CallClass.Answer, Internal = true)]
    CUresult cuMemUnmap(CUdeviceptr address, nuint bytes);

    /// <remarks>Local: an array of structs is no record; programs do not get this call yet.</remarks>
    /// <param name="descriptions">[count]</param>
    [Call(0x0407, CallClass.Local, Internal = true)]
    CUresult cuMemSetAccess(CUdeviceptr address, nuint bytes, CUmemAccessDesc* descriptions, nuint count);

    [Call(0x0408, CallClass.Answer, Internal = true)]
    CUresult cuMemGetAllocationGranularity([Out] nuint* bytes, [In] CUmemAllocationProp* properties, int option);

    /// <summary>Tells the device of pinned memory that both processes share: real back end cuMemHostRegister(DEVICEMAP | PORTABLE), software device: an allowed range.</summary>
    /// <param name="address">page aligned, mapped in the delegator</param>
    [Call(0x0409, CallClass.Answer, Internal = true)]
    CUresult trecrHostMap(ulong address, nuint bytes);

    [Call(0x040a, CallClass.Answer, Internal = true)]
    CUresult trecrHostUnmap(ulong address);
}
