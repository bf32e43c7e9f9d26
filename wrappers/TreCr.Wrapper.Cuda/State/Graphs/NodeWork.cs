using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Graphs;

/// <summary>What a graph node does, with parameters of its own. Not shared between nodes.</summary>
internal abstract unsafe class NodeWork
{
    /// <summary>CUgraphNodeType.</summary>
    public abstract int Type { get; }

    /// <summary>It waits for something that is not done by then.</summary>
    public virtual bool Waits => false;

    /// <summary>The same work for another node.</summary>
    public abstract NodeWork Copy();

    /// <summary>The node is gone.</summary>
    public virtual void End()
    {
    }

    /// <summary>Puts the work into a stream.</summary>
    public abstract CUresult Enqueue(ProgramThread* thread, CUstream stream);
}
