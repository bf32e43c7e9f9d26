namespace TreCr.Calls.Cuda;

/// <summary>
/// Copies and fills. CUDA Driver API, "Memory Management". Behind the dispatch a host pointer is an address of the delegator: the pinned arena
/// (same address in both processes) or a staging buffer; the delegator moves pageable bytes itself (process_vm_readv and writev).
/// </summary>
/// <remarks>
/// Classes by arguments (wrapper Manual/Copies.cs). Async forms: pageable source up to <see cref="Records.RecordLimits.MaxInlineBytes"/>: enqueue with the bytes in the
/// record; longer: blocking, answered when the bytes have been fetched; pinned source or destination (remote bit, address inside the pinned arena): enqueue; pageable destination:
/// blocking, answered when the bytes are there. A waiting record with a pinned side is answered when the copy is complete.
/// The forms without Async are the Async form on the default stream in the back end's eyes, but wait always, so that what the driver rejects at once is rejected at once.
/// </remarks>
[CallTable(Library.Cuda)]
public unsafe interface ICudaCopy
{
    [Call(0x0501, CallClass.Enqueue), Manual("class depends on where the source lies", Dispatch = true)]
    CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr destination, [InBytes(nameof(bytes))] void* source, nuint bytes, CUstream stream);

    [Call(0x0502, CallClass.Blocking), Manual("class depends on where the destination lies", Dispatch = true)]
    CUresult cuMemcpyDtoHAsync_v2([OutBytes(nameof(bytes))] void* destination, CUdeviceptr source, nuint bytes, CUstream stream);

    [Call(0x0503, CallClass.Enqueue), Manual("makes a node where the stream captures")]
    CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr destination, CUdeviceptr source, nuint bytes, CUstream stream);

    /// <summary>2-D copy; host sides as above.</summary>
    [Call(0x0504, CallClass.Blocking), Manual("host rows are moved by the delegator", Dispatch = true)]
    CUresult cuMemcpy2DAsync_v2([In] CUDA_MEMCPY2D* copy, CUstream stream);

    /// <param name="count">bytes</param>
    [Call(0x0505, CallClass.Enqueue), Manual("makes a node where the stream captures")]
    CUresult cuMemsetD8Async(CUdeviceptr destination, byte value, nuint count, CUstream stream);

    /// <param name="count">16-bit elements; the address is 2-byte aligned</param>
    [Call(0x0506, CallClass.Enqueue), Manual("makes a node where the stream captures")]
    CUresult cuMemsetD16Async(CUdeviceptr destination, ushort value, nuint count, CUstream stream);

    /// <param name="count">32-bit elements; the address is 4-byte aligned</param>
    [Call(0x0507, CallClass.Enqueue), Manual("makes a node where the stream captures")]
    CUresult cuMemsetD32Async(CUdeviceptr destination, uint value, nuint count, CUstream stream);

    /// <param name="pitch">bytes between rows</param><param name="width">elements in a row</param>
    [Call(0x0508, CallClass.Enqueue), Manual("makes a node where the stream captures")]
    CUresult cuMemsetD2D8Async(CUdeviceptr destination, nuint pitch, byte value, nuint width, nuint height, CUstream stream);

    [Call(0x0509, CallClass.Enqueue), Manual("makes a node where the stream captures")]
    CUresult cuMemsetD2D16Async(CUdeviceptr destination, nuint pitch, ushort value, nuint width, nuint height, CUstream stream);

    [Call(0x050a, CallClass.Enqueue), Manual("makes a node where the stream captures")]
    CUresult cuMemsetD2D32Async(CUdeviceptr destination, nuint pitch, uint value, nuint width, nuint height, CUstream stream);
}
