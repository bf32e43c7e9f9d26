using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Graphs;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: the first versions have the arguments of the second, a batch is its operations one after another, and no capture takes them. CUDA Driver API, "Stream Memory Operations".
internal static unsafe class StreamValues
{
    private const uint Flush = 1 << 30;
    private const int CanFlush = 98;

    internal enum Operation { Wait32 = 1, Write32 = 2, FlushRemote = 3, Wait64 = 4, Write64 = 5, Barrier = 6 }

    /// <summary>CUstreamBatchMemOpParams, 48 bytes.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 48)]
    internal struct BatchEntry
    {
        [FieldOffset(0)] public Operation Operation;
        [FieldOffset(8)] public ulong Address;
        [FieldOffset(16)] public ulong Value;
        [FieldOffset(24)] public uint Flags;
        /// <summary>Of flushes and barriers.</summary>
        [FieldOffset(4)] public uint OtherFlags;
    }

    /// <summary>What the driver asks of one operation, before any is queued.</summary>
    private static CUresult Check(Operation operation, ulong address, uint flags)
    {
        bool isWait = operation is Operation.Wait32 or Operation.Wait64;
        if (address == 0 || address % (operation is Operation.Wait32 or Operation.Write32 ? 4u : 8u) != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if ((isWait ? flags & ~Flush : flags) > (isWait ? 3u : 1u)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        return isWait && (flags & Flush) != 0 && Devices.Attribute(0, CanFlush) == 0 ? CUresult.CUDA_ERROR_NOT_SUPPORTED : CUresult.CUDA_SUCCESS;
    }

    private static CUresult Send(ProgramThread* thread, Operation operation, CUstream stream, CUdeviceptr address, ulong value, uint flags) => operation switch
    {
        Operation.Wait32 => CudaStreamCalls.Send_cuStreamWaitValue32_v2(thread, CallClass.Answer, stream, address, (uint)value, flags),
        Operation.Wait64 => CudaStreamCalls.Send_cuStreamWaitValue64_v2(thread, CallClass.Answer, stream, address, value, flags),
        Operation.Write32 => CudaStreamCalls.Send_cuStreamWriteValue32_v2(thread, CallClass.Answer, stream, address, (uint)value, flags),
        Operation.Write64 => CudaStreamCalls.Send_cuStreamWriteValue64_v2(thread, CallClass.Answer, stream, address, value, flags),
        _ => CUresult.CUDA_SUCCESS, // a barrier or a flush: streams and memory here are in order
    };

    private static CUresult Enter(CUstream stream, out ProgramThread* thread)
    {
        CUresult result = Session.Enter(out thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        return StreamCapture.IsActive && StreamCapture.Spoils(stream, out CUresult spoilt) ? spoilt : CUresult.CUDA_SUCCESS;
    }

    private static CUresult One(Operation operation, CUstream stream, CUdeviceptr address, ulong value, uint flags)
    {
        CUresult result = Enter(stream, out ProgramThread* thread);
        if (result == CUresult.CUDA_SUCCESS) result = Check(operation, address.Value, flags);
        return result == CUresult.CUDA_SUCCESS ? Send(thread, operation, stream, address, value, flags) : result;
    }

    private static CUresult Batch(CUstream stream, uint count, BatchEntry* entries, uint flags)
    {
        CUresult result = Enter(stream, out ProgramThread* thread);
        if (result == CUresult.CUDA_SUCCESS) result = Check(count, entries, flags);
        return result == CUresult.CUDA_SUCCESS ? Send(thread, stream, new ReadOnlySpan<BatchEntry>(entries, (int)count)) : result;
    }

    /// <summary>What the driver asks of a batch, before any of it is queued.</summary>
    internal static CUresult Check(uint count, BatchEntry* entries, uint flags)
    {
        const uint most = 256;
        CUresult result = CUresult.CUDA_SUCCESS;
        if (count is 0 or > most || entries == null || flags != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        for (uint n = 0; n < count && result == CUresult.CUDA_SUCCESS; n++)
            result = entries[n].Operation switch
            {
                Operation.Wait32 or Operation.Wait64 or Operation.Write32 or Operation.Write64 => Check(entries[n].Operation, entries[n].Address, entries[n].Flags),
                Operation.Barrier => entries[n].OtherFlags > 1 ? CUresult.CUDA_ERROR_INVALID_VALUE : CUresult.CUDA_SUCCESS,
                Operation.FlushRemote => Devices.Attribute(0, CanFlush) == 0 ? CUresult.CUDA_ERROR_NOT_SUPPORTED : CUresult.CUDA_SUCCESS,
                _ => CUresult.CUDA_ERROR_INVALID_VALUE,
            };
        return result;
    }

    internal static CUresult Send(ProgramThread* thread, CUstream stream, ReadOnlySpan<BatchEntry> entries)
    {
        CUresult result = CUresult.CUDA_SUCCESS;
        foreach (ref readonly BatchEntry entry in entries)
            if (result == CUresult.CUDA_SUCCESS) result = Send(thread, entry.Operation, stream, new CUdeviceptr(entry.Address), entry.Value, entry.Flags);
        return result;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWaitValue32")]
    public static CUresult Wait32(CUstream stream, CUdeviceptr address, uint value, uint flags) => One(Operation.Wait32, stream, address, value, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWaitValue32_ptsz")]
    public static CUresult Wait32_ptsz(CUstream stream, CUdeviceptr address, uint value, uint flags) => One(Operation.Wait32, PerThread.Of(stream), address, value, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWaitValue32_v2")]
    public static CUresult Wait32_v2(CUstream stream, CUdeviceptr address, uint value, uint flags) => One(Operation.Wait32, stream, address, value, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWaitValue32_v2_ptsz")]
    public static CUresult Wait32_v2_ptsz(CUstream stream, CUdeviceptr address, uint value, uint flags) => One(Operation.Wait32, PerThread.Of(stream), address, value, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWaitValue64")]
    public static CUresult Wait64(CUstream stream, CUdeviceptr address, ulong value, uint flags) => One(Operation.Wait64, stream, address, value, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWaitValue64_ptsz")]
    public static CUresult Wait64_ptsz(CUstream stream, CUdeviceptr address, ulong value, uint flags) => One(Operation.Wait64, PerThread.Of(stream), address, value, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWaitValue64_v2")]
    public static CUresult Wait64_v2(CUstream stream, CUdeviceptr address, ulong value, uint flags) => One(Operation.Wait64, stream, address, value, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWaitValue64_v2_ptsz")]
    public static CUresult Wait64_v2_ptsz(CUstream stream, CUdeviceptr address, ulong value, uint flags) => One(Operation.Wait64, PerThread.Of(stream), address, value, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWriteValue32")]
    public static CUresult Write32(CUstream stream, CUdeviceptr address, uint value, uint flags) => One(Operation.Write32, stream, address, value, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWriteValue32_ptsz")]
    public static CUresult Write32_ptsz(CUstream stream, CUdeviceptr address, uint value, uint flags) => One(Operation.Write32, PerThread.Of(stream), address, value, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWriteValue32_v2")]
    public static CUresult Write32_v2(CUstream stream, CUdeviceptr address, uint value, uint flags) => One(Operation.Write32, stream, address, value, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWriteValue32_v2_ptsz")]
    public static CUresult Write32_v2_ptsz(CUstream stream, CUdeviceptr address, uint value, uint flags) => One(Operation.Write32, PerThread.Of(stream), address, value, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWriteValue64")]
    public static CUresult Write64(CUstream stream, CUdeviceptr address, ulong value, uint flags) => One(Operation.Write64, stream, address, value, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWriteValue64_ptsz")]
    public static CUresult Write64_ptsz(CUstream stream, CUdeviceptr address, ulong value, uint flags) => One(Operation.Write64, PerThread.Of(stream), address, value, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWriteValue64_v2")]
    public static CUresult Write64_v2(CUstream stream, CUdeviceptr address, ulong value, uint flags) => One(Operation.Write64, stream, address, value, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWriteValue64_v2_ptsz")]
    public static CUresult Write64_v2_ptsz(CUstream stream, CUdeviceptr address, ulong value, uint flags) => One(Operation.Write64, PerThread.Of(stream), address, value, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamBatchMemOp")]
    public static CUresult Batch(CUstream stream, uint count, void* entries, uint flags) => Batch(stream, count, (BatchEntry*)entries, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamBatchMemOp_ptsz")]
    public static CUresult Batch_ptsz(CUstream stream, uint count, void* entries, uint flags) => Batch(PerThread.Of(stream), count, (BatchEntry*)entries, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamBatchMemOp_v2")]
    public static CUresult Batch_v2(CUstream stream, uint count, void* entries, uint flags) => Batch(stream, count, (BatchEntry*)entries, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamBatchMemOp_v2_ptsz")]
    public static CUresult Batch_v2_ptsz(CUstream stream, uint count, void* entries, uint flags) => Batch(PerThread.Of(stream), count, (BatchEntry*)entries, flags);
}
