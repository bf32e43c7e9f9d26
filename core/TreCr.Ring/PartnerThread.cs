using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using TreCr.Calls.Records;
using TreCr.Linux;

namespace TreCr.Ring;

/// <summary>Runs the blocking records of one channel, one at a time; started with the first of them.</summary>
internal sealed unsafe class PartnerThread : IDisposable
{
    private const uint Idle = 0, Posted = 1, Stop = 2;
    private const int Pauses = 20, Yields = 50;

    private readonly Dispatcher _dispatcher;
    private readonly int _channel;
    private readonly uint* _word = (uint*)NativeMemory.AlignedAlloc(64, 64);
    private readonly Thread _thread;
    private uint _generation;

    public PartnerThread(Dispatcher dispatcher, int channel)
    {
        _dispatcher = dispatcher;
        _channel = channel;
        *_word = Idle;
        Record = (RecordHeader*)NativeMemory.AlignedAlloc(RecordLimits.MaxRecordBytes, 64);
        Answer = (AnswerBuffer*)NativeMemory.AllocZeroed((nuint)sizeof(AnswerBuffer));
        _thread = new Thread(Main, 1 << 20) { IsBackground = true, Name = $"channel {channel}" };
        _thread.Start();
    }

    /// <summary>Private copy of the record being run.</summary>
    public RecordHeader* Record { get; }

    public AnswerBuffer* Answer { get; }

    /// <summary>Dispatcher: hands over the record that stands in <see cref="Record"/>.</summary>
    public void Post(uint generation)
    {
        _generation = generation;
        Interlocked.Exchange(ref *_word, Posted);
        Sys.FutexWake(_word, 1);
    }

    private void Main()
    {
        while (true)
        {
            uint state = Await();
            if (state == Stop) return;
            _dispatcher.RunOnPartner(_channel, _generation, Record, Answer, this);
        }
    }

    /// <summary>Called by the dispatcher's code on this thread before the answer is published: the next Post may come at once.</summary>
    public void Done() => Interlocked.CompareExchange(ref *_word, Idle, Posted);

    private uint Await()
    {
        for (int i = 0; i < Pauses + Yields; i++)
        {
            uint state = Volatile.Read(ref *_word);
            if (state != Idle) return state;
            if (i < Pauses) X86Base.Pause(); else Sys.Yield();
        }
        while (true)
        {
            uint state = Volatile.Read(ref *_word);
            if (state != Idle) return state;
            Sys.FutexWait(_word, Idle, 10_000_000_000);
        }
    }

    /// <summary>Ends the thread; a record that it is still running is abandoned with it (its memory is then kept).</summary>
    public void Dispose()
    {
        Interlocked.Exchange(ref *_word, Stop);
        Sys.FutexWake(_word, 1);
        if (!_thread.Join(TimeSpan.FromSeconds(2))) return;
        NativeMemory.AlignedFree(Record);
        NativeMemory.Free(Answer);
        NativeMemory.AlignedFree(_word);
    }
}
