using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Cuda;

/// <summary>What the _ptsz and _ptds names differ in.</summary>
internal static class PerThread
{
    /// <summary>Stream 0 means CU_STREAM_PER_THREAD.</summary>
    public static CUstream Of(CUstream stream) => stream.Value == 0 ? CUstream.PerThread : stream;
}
