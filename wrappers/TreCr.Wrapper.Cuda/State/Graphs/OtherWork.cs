using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Manual;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Graphs;

/// <summary>A function of the program.</summary>
internal sealed unsafe class HostWork(in CUDA_HOST_NODE_PARAMS call) : NodeWork
{
    public override int Type => 3;

    public CUDA_HOST_NODE_PARAMS Params { get; } = call;

    public override NodeWork Copy() => new HostWork(Params);

    public override CUresult Enqueue(ProgramThread* thread, CUstream stream) => Launches.HostFunction(stream, (void*)Params.Function, (void*)Params.UserData);
}

/// <summary>Another graph, owned by the node.</summary>
internal sealed unsafe class ChildWork(Graph child) : NodeWork
{
    public override int Type => 4;

    public Graph Child => child;

    public override NodeWork Copy() => new ChildWork(child.Clone());

    /// <remarks>Its nodes stand for it (<see cref="Graph.Collect"/>).</remarks>
    public override CUresult Enqueue(ProgramThread* thread, CUstream stream) => CUresult.CUDA_SUCCESS;
}

/// <summary>A point where edges meet.</summary>
internal sealed unsafe class EmptyWork : NodeWork
{
    public override int Type => 5;

    public override NodeWork Copy() => new EmptyWork();

    public override CUresult Enqueue(ProgramThread* thread, CUstream stream) => CUresult.CUDA_SUCCESS;
}

/// <summary>Records an event, or waits for one.</summary>
internal sealed unsafe class EventWork(CUevent @event, bool isRecord) : NodeWork
{
    public override int Type => isRecord ? 7 : 6;

    public override bool Waits => !isRecord;

    public CUevent Event => @event;

    public override NodeWork Copy() => new EventWork(@event, isRecord);

    public override CUresult Enqueue(ProgramThread* thread, CUstream stream)
        => isRecord ? CudaEventCalls.Send_cuEventRecord(thread, SharedEvents.ClassOf(@event), @event, stream) : CudaStreamCalls.Send_cuStreamWaitEvent(thread, CallClass.Enqueue, stream, @event, 0);
}
