using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Manual;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Graphs;

/// <summary>A launch: the parameters' bytes are those of the moment when the node was made or changed.</summary>
internal sealed unsafe class KernelWork : NodeWork
{
    private CUDA_KERNEL_NODE_PARAMS _given;

    // Pinned, because programs get addresses of both (cuGraphKernelNodeGetParams).
    private byte[] _block = [];
    private ulong[] _places = [];

    public override int Type => 0;

    /// <summary>The checks of a launch, made once.</summary>
    public static CUresult Create(CUDA_KERNEL_NODE_PARAMS* given, out KernelWork? work)
    {
        work = null;
        if (given == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        CUDA_KERNEL_NODE_PARAMS p = *given;
        if (p.Function.Value == 0) p.Function = new CUfunction(p.Kernel);
        CUresult result = Launches.Check(ref p.Function, p.GridX, p.GridY, p.GridZ, p.BlockX, p.BlockY, p.BlockZ, p.SharedBytes, out FunctionFacts* facts);
        p.Kernel = 0;
        if (result != CUresult.CUDA_SUCCESS) return result;
        KernelWork made = new() { _given = p };
        made._block = GC.AllocateArray<byte>((int)facts->ParameterBlockBytes, pinned: true);
        made._places = GC.AllocateArray<ulong>((int)facts->ParameterCount, pinned: true);
        fixed (byte* block = made._block)
            result = p.Extra != 0 ? Launches.LayOutExtra(facts, (void**)p.Parameters, (void**)p.Extra, block)
                : facts->ParameterCount == 0 ? CUresult.CUDA_SUCCESS : Launches.LayOut(facts, (void**)p.Parameters, block);
        if (result != CUresult.CUDA_SUCCESS) return result;
        made.Point(facts);
        work = made;
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>As the program gets them: addresses inside this node, valid while it is.</summary>
    public CUDA_KERNEL_NODE_PARAMS Params => _given;

    public override NodeWork Copy()
    {
        KernelWork copy = new() { _given = _given, _block = GC.AllocateArray<byte>(_block.Length, pinned: true), _places = GC.AllocateArray<ulong>(_places.Length, pinned: true) };
        _block.CopyTo(copy._block, 0);
        FunctionFacts* facts = Functions.Find(_given.Function);
        if (facts != null) copy.Point(facts);
        return copy;
    }

    public override CUresult Enqueue(ProgramThread* thread, CUstream stream)
    {
        if (Functions.Find(_given.Function) == null) return CUresult.CUDA_ERROR_INVALID_HANDLE;
        if (Images.ImageReferences.IsPending && Images.ImageReferences.Publish(thread) is not CUresult.CUDA_SUCCESS and var result) return result;
        fixed (byte* block = _block)
            return CudaExecutionCalls.Send_trecrLaunchKernel(thread, _given.Function, _given.GridX, _given.GridY, _given.GridZ, _given.BlockX, _given.BlockY, _given.BlockZ,
                _given.SharedBytes, stream, 0, block, (nuint)_block.Length);
    }

    private void Point(FunctionFacts* facts)
    {
        fixed (byte* block = _block)
        fixed (ulong* places = _places)
        {
            for (int i = 0; i < _places.Length; i++) places[i] = (ulong)(block + (facts->Parameters[i] & 0xffff));
            _given.Parameters = (ulong)places;
            _given.Extra = 0;
        }
    }
}
