using System.Runtime.CompilerServices;
using TreCr.Linux;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda;

/// <summary>Text that kernels printed, written to the program's standard output when a call that waits has ended.</summary>
internal static unsafe class DeviceOutput
{
    /// <summary>Fetches and writes all that waits. One load where nothing does.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Print(ProgramThread* thread)
    {
        if (thread->Channel.IsBound && ProgramSession.Segment!.Control->DeviceOutputWaiting != 0) Fetch(thread);
    }

    [MethodImpl(MethodImplOptions.NoInlining), SkipLocalsInit]
    private static void Fetch(ProgramThread* thread)
    {
        const int piece = 2048;
        byte* text = stackalloc byte[piece];
        while (true)
        {
            nuint bytes = 0;
            if (CudaExecutionCalls.Send_trecrTakeDeviceOutput(thread, text, piece, &bytes) != Calls.Cuda.CUresult.CUDA_SUCCESS || bytes == 0) return;
            // Through libc's stdout, so that it keeps its place among the program's own output.
            Sys.WriteStandardOutput(text, Math.Min(bytes, piece));
            if (ProgramSession.Segment!.Control->DeviceOutputWaiting == 0) return;
        }
    }
}
