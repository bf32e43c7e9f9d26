using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Ring;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Graphs;

/// <summary>Memory of a graph's allocation node, shared by the nodes of clones and executable graphs. Under <see cref="GraphObjects.Gate"/>.</summary>
internal sealed class GraphBlock
{
    private static readonly Dictionary<ulong, GraphBlock> Known = [];
    private int _references;

    public GraphBlock(ulong address, ulong bytes, int device)
    {
        (Address, Bytes, Device) = (address, bytes, device);
        Known[address] = this;
        MostBytes[device] = Math.Max(MostBytes[device], UsedBytes(device));
    }

    public ulong Address { get; }

    public ulong Bytes { get; }

    public int Device { get; }

    /// <summary>High-water mark by device.</summary>
    public static ulong[] MostBytes { get; } = new ulong[SegmentLayout.MaxDevices];

    public static ulong UsedBytes(int device) => Known.Values.Where(b => b.Device == device).Aggregate(0UL, (sum, b) => sum + b.Bytes);

    public static GraphBlock? Find(ulong address) => Known.GetValueOrDefault(address);

    public void Hold() => _references++;

    /// <summary>A node is gone; with the last one the memory.</summary>
    public unsafe void Drop()
    {
        if (--_references > 0 || !Known.Remove(Address)) return;
        ProgramThread* thread = WrapperRuntime.Enter();
        if (thread != null) CudaMemoryCalls.Send_cuMemFree_v2(thread, CallClass.Blocking, new CUdeviceptr(Address));
    }
}

/// <summary>Allocation node.</summary>
internal sealed unsafe class AllocWork : NodeWork
{
    public AllocWork(GraphBlock block)
    {
        Block = block;
        block.Hold();
    }

    public GraphBlock Block { get; }

    public override int Type => 10;

    public override NodeWork Copy() => new AllocWork(Block);

    public override void End() => Block.Drop();

    public override CUresult Enqueue(ProgramThread* thread, CUstream stream) => CUresult.CUDA_SUCCESS;
}

/// <summary>Free node.</summary>
internal sealed unsafe class FreeWork(GraphBlock block) : NodeWork
{
    public GraphBlock Block => block;

    public override int Type => 11;

    public override NodeWork Copy() => new FreeWork(block);

    public override CUresult Enqueue(ProgramThread* thread, CUstream stream) => CUresult.CUDA_SUCCESS;
}
