using TreCr.Calls;
using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Runtime;

/// <summary>
/// Ranges of memory of which the delegator has told this thread that they lie inside of allocations, and handles of which it has told that they stand for something, since anything was freed last. Work on those need not
/// be waited for; any other is sent with a wait for the delegator's answer, which does not wait for the device: so a wrong length or a stale handle is an error of the call that has it, as with the driver.
/// </summary>
/// <remarks>Part of <see cref="ProgramThread"/>: one thread, no lock, no allocation. What is proven stays so in a restored program: allocations and handles come back.</remarks>
public unsafe struct Proven
{
    private const int Places = 8, Handles = 512;
    private const ulong LastFixedHandle = 2; // streams that always exist

    private static int s_memoryEpoch, s_handleEpoch;

    private int _memoryEpoch, _handleEpoch, _next;
    private fixed ulong _starts[Places], _ends[Places], _handles[Handles];

    /// <summary>Memory was freed: no range is proven any more, for any thread.</summary>
    public static void ForgetMemory() => Interlocked.Increment(ref s_memoryEpoch);

    /// <summary>An object is gone: no handle is proven any more, for any thread.</summary>
    public static void ForgetHandles() => Interlocked.Increment(ref s_handleEpoch);

    /// <summary>For <see cref="LearnHandle"/>; taken before the question.</summary>
    public static int HandleEpoch => Volatile.Read(ref s_handleEpoch);

    /// <summary>The handle stands for something.</summary>
    public readonly bool Knows(ulong handle) => handle <= LastFixedHandle || _handleEpoch == Volatile.Read(ref s_handleEpoch) && _handles[(handle ^ handle >> 44) & (Handles - 1)] == handle;

    /// <summary>Notes that a call with it was accepted.</summary>
    public void LearnHandle(int epoch, ulong handle)
    {
        if (epoch != Volatile.Read(ref s_handleEpoch)) return;
        if (epoch != _handleEpoch)
            for (int i = 0; i < Handles; i++) _handles[i] = 0;
        _handleEpoch = epoch;
        _handles[(handle ^ handle >> 44) & (Handles - 1)] = handle;
    }

    /// <summary>How to send work on a range.</summary>
    /// <param name="epoch">for <see cref="Learn"/></param>
    public CallClass How(ulong start, ulong bytes, out int epoch)
    {
        epoch = Volatile.Read(ref s_memoryEpoch);
        if (epoch != _memoryEpoch) return CallClass.Answer;
        for (int i = 0; i < Places; i++)
            if (start >= _starts[i] && start < _ends[i] && bytes <= _ends[i] - start) return CallClass.Enqueue;
        return CallClass.Answer;
    }

    /// <summary>Notes what an answer proves.</summary>
    /// <returns><paramref name="result"/></returns>
    public CUresult Learn(CUresult result, CallClass how, int epoch, ulong start, ulong bytes)
    {
        if (result != CUresult.CUDA_SUCCESS || how == CallClass.Enqueue || bytes == 0 || epoch != Volatile.Read(ref s_memoryEpoch)) return result;
        if (epoch != _memoryEpoch)
            for (int i = 0; i < Places; i++) _starts[i] = _ends[i] = 0;
        _memoryEpoch = epoch;
        ulong end = start + bytes;
        for (int i = 0; i < Places; i++)
        {
            if (start > _ends[i] || end < _starts[i] || _ends[i] == 0) continue;
            // Neighbours that no allocation holds together grow together only in the wrong: each side was proven, what lies across both is not.
            if (start == _ends[i] || end == _starts[i]) continue;
            (_starts[i], _ends[i]) = (Math.Min(start, _starts[i]), Math.Max(end, _ends[i]));
            return result;
        }
        (_starts[_next], _ends[_next]) = (start, end);
        _next = (_next + 1) % Places;
        return result;
    }
}
