using TreCr.Calls;
using TreCr.Calls.Cuda;

namespace TreCr.Delegator;

// Generated: records in, calls of the back end out. Hand-written parts stand in Contexts.cs, Copies.cs and HostFunctionCalls.cs.

[DispatchOf(typeof(ICudaDevice))] internal static unsafe partial class CudaDeviceDispatch;

[DispatchOf(typeof(ICudaContext))] internal static unsafe partial class CudaContextDispatch;

[DispatchOf(typeof(ICudaModule))] internal static unsafe partial class CudaModuleDispatch;

[DispatchOf(typeof(ICudaMemory))] internal static unsafe partial class CudaMemoryDispatch;

[DispatchOf(typeof(ICudaCopy))] internal static unsafe partial class CudaCopyDispatch;

[DispatchOf(typeof(ICudaExecution))] internal static unsafe partial class CudaExecutionDispatch;

[DispatchOf(typeof(ICudaStream))] internal static unsafe partial class CudaStreamDispatch;

[DispatchOf(typeof(ICudaImage))] internal static unsafe partial class CudaImageDispatch;

[DispatchOf(typeof(ICudaEvent))] internal static unsafe partial class CudaEventDispatch;

[DispatchOf(typeof(ICudaCollective))] internal static unsafe partial class CudaCollectiveDispatch;

[DispatchOf(typeof(ICudaSharing))] internal static unsafe partial class CudaSharingDispatch;
