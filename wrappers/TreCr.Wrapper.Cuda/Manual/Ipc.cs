using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: handles are tokens of ours (State/ShareHandle.cs). CUDA Driver API, "Memory Management" (cuIpc*).
// A handle comes by value: 64 bytes on the stack, while the other arguments are in registers. A parameter of that size ends the process where it is the first call into the library (NativeAOT 9.0), so the registers that are
// left over and the words on the stack are named one by one, as with ncclUniqueId.
internal static unsafe class Ipc
{
    private const uint LazyEnablePeerAccess = 1; // CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS: there is no other flag, and it must be given

    /// <returns>CUDA_ERROR_INVALID_VALUE: no memory of cuMemAlloc</returns>
    [UnmanagedCallersOnly(EntryPoint = "cuIpcGetMemHandle")]
    public static CUresult GetMemHandle(ShareHandle* handle, CUdeviceptr address)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (handle == null || VirtualMemory.IsReserved(address.Value)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        ulong low, high;
        result = CudaSharingCalls.Send_trecrMemExport(thread, &low, &high, address, 0);
        if (result == CUresult.CUDA_SUCCESS) *handle = new ShareHandle(ShareHandle.Kinds.Memory, low, high);
        return result;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuIpcOpenMemHandle_v2")]
    public static CUresult OpenMemHandle(CUdeviceptr* address, uint flags, ulong rdx, ulong rcx, ulong r8, ulong r9, ulong magic, ulong kind, ulong low, ulong high) => Open(address, flags, magic, kind, low, high);

    /// <summary>The first form has the same ABI.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuIpcOpenMemHandle")]
    public static CUresult OpenMemHandle_v1(CUdeviceptr* address, uint flags, ulong rdx, ulong rcx, ulong r8, ulong r9, ulong magic, ulong kind, ulong low, ulong high) => Open(address, flags, magic, kind, low, high);

    private static CUresult Open(CUdeviceptr* address, uint flags, ulong magic, ulong kind, ulong low, ulong high)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        ShareHandle handle = new((ShareHandle.Kinds)kind, low, high) { Magic = magic };
        if (address == null || flags != LazyEnablePeerAccess || !handle.Is(ShareHandle.Kinds.Memory)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        return CudaSharingCalls.Send_trecrMemImport(thread, address, low, high);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuIpcCloseMemHandle")]
    public static CUresult CloseMemHandle(CUdeviceptr address)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result : CudaSharingCalls.Send_trecrMemImportClose(thread, address);
    }

    /// <returns>CUDA_ERROR_INVALID_HANDLE: an event that was not made for other processes, or that another one made</returns>
    [UnmanagedCallersOnly(EntryPoint = "cuIpcGetEventHandle")]
    public static CUresult GetEventHandle(ShareHandle* handle, CUevent @event)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (handle == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        try
        {
            if (SharedEvents.Find(@event) is not { } known)
            {
                known = ShareHandle.New(ShareHandle.Kinds.Event);
                result = CudaSharingCalls.Send_trecrEventExport(thread, @event, known.TokenLow, known.TokenHigh);
                if (result != CUresult.CUDA_SUCCESS) return result;
                SharedEvents.Add(@event, known);
            }
            if (!known.Is(ShareHandle.Kinds.Event)) return CUresult.CUDA_ERROR_INVALID_HANDLE;
            *handle = known;
            return CUresult.CUDA_SUCCESS;
        }
        catch (Exception e) { return Session.Failed("cuIpcGetEventHandle"u8, e); }
    }

    [UnmanagedCallersOnly(EntryPoint = "cuIpcOpenEventHandle")]
    public static CUresult OpenEventHandle(CUevent* @event, ulong rsi, ulong rdx, ulong rcx, ulong r8, ulong r9, ulong magic, ulong kind, ulong low, ulong high)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        ShareHandle handle = new((ShareHandle.Kinds)kind, low, high) { Magic = magic };
        if (@event == null || !handle.Is(ShareHandle.Kinds.Event)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        try
        {
            result = CudaSharingCalls.Send_trecrEventImport(thread, @event, low, high);
            if (result == CUresult.CUDA_SUCCESS) SharedEvents.Add(*@event, default); // not ours to give on
            return result;
        }
        catch (Exception e) { return Session.Failed("cuIpcOpenEventHandle"u8, e); }
    }
}
