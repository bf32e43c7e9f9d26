using TreCr.Calls;
using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Cuda;

// Generated: exported stubs, and encoders Send_NAME for the hand-written stubs in Manual/.

[ExportsOf(typeof(ICudaDevice))] internal static unsafe partial class CudaDeviceCalls;

[ExportsOf(typeof(ICudaContext))] internal static unsafe partial class CudaContextCalls;

[ExportsOf(typeof(ICudaModule))] internal static unsafe partial class CudaModuleCalls;

[ExportsOf(typeof(ICudaMemory))] internal static unsafe partial class CudaMemoryCalls;

[ExportsOf(typeof(ICudaCopy))] internal static unsafe partial class CudaCopyCalls;

[ExportsOf(typeof(ICudaExecution))] internal static unsafe partial class CudaExecutionCalls;

[ExportsOf(typeof(ICudaStream))] internal static unsafe partial class CudaStreamCalls;

[ExportsOf(typeof(ICudaImage))] internal static unsafe partial class CudaImageCalls;

[ExportsOf(typeof(ICudaEvent))] internal static unsafe partial class CudaEventCalls;

[ExportsOf(typeof(ICudaCollective))] internal static unsafe partial class CudaCollectiveCalls;

[ExportsOf(typeof(ICudaSharing))] internal static unsafe partial class CudaSharingCalls;
