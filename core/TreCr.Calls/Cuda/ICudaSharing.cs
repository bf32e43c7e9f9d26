namespace TreCr.Calls.Cuda;

/// <summary>
/// Device memory and events that processes of one job share: what stands behind cuIpc*, exported physical memory and exported pools. CUDA Driver API, "Memory Management" (IPC), "Virtual Memory Management".
/// </summary>
/// <remarks>A token of 128 random bits, which the program carries in a handle or a file, names what is shared, over restarts too. Implemented by the delegator over <see cref="IDeviceSharing"/>.</remarks>
[CallTable(Library.Cuda)]
public unsafe interface ICudaSharing
{
    /// <summary>Makes the allocation that holds the address known to others; again and again the same token.</summary>
    /// <param name="streamOrdered">1: memory of cuMemAllocAsync is meant, 0: of cuMemAlloc; the other kind is CUDA_ERROR_INVALID_VALUE</param>
    [Call(0x0b01, CallClass.Answer, Internal = true)]
    CUresult trecrMemExport([Out] ulong* tokenLow, [Out] ulong* tokenHigh, CUdeviceptr address, uint streamOrdered);

    /// <summary>Maps what another process exported; opened once more it has the same address, and is closed as often.</summary>
    /// <returns>CUDA_ERROR_INVALID_VALUE: nobody who lives exports it; CUDA_ERROR_INVALID_CONTEXT: this process does; CUDA_ERROR_NOT_SUPPORTED: another job does, or the device cannot share</returns>
    [Call(0x0b02, CallClass.Answer, Internal = true), Creates(nameof(address))]
    CUresult trecrMemImport([Out] CUdeviceptr* address, ulong tokenLow, ulong tokenHigh);

    /// <summary>Waits for the work of the context, as a free does.</summary>
    /// <returns>CUDA_ERROR_INVALID_VALUE: nothing imported begins there</returns>
    [Call(0x0b03, CallClass.Blocking, Internal = true), Destroys(nameof(address))]
    CUresult trecrMemImportClose(CUdeviceptr address);

    /// <summary>Lets whole blocks of one allocation show the memory of another one, until that is taken back: physical memory that is mapped at a reserved place.</summary>
    /// <param name="target">start of an allocation or import; 0: the place's own memory again, as zeroes</param>
    /// <remarks>The caller has waited for the work that uses the place.</remarks>
    [Call(0x0b04, CallClass.Answer, Internal = true)]
    CUresult trecrMemAlias(CUdeviceptr address, nuint bytes, CUdeviceptr target);

    /// <summary>An allocation or import belongs to its device from now on: it does not end with the context that it was made in. Reserved and physical memory is such.</summary>
    /// <returns>CUDA_ERROR_INVALID_VALUE: no device memory begins there</returns>
    [Call(0x0b07, CallClass.Answer, Internal = true)]
    CUresult trecrMemDetach(CUdeviceptr address);

    /// <summary>Lets other processes use an event that was made for it.</summary>
    [Call(0x0b05, CallClass.Answer, Internal = true, Logged = true)]
    CUresult trecrEventExport(CUevent @event, ulong tokenLow, ulong tokenHigh);

    /// <inheritdoc cref="trecrMemImport"/>
    [Call(0x0b06, CallClass.Answer, Internal = true), Creates(nameof(@event))]
    CUresult trecrEventImport([Out] CUevent* @event, ulong tokenLow, ulong tokenHigh);
}
