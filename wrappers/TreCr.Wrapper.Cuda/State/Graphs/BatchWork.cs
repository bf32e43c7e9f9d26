using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Manual;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Graphs;

/// <summary>A batch of waits for values and writes of values.</summary>
internal sealed unsafe class BatchWork : NodeWork
{
    // Pinned, because programs get its address (cuGraphBatchMemOpNodeGetParams).
    private readonly StreamValues.BatchEntry[] _entries;
    private CUDA_BATCH_MEM_OP_NODE_PARAMS _given;

    private BatchWork(in CUDA_BATCH_MEM_OP_NODE_PARAMS given, ReadOnlySpan<StreamValues.BatchEntry> entries)
    {
        _entries = GC.AllocateArray<StreamValues.BatchEntry>(entries.Length, pinned: true);
        entries.CopyTo(_entries);
        _given = given;
        fixed (StreamValues.BatchEntry* at = _entries) _given.Entries = (ulong)at;
    }

    /// <summary>The checks of cuStreamBatchMemOp, made once; the entries are copied.</summary>
    public static CUresult Create(CUDA_BATCH_MEM_OP_NODE_PARAMS* given, out NodeWork? work)
    {
        work = null;
        if (given == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        CUresult result = StreamValues.Check(given->Count, (StreamValues.BatchEntry*)given->Entries, given->Flags);
        if (result == CUresult.CUDA_SUCCESS) work = new BatchWork(in *given, new ReadOnlySpan<StreamValues.BatchEntry>((void*)given->Entries, (int)given->Count));
        return result;
    }

    public override int Type => 12;

    public override bool Waits => Array.Exists(_entries, e => e.Operation is StreamValues.Operation.Wait32 or StreamValues.Operation.Wait64);

    /// <summary>As the program gets them: an address inside this node, valid while it is.</summary>
    public CUDA_BATCH_MEM_OP_NODE_PARAMS Params => _given;

    public override NodeWork Copy() => new BatchWork(in _given, _entries);

    public override CUresult Enqueue(ProgramThread* thread, CUstream stream) => StreamValues.Send(thread, stream, _entries);
}
