using TreCr.Calls.Records;
using TreCr.Linux;

namespace TreCr.Ring.Tests;

/// <summary>A delegator without CUDA: checks the order of what it is given, does "device work" on a worker thread, calls back into the program.</summary>
internal sealed unsafe class ModelDelegator : IRecordHandler, IDisposable
{
    /// <summary>Calls: arguments (thread, index, needed thread, needed index).</summary>
    public const ushort Enqueue = 1, Query = 2, Wait = 3, Callback = 4;

    private readonly Segment _segment;
    private readonly ModelState* _state;
    private readonly Dispatcher _dispatcher;
    private readonly Thread _device;
    private readonly System.Collections.Concurrent.ConcurrentDictionary<ulong, bool> _callbacksAt = new();
    private volatile bool _stop;

    public ModelDelegator(Segment segment, ModelState* state)
    {
        _segment = segment;
        _state = state;
        _dispatcher = new Dispatcher(segment, this);
        _device = new Thread(Device) { IsBackground = true };
        _device.Start();
        _dispatcher.Start();
    }

    public Dispatcher Dispatcher => _dispatcher;

    /// <summary>Gate and drain.</summary>
    public bool Close(TimeSpan deadline, out string? blocker)
    {
        if (!_dispatcher.Close(deadline, out blocker)) return false;
        if (SpinWait.SpinUntil(() => Volatile.Read(ref _state->Done) == Volatile.Read(ref _state->Submitted), deadline)) return true;
        blocker = "device";
        _dispatcher.Open();
        return false;
    }

    public bool TryRun(int channel, uint generation, RecordHeader* record, AnswerBuffer* answer)
    {
        ulong* words = (ulong*)((byte*)record + RecordHeader.SizeBytes);
        int thread = (int)words[0];
        if (record->Call is Enqueue or Callback)
        {
            if (words[1] != _state->Issued[thread] + 1) ModelState.Fail(_state, 1, words[1], _state->Issued[thread] + 1);
            if (words[3] > _state->Issued[(int)words[2]]) ModelState.Fail(_state, 2, words[3], _state->Issued[(int)words[2]]);
            _state->Issued[thread] = words[1];
            if (record->Call == Callback)
            {
                _state->CallbacksAsked++;
                _callbacksAt[_state->Submitted + 1] = true;
            }
            Volatile.Write(ref _state->Submitted, _state->Submitted + 1);
            return true;
        }
        if (record->Call == Wait && Volatile.Read(ref _state->Done) < _state->Submitted) return false;
        Fill(answer, thread);
        return true;
    }

    public void Run(int channel, uint generation, RecordHeader* record, AnswerBuffer* answer)
    {
        ulong target = Volatile.Read(ref _state->Submitted);
        SpinWait wait = default;
        while (Volatile.Read(ref _state->Done) < target && !_stop) wait.SpinOnce(1);
        Fill(answer, (int)*(ulong*)((byte*)record + RecordHeader.SizeBytes));
    }

    private void Fill(AnswerBuffer* answer, int thread)
    {
        *(ulong*)answer->Bytes = _state->Issued[thread];
        *(ulong*)(answer->Bytes + 8) = Volatile.Read(ref _state->Done);
        answer->LengthBytes = 16;
        answer->Result = 7;
    }

    public string NameOf(ushort call) => $"call {call}";

    private void Device()
    {
        SpinWait wait = default;
        while (!_stop)
        {
            ulong done = Volatile.Read(ref _state->Done);
            if (done == Volatile.Read(ref _state->Submitted))
            {
                wait.SpinOnce(1);
                continue;
            }
            if (_callbacksAt.TryRemove(done + 1, out _)) CallBack();
            Volatile.Write(ref _state->Done, done + 1);
        }
    }

    private void CallBack()
    {
        SegmentHeader* header = _segment.Header;
        uint posted = Interlocked.Increment(ref header->HostFunctionPosted);
        Sys.FutexWake(&header->HostFunctionPosted);
        while (!_stop && Volatile.Read(ref header->HostFunctionDone) != posted) Sys.FutexWait(&header->HostFunctionDone, posted - 1, 10_000_000);
    }

    public void Dispose()
    {
        _stop = true;
        _dispatcher.Dispose();
        _device.Join(TimeSpan.FromSeconds(60));
    }
}
