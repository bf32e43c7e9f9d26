using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda;

/// <summary>Checks that the hand-written stubs share.</summary>
internal static unsafe class Session
{
    /// <summary>Success while the session runs; else what the driver answers then (3 before cuInit and in a forked child, 4 in exit()).</summary>
    public static CUresult Ready => SharedState.State == SessionState.Running ? CUresult.CUDA_SUCCESS : WrapperRuntime.EnterError();

    /// <summary>Enters and looks for a current context.</summary>
    /// <param name="thread">null unless the result is success</param>
    public static CUresult Enter(out ProgramThread* thread)
    {
        thread = WrapperRuntime.Enter();
        if (thread == null) return WrapperRuntime.EnterError();
        if (thread->Context != 0) return CUresult.CUDA_SUCCESS;
        thread = null;
        return CUresult.CUDA_ERROR_INVALID_CONTEXT;
    }

    /// <summary>Stands at the end of a stub's catch: says what went wrong in the wrapper and answers CUDA_ERROR_UNKNOWN, as an exception must not reach C.</summary>
    public static CUresult Failed(ReadOnlySpan<byte> function, Exception exception)
    {
        Span<byte> prefix = stackalloc byte[96];
        "trecr: "u8.CopyTo(prefix);
        int length = 7 + Math.Min(function.Length, 80);
        function[..(length - 7)].CopyTo(prefix[7..]);
        ": "u8.CopyTo(prefix[length..]);
        StandardError.Write(prefix[..(length + 2)], exception.Message);
        return CUresult.CUDA_ERROR_UNKNOWN;
    }
}
