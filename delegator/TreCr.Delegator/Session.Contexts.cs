using System.Collections.Concurrent;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Calls.Records;

namespace TreCr.Delegator;

/// <summary>Contexts: each record names its caller's; the thread that runs it makes it current first.</summary>
internal sealed unsafe partial class Session
{
    private readonly record struct ContextFacts(ulong Real, int Ordinal);

    private readonly ConcurrentDictionary<ulong, ContextFacts> _contexts = new();
    private readonly ConcurrentDictionary<(int Channel, uint Generation, ulong Context), ulong> _threadStreams = new();

    private static bool NeedsContext(ushort call)
        => call is not (CallIds.Init or CallIds.DeviceFacts or (>= 0x0101 and <= 0x0106) or CallIds.PointerFacts or CallIds.TakeDeviceOutput);

    /// <summary>Makes a record's context current on this thread.</summary>
    /// <returns>false: the call needs a context and the record names none that exists</returns>
    private bool MakeCurrent(CallState state, ulong context, bool needed)
    {
        if (state.ContextSession == this && state.Context == context && context != 0 && _contexts.TryGetValue(context, out ContextFacts same) && same.Real == state.RealContext) return true;
        if (context == 0 || !_contexts.TryGetValue(context, out ContextFacts facts))
        {
            state.Context = 0;
            state.Ordinal = 0;
            return !needed;
        }
        if (_backend.cuCtxSetCurrent(new CUcontext(facts.Real)) != CUresult.CUDA_SUCCESS) return !needed;
        state.ContextSession = this;
        state.Context = context;
        state.Ordinal = facts.Ordinal;
        state.RealContext = facts.Real;
        return true;
    }

    internal bool HasContext(ulong context) => _contexts.ContainsKey(context);

    /// <summary>A context exists from now on.</summary>
    internal void AddContext(ulong context, ulong real, int ordinal)
    {
        _handles.Set(context, real);
        _contexts[context] = new ContextFacts(real, ordinal);
    }

    /// <summary>Before the back end destroys a context: nothing of it runs any more, its memory is settled.</summary>
    internal void QuiesceContext(CallState state, ulong context)
    {
        if (!_contexts.ContainsKey(context) || !MakeCurrent(state, context, true)) return;
        _backend.cuCtxSynchronize();
        _memory.Settle();
    }

    /// <summary>After the back end has destroyed a context: handles, log, memory and thread streams of it are gone.</summary>
    internal void ForgetContext(ulong context)
    {
        if (!_contexts.TryRemove(context, out ContextFacts facts)) return;
        foreach (ulong dead in _log.Remove(context)) _handles.Remove(dead);
        _handles.Remove(context);
        foreach ((int, uint, ulong Context) key in _threadStreams.Keys)
            if (key.Context == context) _threadStreams.TryRemove(key, out _);
        _memory.FreeContext(context);
        _staging.ContextEnded(facts.Real);
        _failed.TryRemove(context, out _);
    }

    /// <summary>The per-thread default stream of the calling program thread, made at its first use.</summary>
    private bool TryThreadStream(CallState state, out ulong real)
    {
        (int, uint, ulong) key = (state.Channel, state.Generation, state.Context);
        if (_threadStreams.TryGetValue(key, out real)) return true;
        CUstream stream;
        if (_backend.cuStreamCreateWithPriority(&stream, 0, 0) != CUresult.CUDA_SUCCESS) return false;
        real = _threadStreams.GetOrAdd(key, stream.Value);
        EndOldThreadStreams(state, key);
        return true;
    }

    /// <summary>A channel has a new owner: the default stream of the one before ends.</summary>
    private void EndOldThreadStreams(CallState state, (int Channel, uint Generation, ulong Context) now)
    {
        foreach ((int Channel, uint Generation, ulong Context) key in _threadStreams.Keys)
        {
            if (key.Channel != now.Channel || key.Generation == now.Generation || key.Context != now.Context || !_threadStreams.TryRemove(key, out ulong old)) continue;
            _staging.StreamEnds(new CUstream(old));
            _backend.cuStreamDestroy_v2(new CUstream(old));
        }
    }
}
