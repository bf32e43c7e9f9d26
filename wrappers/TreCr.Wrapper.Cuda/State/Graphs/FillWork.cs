using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Manual;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Graphs;

/// <summary>A fill of one or more rows.</summary>
internal sealed unsafe class FillWork(in CUDA_MEMSET_NODE_PARAMS fill) : NodeWork
{
    private readonly CUDA_MEMSET_NODE_PARAMS _fill = fill;

    public override int Type => 2;

    public CUDA_MEMSET_NODE_PARAMS Params => _fill;

    /// <summary>What the driver refuses when the node is made.</summary>
    public static CUresult Check(CUDA_MEMSET_NODE_PARAMS* fill)
        => fill == null || fill->ElementSize is not (1 or 2 or 4) || fill->Destination == 0 || fill->Width == 0 || fill->Height == 0
            || fill->Height > 1 && fill->Pitch < fill->Width * fill->ElementSize ? CUresult.CUDA_ERROR_INVALID_VALUE : CUresult.CUDA_SUCCESS;

    public override NodeWork Copy() => new FillWork(_fill);

    public override CUresult Enqueue(ProgramThread* thread, CUstream stream) => _fill.Height == 1
        ? Fills.SendLine(thread, new CUdeviceptr(_fill.Destination), _fill.Value, (nuint)_fill.Width, (int)_fill.ElementSize, stream)
        : Fills.SendRectangle(thread, new CUdeviceptr(_fill.Destination), (nuint)_fill.Pitch, _fill.Value, (nuint)_fill.Width, (nuint)_fill.Height, (int)_fill.ElementSize, stream);
}
