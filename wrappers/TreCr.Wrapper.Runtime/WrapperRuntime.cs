using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.Ring;

namespace TreCr.Wrapper.Runtime;

/// <summary>What every exported stub does first and, when things go wrong, last.</summary>
/// <remarks>Reentrant from any thread. The hot path allocates nothing, takes no lock and makes no system call.</remarks>
public static unsafe class WrapperRuntime
{
    [ThreadStatic] private static ProgramThread* t_state;

    private static uint s_exitKey;
    private static int s_exitKeyMade, s_lostTold, s_stackTold;

    /// <summary>With less the managed runtime overruns the stack when it collects garbage (facts/nativeaot.md, section 4).</summary>
    private const uint LeastStackBytes = 32 << 10;

    /// <summary>The calling thread's state, its channel bound.</summary>
    /// <returns>null: the call cannot be made; <see cref="EnterError"/> says why</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ProgramThread* Enter()
    {
        ProgramThread* state = t_state;
        return state != null && state->Channel.IsBound ? state : EnterSlow();
    }

    /// <summary>The calling thread's state without a channel: for calls that are answered here and count contexts. Never null while the session runs.</summary>
    public static ProgramThread* Thread => Enter();

    /// <summary>Why <see cref="Enter"/> gave null.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static CUresult EnterError() => SharedState.State switch
    {
        SessionState.None => CUresult.CUDA_ERROR_NOT_INITIALIZED,
        SessionState.Ended => CUresult.CUDA_ERROR_DEINITIALIZED,
        SessionState.Lost => CUresult.CUDA_ERROR_LAUNCH_FAILED,
        _ => CUresult.CUDA_ERROR_OUT_OF_MEMORY,
    };

    /// <summary>The delegator has gone: says so once and turns all later calls into errors.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static CUresult Lost()
    {
        if (SharedState.State == SessionState.Running) SharedState.State = SessionState.Lost;
        if (t_state != null) t_state->Channel = default;
        if (Interlocked.Exchange(ref s_lostTold, 1) == 0)
            StandardError.Write("trecr: the delegator of this process has died; every CUDA call answers CUDA_ERROR_LAUNCH_FAILED (719) from here on\n"u8);
        return CUresult.CUDA_ERROR_LAUNCH_FAILED;
    }

    /// <summary>Length of a text without its NUL.</summary>
    /// <returns>-1: longer than <paramref name="most"/> with its NUL</returns>
    public static int TextLength(byte* text, int most)
    {
        for (int i = 0; i < most; i++) if (text[i] == 0) return i;
        return -1;
    }

    /// <summary>Unbinds the calling thread: exit() has begun, or a test ends its session.</summary>
    public static void Leave()
    {
        if (t_state != null) t_state->Channel = default;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ProgramThread* EnterSlow()
    {
        try
        {
            if (SharedState.State != SessionState.Running) return null;
            ProgramThread* state = t_state;
            if (state == null)
            {
                if (Sys.ThreadStackBytes() is > 0 and < LeastStackBytes)
                {
                    if (Interlocked.Exchange(ref s_stackTold, 1) == 0)
                        StandardError.Write("trecr: a thread with a stack of less than 32 KiB calls CUDA: CUDA_ERROR_OUT_OF_MEMORY\n"u8);
                    return null;
                }
                state = SharedState.AllocateThread();
                t_state = state;
                if (Volatile.Read(ref s_exitKeyMade) != 0) Sys.PthreadSetSpecific(s_exitKey, state);
            }
            int index = ProducerChannel.Claim(ProgramSession.Segment!, (uint)Sys.Gettid());
            if (index < 0)
            {
                StandardError.Write("trecr: more than 512 threads of this process call CUDA at the same time: CUDA_ERROR_OUT_OF_MEMORY\n"u8);
                return null;
            }
            state->Channel.Bind(ProgramSession.Segment!, index, ProgramSession.Connection);
            return state;
        }
        catch (Exception e)
        {
            StandardError.Write("trecr: a thread could not be connected to its delegator: "u8, e.Message);
            return null;
        }
    }

    /// <summary>Makes the key whose destructor gives a thread's channel back. Once, before the first channel is claimed.</summary>
    internal static void Prepare()
    {
        if (s_exitKeyMade != 0) return;
        s_exitKey = Sys.PthreadKeyCreate(&ThreadEnds);
        Volatile.Write(ref s_exitKeyMade, 1);
    }

    [UnmanagedCallersOnly]
    private static void ThreadEnds(void* value)
    {
        ProgramThread* state = (ProgramThread*)value;
        t_state = null;
        // In a forked child the memory was wiped: an unbound channel, and a free list of its own.
        state->Channel.Release();
        SharedState.FreeThread(state);
    }
}
