using System.Collections.Concurrent;
using TreCr.Calls.Cuda;
using TreCr.Calls.Records;

namespace TreCr.Delegator;

/// <summary>Enqueued calls that failed: nobody waits for their result. The wrapper sends only such calls that should not be rejected (TreCr.Wrapper.Runtime.Proven).</summary>
internal sealed unsafe partial class Session
{
    private readonly ConcurrentDictionary<ulong, CUresult> _failed = new();
    private volatile bool _anyFailed;

    private void Latch(RecordHeader* record, CUresult result)
    {
        // A device that has failed rejects everything that follows: the first error is the one that matters, and it was the program's.
        if (!IsSticky(result)) Messages.SayOnce($"{NameOf(record->Call)} was rejected with {result} after the program had been told that it was accepted");
        _failed.AddOrUpdate(record->Context, result, (_, known) => IsSticky(known) || !IsSticky(result) ? known : result);
        _anyFailed = true;
    }

    /// <summary>A failed device's context answers its error to everything. What was only rejected is told once, by the next call that waits for work: the context is as good as before.</summary>
    private CUresult Latched(RecordHeader* record)
    {
        if (TraitsOf(record->Call) is not { Destroys: false } || !NeedsContext(record->Call) || !_failed.TryGetValue(record->Context, out CUresult failed)) return CUresult.CUDA_SUCCESS;
        if (IsSticky(failed)) return failed;
        if (record->Call is not (CallIds.CtxSynchronize or CallIds.StreamSynchronize or CallIds.EventSynchronize)) return CUresult.CUDA_SUCCESS;
        return _failed.TryRemove(new KeyValuePair<ulong, CUresult>(record->Context, failed)) ? failed : CUresult.CUDA_SUCCESS;
    }

    /// <summary>Errors after which a context answers nothing else (CUDA Driver API, CUresult: "the context cannot be used").</summary>
    private static bool IsSticky(CUresult result) => result is CUresult.CUDA_ERROR_ILLEGAL_ADDRESS or CUresult.CUDA_ERROR_LAUNCH_TIMEOUT or CUresult.CUDA_ERROR_ASSERT
        or >= CUresult.CUDA_ERROR_HARDWARE_STACK_ERROR and <= CUresult.CUDA_ERROR_LAUNCH_FAILED or CUresult.CUDA_ERROR_ECC_UNCORRECTABLE or CUresult.CUDA_ERROR_UNKNOWN;
}
