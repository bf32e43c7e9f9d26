using TreCr.Calls;
using TreCr.Calls.Dispatch;
using TreCr.Calls.Records;
using TreCr.Replay;

namespace TreCr.Delegator;

/// <summary>What the generated dispatch asks of a session, live and in replay.</summary>
internal sealed unsafe partial class Session : IDispatchSession
{
    private LoggedCall? _replaying;
    private string? _replayError;
    private bool _loading;

    /// <inheritdoc/>
    public bool TryTranslate(HandleKind kind, ulong virtualHandle, out ulong real)
    {
        if (kind != HandleKind.Stream || virtualHandle > 2) return _handles.TryGet(kind, virtualHandle, out real);
        real = virtualHandle;
        return virtualHandle != 2 || TryThreadStream(CallState.Current, out real);
    }

    /// <inheritdoc/>
    public ulong ExpectedHandle => _replaying?.Handle ?? 0;

    /// <inheritdoc/>
    public ulong Register(RecordHeader* record, HandleKind kind, ulong real)
    {
        ulong handle;
        if (_replaying is { } call)
        {
            handle = call.Handle;
            if (VirtualHandle.KindOf(handle) != kind) _replayError ??= $"the log's handle 0x{handle:x} is no {kind}";
            _handles.Set(handle, real);
        }
        else handle = _handles.Add(kind, real);
        if (kind == HandleKind.Context) AddContext(handle, real, (int)((ulong*)((byte*)record + RecordHeader.SizeBytes))[record->ArgumentCount - 1]);
        return handle;
    }

    /// <inheritdoc/>
    public void Unregister(HandleKind kind, ulong virtualHandle)
    {
        foreach (ulong dead in _log.Remove(virtualHandle)) _handles.Remove(dead);
    }

    /// <inheritdoc/>
    public byte* Fetch(int argument, ulong programAddress, nuint bytes)
    {
        CallState state = CallState.Current;
        byte* memory = state.Rent(bytes);
        if (memory == null) return null;
        if (_replaying is { } call)
        {
            foreach ((int index, ModuleImage image) in call.Fetched)
            {
                if (index != argument || (nuint)image.Bytes.Length != bytes) continue;
                image.Bytes.CopyTo(new Span<byte>(memory, image.Bytes.Length));
                return memory;
            }
            _replayError ??= $"the log does not hold the bytes of argument {argument} of {NameOf(call.Call)}";
            return null;
        }
        if (!_program.Read(programAddress, memory, bytes)) return null;
        state.Fetched.Add((argument, (nint)memory, bytes));
        return memory;
    }

    /// <inheritdoc/>
    public byte* Scratch(nuint bytes) => CallState.Current.Rent(bytes);

    /// <inheritdoc/>
    public bool Deliver(ulong programAddress, byte* from, nuint bytes) => _replaying is not null || _program.Write(programAddress, from, bytes);

    /// <inheritdoc/>
    public void LogCreate(RecordHeader* record, HandleKind kind, ulong handle, ref AnswerWriter answer)
    {
        // Memory is state of the GMMU, restored before replay: it needs no record.
        if (kind == HandleKind.None) return;
        ulong[] addresses = [];
        if (_loading && (_replaying is null || _moved))
        {
            addresses = _memory.EndInternal();
            _loading = false;
        }
        if (_replaying is { } call)
        {
            Compare(call, ref answer);
            if (_moved && call.Call == CallIds.ModuleLoad) call.InternalAddresses = addresses;
            return;
        }
        List<(int, ModuleImage)> fetched = [];
        foreach ((int argument, nint bytes, nuint length) in CallState.Current.Fetched)
            fetched.Add((argument, _log.Keep(new ReadOnlySpan<byte>((void*)bytes, checked((int)length)))));
        _log.AddObject(record, handle, answer.Bytes, _handles.Contains, addresses, fetched);
    }

    /// <inheritdoc/>
    /// <remarks>Handles have left the log with <see cref="Unregister"/>; memory never was in it.</remarks>
    public void LogDestroy(RecordHeader* record, HandleKind kind, ulong handle)
    {
    }

    /// <inheritdoc/>
    /// <remarks>The value set is the last argument; those before it say what is set.</remarks>
    public void LogSetting(RecordHeader* record)
    {
        if (_replaying is null) _log.AddSetting(record, [], Math.Max(0, record->ArgumentCount - 1), _handles.Contains);
    }

    /// <inheritdoc/>
    public void Malformed(RecordHeader* record, string reason) => Messages.SayOnce($"a record of {NameOf(record->Call)} was refused: {reason}");

    /// <summary>A question whose answer the driver chooses and the program may have kept.</summary>
    private void LogQuestion(RecordHeader* record, ref AnswerWriter answer)
    {
        if (_replaying is { } call) Compare(call, ref answer);
        // Out arguments come first and say only whether they were NULL: the module and the name are the subject.
        else _log.AddSetting(record, answer.Bytes, record->ArgumentCount - 1, _handles.Contains);
    }

    private void Compare(LoggedCall call, ref AnswerWriter answer)
    {
        if (_moved)
        {
            CompareMoved(call, answer.Bytes);
            return;
        }
        if (answer.Bytes.SequenceEqual(call.Answer)) return;
        _replayError ??= $"{NameOf(call.Call)} answers {Convert.ToHexStringLower(answer.Bytes)} here, not {Convert.ToHexStringLower(call.Answer)} as when the program ran";
    }
}
