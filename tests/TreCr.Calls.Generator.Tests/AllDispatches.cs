using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Calls.Dispatch;
using TreCr.Calls.Records;

namespace TreCr.Calls.Generator.Tests;

// Across assemblies: the specs stand in TreCr.Calls, the parts asked for here.

[DispatchOf(typeof(ICudaStream))] internal static unsafe partial class StreamDispatch;

[DispatchOf(typeof(ICudaEvent))] internal static unsafe partial class EventDispatch;

[DispatchOf(typeof(ICudaModule))] internal static unsafe partial class ModuleDispatch;

[DispatchOf(typeof(ICudaMemory))] internal static unsafe partial class MemoryDispatch;

[DispatchOf(typeof(ICudaDevice))] internal static unsafe partial class DeviceDispatch;

[DispatchOf(typeof(ICudaExecution))]
internal static unsafe partial class ExecutionDispatch
{
    private static partial CUresult cuLaunchHostFunc(ICudaExecution backend, IDispatchSession session, RecordHeader* record, CUstream stream, ulong function, ulong userData,
        ref AnswerWriter answer) => CUresult.CUDA_ERROR_NOT_SUPPORTED;
}
