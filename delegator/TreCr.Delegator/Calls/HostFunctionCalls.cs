using TreCr.Calls.Cuda;
using TreCr.Calls.Dispatch;
using TreCr.Calls.Records;

namespace TreCr.Delegator;

/// <summary>cuLaunchHostFunc: the program's function is not ours to call; the back end gets one of ours that has it run there.</summary>
internal static unsafe partial class CudaExecutionDispatch
{
    private static partial CUresult cuLaunchHostFunc(ICudaExecution backend, IDispatchSession session, RecordHeader* record, CUstream stream, ulong function, ulong userData,
        ref AnswerWriter answer)
    {
        if (function == 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        ulong prepared = ((Session)session).HostFunctions.Prepare(function, userData);
        CUresult result = backend.cuLaunchHostFunc(stream, HostFunctions.EntryAddress, prepared);
        if (result != CUresult.CUDA_SUCCESS) HostFunctions.Forget(prepared);
        return result;
    }
}
