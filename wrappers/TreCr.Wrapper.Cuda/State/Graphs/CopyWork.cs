using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Manual;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Graphs;

/// <summary>A copy of up to three dimensions.</summary>
internal sealed unsafe class CopyWork(in CUDA_MEMCPY3D copy) : NodeWork
{
    private CUDA_MEMCPY3D _copy = copy;

    public override int Type => 1;

    public CUDA_MEMCPY3D Params => _copy;

    public override NodeWork Copy() => new CopyWork(_copy);

    /// <remarks>Pageable memory is read and written when the graph gets there, not when it is launched: what stands before it in the stream is waited for.</remarks>
    public override CUresult Enqueue(ProgramThread* thread, CUstream stream)
    {
        bool pageable = Copies3D.IsPageable(in _copy);
        if (pageable)
        {
            CUresult result = CudaStreamCalls.Send_cuStreamSynchronize(thread, CallClass.Blocking, stream);
            if (result != CUresult.CUDA_SUCCESS) return result;
        }
        return Copies3D.Copy(in _copy, stream, mayReturn: !pageable);
    }
}
