using TreCr.Calls.Records;
using TreCr.Linux;

namespace TreCr.Ring.Tests;

/// <summary>Four program threads that enqueue, ask, wait, die in unpleasant places and are called back.</summary>
internal sealed unsafe class ModelProgram : IDisposable
{
    private const int MaxAbandoned = 60;

    private readonly Segment _segment;
    private readonly ModelState* _state;
    private readonly int _connection;
    private readonly ulong[] _published = new ulong[ModelState.Threads];
    private readonly Thread[] _threads = new Thread[ModelState.Threads];
    private readonly Thread _helper;
    private int _abandoned, _tid = 1000;
    private volatile bool _stop;

    public ModelProgram(Segment segment, ModelState* state, int connection, int seed)
    {
        _segment = segment;
        _state = state;
        _connection = connection;
        for (int i = 0; i < _threads.Length; i++)
        {
            int thread = i;
            _threads[i] = new Thread(() => Live(thread, new Random(seed * 31 + thread))) { IsBackground = true };
            _threads[i].Start();
        }
        _helper = new Thread(Help) { IsBackground = true };
        _helper.Start();
    }

    /// <summary>Callbacks run.</summary>
    public ulong CallbacksRun;

    /// <summary>Calls that ended because the delegator was gone.</summary>
    public int SessionsLost;

    /// <summary>Records published by all threads.</summary>
    public ulong Published => _published[0] + _published[1] + _published[2] + _published[3];

    /// <summary>Waits until every thread has come to a stop.</summary>
    public bool Stop(TimeSpan timeout)
    {
        _stop = true;
        long end = Environment.TickCount64 + (long)timeout.TotalMilliseconds;
        return _threads.All(t => t.Join((int)Math.Max(1, end - Environment.TickCount64)));
    }

    /// <summary>One life after the other: each claims a channel, uses it, and gives it back, or dies holding it.</summary>
    private void Live(int thread, Random random)
    {
        while (!_stop)
        {
            int index = ProducerChannel.Claim(_segment, (uint)Interlocked.Increment(ref _tid));
            ProducerChannel channel = default;
            channel.Bind(_segment, index, _connection);
            int steps = random.Next(5, 200);
            for (int i = 0; i < steps && !_stop; i++)
                if (!Step(ref channel, thread, random)) return;
            if (random.Next(50) == 0 && Interlocked.Increment(ref _abandoned) < MaxAbandoned) Die(ref channel, random);
            else channel.Release();
        }
    }

    /// <summary>Dies between ticket and publication, or half-way through writing a record; the channel is never given back.</summary>
    private void Die(ref ProducerChannel channel, Random random)
    {
        byte* record = channel.Begin(96);
        new Span<byte>(record, random.Next(1, 96)).Fill(0xee);
        if (random.Next(2) == 0) Interlocked.Increment(ref _segment.Header->NextTicket);
    }

    private bool Step(ref ProducerChannel channel, int thread, Random random)
    {
        int kind = random.Next(100);
        if (kind < 85)
        {
            int count = random.Next(1, 12);
            for (int i = 0; i < count; i++)
            {
                // What this thread has seen others publish must be issued before what it publishes now.
                int other = random.Next(ModelState.Threads);
                ulong needed = Volatile.Read(ref _published[other]);
                RecordHeader* record = Begin(ref channel, kind == 0 ? ModelDelegator.Callback : ModelDelegator.Enqueue, thread, _published[thread] + 1, other, needed, random.Next(4) == 0 ? random.Next(2000) : 0);
                if (record == null) return Lost();
                channel.Publish(record);
                Volatile.Write(ref _published[thread], _published[thread] + 1);
            }
            return true;
        }
        RecordHeader* ask = Begin(ref channel, kind < 95 ? ModelDelegator.Query : ModelDelegator.Wait, thread, 0, 0, 0, 0);
        if (ask == null) return Lost();
        ulong before = Volatile.Read(ref _state->Submitted);
        bool wait = ask->Call == ModelDelegator.Wait;
        if (channel.Call(ask) != WaitResult.Done) return Lost();
        ChannelHeader* header = channel.Header;
        ulong* answer = (ulong*)((byte*)header + ChannelHeader.AnswerOffset);
        if (header->AnswerLengthBytes != 16 || header->AnswerResult != 7) ModelState.Fail(_state, 5, header->AnswerLengthBytes, 16);
        if (answer[0] != _published[thread]) ModelState.Fail(_state, 3, answer[0], _published[thread]);
        if (wait && answer[1] < before) ModelState.Fail(_state, 4, answer[1], before);
        return true;
    }

    private bool Lost()
    {
        Interlocked.Increment(ref SessionsLost);
        return false;
    }

    private static RecordHeader* Begin(ref ProducerChannel channel, ushort call, int thread, ulong index, int other, ulong needed, int payload)
    {
        int bytes = RecordHeader.Round(RecordHeader.SizeBytes + 32 + payload);
        byte* at = channel.Begin(bytes);
        if (at == null) return null;
        RecordHeader.Write(at, bytes, call, 0, 4, 0, payload);
        ulong* words = (ulong*)(at + RecordHeader.SizeBytes);
        (words[0], words[1], words[2], words[3]) = ((ulong)thread, index, (ulong)other, needed);
        return (RecordHeader*)at;
    }

    private void Help()
    {
        SegmentHeader* header = _segment.Header;
        while (!_helperStop)
        {
            uint done = header->HostFunctionDone;
            if (Volatile.Read(ref header->HostFunctionPosted) == done)
            {
                Sys.FutexWait(&header->HostFunctionPosted, done, 20_000_000);
                continue;
            }
            Interlocked.Increment(ref CallbacksRun);
            Interlocked.Increment(ref header->HostFunctionDone);
            Sys.FutexWake(&header->HostFunctionDone);
        }
    }

    private volatile bool _helperStop;

    public void Dispose()
    {
        _stop = true;
        _helperStop = true;
        _helper.Join(TimeSpan.FromSeconds(60));
    }
}
