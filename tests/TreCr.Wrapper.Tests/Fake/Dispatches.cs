using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Calls.Dispatch;
using TreCr.Calls.Records;
using TreCr.Linux;
using TreCr.Ring;

namespace TreCr.Wrapper.Tests.Fake;

[DispatchOf(typeof(ICudaDevice))] internal static unsafe partial class DeviceDispatch;

[DispatchOf(typeof(ICudaModule))] internal static unsafe partial class ModuleDispatch;

[DispatchOf(typeof(ICudaMemory))] internal static unsafe partial class MemoryDispatch;

[DispatchOf(typeof(ICudaStream))] internal static unsafe partial class StreamDispatch;

[DispatchOf(typeof(ICudaEvent))] internal static unsafe partial class EventDispatch;

[DispatchOf(typeof(ICudaContext))]
internal static unsafe partial class ContextDispatch
{
    private static partial CUresult cuDevicePrimaryCtxRetain(ICudaContext backend, IDispatchSession session, RecordHeader* record, CUdevice device, ref AnswerWriter answer)
    {
        CUcontext real;
        CUresult result = backend.cuDevicePrimaryCtxRetain(&real, device);
        if (result == CUresult.CUDA_SUCCESS) answer.Write(VirtualHandle.PrimaryContext(device.Value));
        return result;
    }

    private static partial CUresult cuDevicePrimaryCtxRelease_v2(ICudaContext backend, IDispatchSession session, RecordHeader* record, CUdevice device, ref AnswerWriter answer)
        => backend.cuDevicePrimaryCtxRelease_v2(device);

    private static partial CUresult cuDevicePrimaryCtxReset_v2(ICudaContext backend, IDispatchSession session, RecordHeader* record, CUdevice device, ref AnswerWriter answer)
        => backend.cuDevicePrimaryCtxReset_v2(device);

    private static partial CUresult cuCtxDestroy_v2(ICudaContext backend, IDispatchSession session, RecordHeader* record, CUcontext context, ref AnswerWriter answer)
        => backend.cuCtxDestroy_v2(context);
}

[DispatchOf(typeof(ICudaCopy))]
internal static unsafe partial class CopyDispatch
{
    private static partial CUresult cuMemcpyHtoDAsync_v2(ICudaCopy backend, IDispatchSession session, RecordHeader* record, CUdeviceptr destination, ByteSource source, nuint bytes,
        CUstream stream, ref AnswerWriter answer)
    {
        byte* from = source.Address - SegmentLayout.PinnedBase < SegmentLayout.PinnedBytes ? (byte*)source.Address : source.Resolve(session);
        return from == null ? CUresult.CUDA_ERROR_INVALID_VALUE : backend.cuMemcpyHtoDAsync_v2(destination, from, bytes, stream);
    }

    private static partial CUresult cuMemcpyDtoHAsync_v2(ICudaCopy backend, IDispatchSession session, RecordHeader* record, ByteTarget destination, CUdeviceptr source, nuint bytes,
        CUstream stream, ref AnswerWriter answer)
    {
        if (destination.Address - SegmentLayout.PinnedBase < SegmentLayout.PinnedBytes) return backend.cuMemcpyDtoHAsync_v2((void*)destination.Address, source, bytes, stream);
        byte* buffer = session.Scratch(bytes);
        CUresult result = backend.cuMemcpyDtoHAsync_v2(buffer, source, bytes, stream);
        if (result != CUresult.CUDA_SUCCESS) return result;
        return (destination.IsInline ? answer.TryWrite(buffer, bytes) : session.Deliver(destination.Address, buffer, bytes)) ? result : CUresult.CUDA_ERROR_INVALID_VALUE;
    }

    private static partial CUresult cuMemcpy2DAsync_v2(ICudaCopy backend, IDispatchSession session, RecordHeader* record, CUDA_MEMCPY2D* copy, CUstream stream, ref AnswerWriter answer)
        => CUresult.CUDA_ERROR_NOT_SUPPORTED;
}

[DispatchOf(typeof(ICudaExecution))]
internal static unsafe partial class ExecutionDispatch
{
    private static partial CUresult cuLaunchHostFunc(ICudaExecution backend, IDispatchSession session, RecordHeader* record, CUstream stream, ulong function, ulong userData,
        ref AnswerWriter answer) => backend.cuLaunchHostFunc(stream, function, userData);
}
