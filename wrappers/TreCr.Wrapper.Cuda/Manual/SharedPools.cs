using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: pools are the wrapper's own; one that comes from another process is a name, its memory comes pointer by pointer. CUDA Driver API, "Stream Ordered Memory Allocator".
internal static unsafe class SharedPools
{
    public const int FileDescriptor = 1; // CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR

    private static volatile bool s_any; // pointers of other processes' pools

    /// <param name="shareable">int*: receives a file descriptor, which is the caller's</param>
    [UnmanagedCallersOnly(EntryPoint = "cuMemPoolExportToShareableHandle")]
    public static CUresult Export(void* shareable, CUmemoryPool pool, int type, ulong flags) => Pools.With(pool, found =>
    {
        if (shareable == null || flags != 0 || type != FileDescriptor || found.HandleTypes != FileDescriptor || found.IsImported) return CUresult.CUDA_ERROR_INVALID_VALUE;
        found.Shared ??= ShareHandle.New(ShareHandle.Kinds.Pool) with { Device = found.Device };
        *(int*)shareable = found.Shared.Value.ToDescriptor();
        return CUresult.CUDA_SUCCESS;
    });

    /// <param name="shareable">the descriptor itself, as a pointer</param>
    [UnmanagedCallersOnly(EntryPoint = "cuMemPoolImportFromShareableHandle")]
    public static CUresult Import(CUmemoryPool* pool, void* shareable, int type, ulong flags)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        if (pool == null || flags != 0 || type != FileDescriptor || !ShareHandle.TryRead((int)(nint)shareable, ShareHandle.Kinds.Pool, out ShareHandle read)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (!Devices.IsValid(new CUdevice(read.Device)) || !Devices.IsSoft(read.Device)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        try
        {
            lock (PoolState.Gate) *pool = new CUmemoryPool(PoolState.Make(read.Device, FileDescriptor, isImported: true).Handle);
            return CUresult.CUDA_SUCCESS;
        }
        catch (Exception e) { return Session.Failed("cuMemPoolImportFromShareableHandle"u8, e); }
    }

    /// <returns>CUDA_ERROR_INVALID_VALUE: no memory of a pool that was made for other processes</returns>
    [UnmanagedCallersOnly(EntryPoint = "cuMemPoolExportPointer")]
    public static CUresult ExportPointer(ShareHandle* data, CUdeviceptr address)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        lock (PoolState.Gate)
            if (data == null || PoolState.Of(address.Value) is not { HandleTypes: FileDescriptor, IsImported: false }) return CUresult.CUDA_ERROR_INVALID_VALUE;
        ulong low, high;
        result = CudaSharingCalls.Send_trecrMemExport(thread, &low, &high, address, 1);
        if (result == CUresult.CUDA_SUCCESS) *data = new ShareHandle(ShareHandle.Kinds.PoolPointer, low, high);
        return result;
    }

    /// <summary>Closed by cuMemFree or cuMemFreeAsync, as often as it was opened.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuMemPoolImportPointer")]
    public static CUresult ImportPointer(CUdeviceptr* address, CUmemoryPool pool, ShareHandle* data)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result : Pools.With(pool, found =>
        {
            if (address == null || data == null || !found.IsImported || !data->Is(ShareHandle.Kinds.PoolPointer)) return CUresult.CUDA_ERROR_INVALID_VALUE;
            CUresult got = CudaSharingCalls.Send_trecrMemImport(WrapperRuntime.Enter(), address, data->TokenLow, data->TokenHigh);
            if (got != CUresult.CUDA_SUCCESS) return got;
            s_any = true;
            found.Add(address->Value, 0);
            return got;
        });
    }

    /// <summary>The address is of another process's pool: waits for the work here, and closes it.</summary>
    public static bool Frees(ProgramThread* thread, CUdeviceptr address, out CUresult result)
    {
        result = CUresult.CUDA_SUCCESS;
        if (!s_any) return false;
        lock (PoolState.Gate)
            if (PoolState.Of(address.Value) is not { IsImported: true }) return false;
        result = CudaSharingCalls.Send_trecrMemImportClose(thread, address);
        return true;
    }
}
