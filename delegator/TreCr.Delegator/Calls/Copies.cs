using TreCr.Calls.Cuda;
using TreCr.Calls.Dispatch;
using TreCr.Calls.Records;

namespace TreCr.Delegator;

/// <summary>Copies with a host side: whose memory it is decides how the bytes travel (<see cref="CopyEngine"/>).</summary>
internal static unsafe partial class CudaCopyDispatch
{
    private static partial CUresult cuMemcpyHtoDAsync_v2(ICudaCopy backend, IDispatchSession session, RecordHeader* record, CUdeviceptr destination, ByteSource source,
        nuint bytes, CUstream stream, ref AnswerWriter answer)
        => ((Session)session).Copier.ToDevice(destination.Value, source, bytes, stream, Waits(record));

    private static partial CUresult cuMemcpyDtoHAsync_v2(ICudaCopy backend, IDispatchSession session, RecordHeader* record, ByteTarget destination, CUdeviceptr source,
        nuint bytes, CUstream stream, ref AnswerWriter answer)
        => ((Session)session).Copier.ToHost(destination, source.Value, bytes, stream, Waits(record), ref answer);

    private static partial CUresult cuMemcpy2DAsync_v2(ICudaCopy backend, IDispatchSession session, RecordHeader* record, CUDA_MEMCPY2D* copy, CUstream stream,
        ref AnswerWriter answer)
        => ((Session)session).Copier.Rectangle(copy, stream, Waits(record));

    private static bool Waits(RecordHeader* record) => (record->Flags & RecordHeader.WantsAnswer) != 0;
}
