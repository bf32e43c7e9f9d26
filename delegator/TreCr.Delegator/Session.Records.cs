using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Calls.Dispatch;
using TreCr.Calls.Records;
using TreCr.Ring;

namespace TreCr.Delegator;

/// <summary>Records from the ring: which run at once, which wait on the partner thread, and what each answers.</summary>
internal sealed unsafe partial class Session : IRecordHandler
{
    /// <summary>Copies up to this run on the dispatcher thread when their stream is idle, bytes.</summary>
    private const ulong QuickCopyBytes = 64 * 1024;

    /// <summary>Pageable sources up to this are read on the dispatcher thread, bytes.</summary>
    private const ulong QuickFetchBytes = 1 << 20;

    private static readonly CallTraits?[] s_traits = MakeTraits();

    private static CallTraits?[] MakeTraits()
    {
        CallTraits?[] traits = new CallTraits?[0x1000];
        foreach (CallTraits call in CallTables.All)
            if (call.Library == Library.Cuda && call.Id < traits.Length) traits[call.Id] = call;
        return traits;
    }

    private static CallTraits? TraitsOf(ushort call) => call < s_traits.Length ? s_traits[call] : null;

    /// <inheritdoc/>
    public string NameOf(ushort call) => TraitsOf(call)?.Name ?? $"call 0x{call:x4}";

    /// <inheritdoc/>
    public bool TryRun(int channel, uint generation, RecordHeader* record, AnswerBuffer* answer)
    {
        CallState state = Enter(channel, generation);
        bool waits = (record->Flags & RecordHeader.WantsAnswer) != 0;
        if (waits && MayWait(record) && !IsReady(state, record)) return false;
        Execute(state, record, answer);
        return true;
    }

    /// <inheritdoc/>
    public void Run(int channel, uint generation, RecordHeader* record, AnswerBuffer* answer) => Execute(Enter(channel, generation), record, answer);

    /// <inheritdoc/>
    public GateStep StepGate(out string? blocker) => _backend.StepGate(out blocker);

    private static CallState Enter(int channel, uint generation)
    {
        CallState state = CallState.Current;
        state.Channel = channel;
        state.Generation = generation;
        return state;
    }

    private static bool MayWait(RecordHeader* record) => record->Call == CallIds.HtoD || TraitsOf(record->Call)?.Class == CallClass.Blocking;

    /// <summary>True when a call that may wait would not: it then runs on the dispatcher thread, which saves two thread switches.</summary>
    private bool IsReady(CallState state, RecordHeader* record)
    {
        if (!MakeCurrent(state, record->Context, NeedsContext(record->Call))) return true; // answers its error at once
        ulong* words = (ulong*)((byte*)record + RecordHeader.SizeBytes);
        if (RecordHeader.SizeBytes + 8 * record->ArgumentCount > (int)record->RecordBytes) return true;
        switch (record->Call)
        {
            case CallIds.StreamSynchronize when record->ArgumentCount == 1: return StreamIsReady(words[0]);
            case CallIds.EventSynchronize when record->ArgumentCount == 1:
                return !TryTranslate(HandleKind.Event, words[0], out ulong e) || _backend.cuEventQuery(new CUevent(e)) != CUresult.CUDA_ERROR_NOT_READY;
            case CallIds.HtoD when record->ArgumentCount == 4:
                return (record->RemoteMask & 2) == 0 || (Copier.IsShared(words[1], words[2]) ? IsIdle() : words[2] <= QuickFetchBytes);
            case CallIds.DtoH when record->ArgumentCount == 4: return words[2] <= QuickCopyBytes && IsIdle();
            case CallIds.CtxSynchronize or CallIds.MemFree or CallIds.MemFreeHost: return IsIdle();
            default: return false;
        }
    }

    /// <summary>True when nothing runs on any stream. A real driver has no cheap answer: its calls that may wait go to the partner thread.</summary>
    private bool IsIdle() => _backend.DeviceMemoryIsHostMemory && _backend.Drain(TimeSpan.Zero, out _);

    /// <remarks>The legacy stream is ready when all streams that it waits for are.</remarks>
    private bool StreamIsReady(ulong stream)
        => stream <= 1 && _backend.DeviceMemoryIsHostMemory ? IsIdle() : !TryTranslate(HandleKind.Stream, stream, out ulong real) || _backend.cuStreamQuery(new CUstream(real)) != CUresult.CUDA_ERROR_NOT_READY;

    private void Execute(CallState state, RecordHeader* record, AnswerBuffer* answer)
    {
        AnswerWriter writer = new(answer->Bytes);
        CUresult result;
        try
        {
            result = MakeCurrent(state, record->Context, NeedsContext(record->Call)) ? Dispatch(state, record, ref writer) : CUresult.CUDA_ERROR_INVALID_CONTEXT;
        }
        catch (Exception e)
        {
            Messages.Say($"{NameOf(record->Call)} failed inside the delegator: {e}");
            result = CUresult.CUDA_ERROR_UNKNOWN;
        }
        state.End();
        if ((record->Flags & RecordHeader.WantsAnswer) == 0)
        {
            if (result != CUresult.CUDA_SUCCESS) Latch(record, result);
            return;
        }
        if (_anyFailed && result == CUresult.CUDA_SUCCESS) result = Latched(record);
        answer->Result = (int)result;
        answer->LengthBytes = result == CUresult.CUDA_SUCCESS ? writer.LengthBytes : 0;
    }

    /// <summary>Runs one record; also replay's way in.</summary>
    private CUresult Dispatch(CallState state, RecordHeader* record, ref AnswerWriter answer)
    {
        CUresult result;
        bool known = (record->Call >> 8) switch
        {
            0x00 => RunDevice(record, ref answer, out result),
            0x01 => CudaContextDispatch.TryDispatch(_backend, this, record, ref answer, out result),
            0x02 => RunModule(state, record, ref answer, out result),
            0x03 => CudaMemoryDispatch.TryDispatch(_memoryCalls, this, record, ref answer, out result),
            0x05 => CudaCopyDispatch.TryDispatch(_copies, this, record, ref answer, out result),
            0x06 => CudaExecutionDispatch.TryDispatch(_execution, this, record, ref answer, out result),
            0x07 => RunStream(record, ref answer, out result),
            0x08 => CudaEventDispatch.TryDispatch(_backend, this, record, ref answer, out result),
            0x09 => CudaImageDispatch.TryDispatch(_backend, this, record, ref answer, out result),
            0x0a => CudaCollectiveDispatch.TryDispatch(_backend, this, record, ref answer, out result),
            0x0b => CudaSharingDispatch.TryDispatch(_sharing, this, record, ref answer, out result),
            _ => None(out result),
        };
        if (!known)
        {
            Messages.SayOnce($"{NameOf(record->Call)} is not supported");
            return CUresult.CUDA_ERROR_NOT_SUPPORTED;
        }
        // Whoever learns that work is done may want to print what it printed.
        if (record->Call is CallIds.StreamSynchronize or CallIds.EventSynchronize or CallIds.CtxSynchronize or CallIds.DtoH or CallIds.StreamQuery or CallIds.EventQuery)
            _execution.LookForOutput();
        // A context that the call made or ended may have become current here.
        if (record->Call is >= 0x0101 and <= 0x0106) state.ContextSession = null;
        return result;
    }

    private static bool None(out CUresult result)
    {
        result = CUresult.CUDA_ERROR_NOT_SUPPORTED;
        return false;
    }

    private bool RunDevice(RecordHeader* record, ref AnswerWriter answer, out CUresult result)
    {
        if (record->Call != CallIds.Init)
        {
            bool known = CudaDeviceDispatch.TryDispatch(_backend, this, record, ref answer, out result);
            if (IsPortable && record->Call == CallIds.DeviceFacts && result == CUresult.CUDA_SUCCESS && answer.Bytes.Length >= sizeof(DeviceFacts))
                fixed (byte* facts = answer.Bytes) PortableDevice.Tell((DeviceFacts*)facts);
            return known;
        }
        // The session exists because the device was initialised.
        result = CUresult.CUDA_SUCCESS;
        return true;
    }

    private bool RunModule(CallState state, RecordHeader* record, ref AnswerWriter answer, out CUresult result)
    {
        if (record->Call != CallIds.ModuleLoad)
        {
            bool known = CudaModuleDispatch.TryDispatch(_backend, this, record, ref answer, out result);
            // Where a global lies is the driver's choice on a real device: replay asks again and compares.
            if (record->Call == CallIds.ModuleGetGlobal && result == CUresult.CUDA_SUCCESS && known) LogQuestion(record, ref answer);
            return known;
        }
        if (_replaying is { } call && !_moved) _memory.ExpectInternal(call.InternalAddresses); else _memory.BeginInternal();
        _loading = true;
        try { return CudaModuleDispatch.TryDispatch(_backend, this, record, ref answer, out result); }
        finally
        {
            if (_replaying is not null && !_moved)
            {
                int left = _memory.EndExpected();
                if (left != 0) _replayError ??= $"the module's {left} last globals were not placed again";
            }
            else if (_loading) _memory.EndInternal();
            _loading = false;
        }
    }

    private bool RunStream(RecordHeader* record, ref AnswerWriter answer, out CUresult result)
    {
        if (record->Call == CallIds.StreamDestroy && record->ArgumentCount == 1
            && TryTranslate(HandleKind.Stream, *(ulong*)((byte*)record + RecordHeader.SizeBytes), out ulong real)) _staging.StreamEnds(new CUstream(real));
        return CudaStreamDispatch.TryDispatch(_backend, this, record, ref answer, out result);
    }
}
