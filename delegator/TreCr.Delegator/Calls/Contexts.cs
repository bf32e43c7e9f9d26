using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Calls.Dispatch;
using TreCr.Calls.Records;

namespace TreCr.Delegator;

/// <summary>Contexts whose handles follow a rule, and their ends, which take everything in them along.</summary>
internal static unsafe partial class CudaContextDispatch
{
    private static partial CUresult cuDevicePrimaryCtxRetain(ICudaContext backend, IDispatchSession session, RecordHeader* record, CUdevice device, ref AnswerWriter answer)
    {
        Session own = (Session)session;
        ulong handle = VirtualHandle.PrimaryContext(device.Value);
        if (!own.HasContext(handle))
        {
            CUcontext real;
            CUresult result = backend.cuDevicePrimaryCtxRetain(&real, device);
            if (result != CUresult.CUDA_SUCCESS) return result;
            own.AddContext(handle, real.Value, device.Value);
        }
        answer.Write(new CUcontext(handle));
        session.LogCreate(record, HandleKind.Context, handle, ref answer);
        return CUresult.CUDA_SUCCESS;
    }

    private static partial CUresult cuDevicePrimaryCtxRelease_v2(ICudaContext backend, IDispatchSession session, RecordHeader* record, CUdevice device, ref AnswerWriter answer)
    {
        ulong handle = VirtualHandle.PrimaryContext(device.Value);
        ((Session)session).QuiesceContext(CallState.Current, handle);
        CUresult result = backend.cuDevicePrimaryCtxRelease_v2(device);
        ((Session)session).ForgetContext(handle);
        return result;
    }

    private static partial CUresult cuDevicePrimaryCtxReset_v2(ICudaContext backend, IDispatchSession session, RecordHeader* record, CUdevice device, ref AnswerWriter answer)
    {
        ulong handle = VirtualHandle.PrimaryContext(device.Value);
        ((Session)session).QuiesceContext(CallState.Current, handle);
        CUresult result = backend.cuDevicePrimaryCtxReset_v2(device);
        ((Session)session).ForgetContext(handle);
        return result;
    }

    private static partial CUresult cuCtxDestroy_v2(ICudaContext backend, IDispatchSession session, RecordHeader* record, CUcontext context, ref AnswerWriter answer)
    {
        ulong handle = *(ulong*)((byte*)record + RecordHeader.SizeBytes);
        // The driver refuses to destroy a primary context so (CUDA Driver API, cuCtxDestroy).
        if (VirtualHandle.SerialOf(handle) < VirtualHandle.FirstSerial) return CUresult.CUDA_ERROR_INVALID_CONTEXT;
        ((Session)session).QuiesceContext(CallState.Current, handle);
        CUresult result = backend.cuCtxDestroy_v2(context);
        ((Session)session).ForgetContext(handle);
        return result;
    }
}
