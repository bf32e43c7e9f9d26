using System.Collections.Concurrent;
using TreCr.Calls.Cuda;
using TreCr.Calls.Records;

namespace TreCr.Delegator;

/// <summary>Enqueued calls that were rejected: nobody waits for their result, so the context stays failed with it (design.md §3).</summary>
internal sealed unsafe partial class Session
{
    private readonly ConcurrentDictionary<ulong, CUresult> _failed = new();
    private volatile bool _anyFailed;

    private void Latch(RecordHeader* record, CUresult result)
    {
        // A device that has failed rejects everything that follows: the first error is the one that matters, and it was the program's.
        if (!IsSticky(result)) Messages.SayOnce($"{NameOf(record->Call)} was rejected with {result} after the program had been told that it was accepted");
        _failed.TryAdd(record->Context, result);
        _anyFailed = true;
    }

    private CUresult Latched(RecordHeader* record)
        => TraitsOf(record->Call) is { Destroys: false } && NeedsContext(record->Call) && _failed.TryGetValue(record->Context, out CUresult failed) ? failed : CUresult.CUDA_SUCCESS;

    /// <summary>Errors after which a context answers nothing else (CUDA Driver API, CUresult: "the context cannot be used").</summary>
    private static bool IsSticky(CUresult result) => result is CUresult.CUDA_ERROR_ILLEGAL_ADDRESS or CUresult.CUDA_ERROR_LAUNCH_TIMEOUT or CUresult.CUDA_ERROR_ASSERT
        or >= CUresult.CUDA_ERROR_HARDWARE_STACK_ERROR and <= CUresult.CUDA_ERROR_LAUNCH_FAILED or CUresult.CUDA_ERROR_ECC_UNCORRECTABLE or CUresult.CUDA_ERROR_UNKNOWN;
}
