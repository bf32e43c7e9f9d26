using TreCr.Calls.Cuda;
using TreCr.Gmmu;

namespace TreCr.Delegator;

/// <summary>What processes of a job share: memory by the GMMU, events by the back end. Context and device are those of the record being run on this thread.</summary>
/// <param name="isReplaying">the log is being replayed</param>
internal sealed unsafe class SharingCalls(ICudaBackend backend, DeviceMemory memory, Func<bool> isReplaying) : ICudaSharing
{
    public CUresult trecrMemExport(ulong* tokenLow, ulong* tokenHigh, CUdeviceptr address, uint streamOrdered)
    {
        CUresult result = Told(memory.Export(address.Value, streamOrdered != 0, out UInt128 token));
        (*tokenLow, *tokenHigh) = ((ulong)token, (ulong)(token >> 64));
        return result;
    }

    public CUresult trecrMemImport(CUdeviceptr* address, ulong tokenLow, ulong tokenHigh)
    {
        CallState call = CallState.Current;
        CUresult result = Told(memory.Import(call.Ordinal, new UInt128(tokenHigh, tokenLow), call.Context, out ulong at));
        *address = new CUdeviceptr(at);
        return result;
    }

    public CUresult trecrMemImportClose(CUdeviceptr address)
    {
        if (memory.Find(address.Value) is not { Kind: AllocationKind.Imported } found || found.Address != address.Value) return CUresult.CUDA_ERROR_INVALID_VALUE;
        CUresult result = backend.cuCtxSynchronize();
        return result != CUresult.CUDA_SUCCESS ? result : memory.CloseImport(address.Value);
    }

    public CUresult trecrMemAlias(CUdeviceptr address, nuint bytes, CUdeviceptr target) => Told(memory.Alias(address.Value, bytes, target.Value));

    public CUresult trecrMemDetach(CUdeviceptr address) => memory.DetachFromContext(address.Value);

    public CUresult trecrEventExport(CUevent @event, ulong tokenLow, ulong tokenHigh)
        => Told(backend.Sharing?.ExportEvent(@event, new UInt128(tokenHigh, tokenLow)) ?? CUresult.CUDA_ERROR_NOT_SUPPORTED);

    public CUresult trecrEventImport(CUevent* @event, ulong tokenLow, ulong tokenHigh)
    {
        *@event = default;
        CUevent made = default;
        CUresult result = Told(backend.Sharing?.ImportEvent(out made, new UInt128(tokenHigh, tokenLow), isReplaying()) ?? CUresult.CUDA_ERROR_NOT_SUPPORTED);
        *@event = made;
        return result;
    }

    private CUresult Told(CUresult result)
    {
        if (result == CUresult.CUDA_ERROR_NOT_SUPPORTED && backend.Sharing is null) Messages.SayOnce($"memory and events for other processes, and the same memory at two addresses, are not supported on this device ({backend.DeviceKind})");
        return result;
    }
}
