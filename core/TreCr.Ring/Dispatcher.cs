using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using TreCr.Calls.Records;
using TreCr.Linux;

namespace TreCr.Ring;

/// <summary>
/// The delegator's end of a segment: one thread that scans the channels, issues records in the order of their tickets, runs those that do not wait, and
/// hands waits to the channel's partner thread.
/// </summary>
/// <remarks>
/// Order (design.md §3): before a record is issued, every record published before it is issued. A record is issued only if it was visible at some scan
/// (<see cref="ConsumerChannel.Settled"/>), a full scan after that brought no lower ticket, and it has the lowest ticket of all fronts. Whatever was
/// published before it was visible then, so the later scan must see it. A ticket that is missing is never waited for.
/// Waits: 20 pauses, yields for 1.5 ms, then the doorbell futex. No managed allocation per record.
/// Who may die where: the program at any store (a record exists when Head covers it), this process at any store (its session ends with it).
/// </remarks>
public sealed unsafe partial class Dispatcher : IDisposable
{
    private const int Pauses = 20;
    private const long SleepSliceNs = 200_000_000;
    private static readonly long YieldTicks = Stopwatch.Frequency * 3 / 2000;

    private readonly Segment _segment;
    private readonly IRecordHandler _handler;
    private readonly ConsumerChannel* _channels;
    private readonly PartnerThread?[] _partners = new PartnerThread?[SegmentLayout.MaxChannels];
    private readonly RecordHeader* _record;
    private readonly AnswerBuffer* _answer;
    private readonly ManualResetEventSlim _ended = new(false);
    private Thread? _thread;
    private int _bound, _stop;
    private int _current;      // call being run inline + 1; 0: none
    private Exception? _failure;

    /// <param name="segment">mapped; stays the caller's; its control page is set up by <see cref="Start"/></param>
    public Dispatcher(Segment segment, IRecordHandler handler)
    {
        _segment = segment;
        _handler = handler;
        _channels = (ConsumerChannel*)NativeMemory.AllocZeroed((nuint)(SegmentLayout.MaxChannels * sizeof(ConsumerChannel)));
        _record = (RecordHeader*)NativeMemory.AlignedAlloc(RecordLimits.MaxRecordBytes, 64);
        _answer = (AnswerBuffer*)NativeMemory.AllocZeroed((nuint)sizeof(AnswerBuffer));
    }

    /// <summary>Why the dispatcher ended: what the program broke, or null.</summary>
    public Exception? Failure => Volatile.Read(ref _failure);

    /// <summary>Set when the dispatcher thread has ended.</summary>
    public WaitHandle Ended => _ended.WaitHandle;

    /// <summary>Called once on the dispatcher thread when it fails; null: nothing is done.</summary>
    public Action<Exception>? OnFailure { get; set; }

    /// <summary>Begins to serve: records that stand in the channels are issued, all waiting owners are woken once to look again.</summary>
    public void Start()
    {
        SegmentControl* control = _segment.Control;
        Volatile.Write(ref control->DelegatorSleeps, 0);
        int used = Used();
        BindChannels(used);
        Interlocked.Exchange(ref control->DelegatorState, 1);
        for (int i = 0; i < used; i++) Sys.FutexWake(&_segment.Channel(i)->AnswerSequence);
        _thread = new Thread(Main, 8 << 20) { IsBackground = true, Name = "dispatcher" };
        _thread.Start();
    }

    private int Used()
    {
        uint used = Volatile.Read(ref _segment.Header->ChannelsUsed);
        if (used > SegmentLayout.MaxChannels) throw new RingException($"{used} channels in use of {SegmentLayout.MaxChannels}");
        return (int)used;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void BindChannels(int used)
    {
        for (; _bound < used; _bound++) _channels[_bound].Bind(_segment.Channel(_bound));
    }

    private void Main()
    {
        try { Serve(); }
        catch (Exception e)
        {
            Volatile.Write(ref _failure, e);
            Interlocked.Exchange(ref _segment.Control->DelegatorState, 2);
            OnFailure?.Invoke(e);
        }
        finally { _ended.Set(); }
    }

    private void Serve()
    {
        while (Volatile.Read(ref _stop) == 0)
        {
            if (Volatile.Read(ref _gateState) != GateOpen) { StepGate(); continue; }
            if (Scan()) { IssueSettled(); continue; }
            Idle();
        }
    }

    /// <summary>Reads every channel once; what is visible now is settled for the next <see cref="IssueSettled"/>.</summary>
    /// <returns>false: nothing to do</returns>
    private bool Scan()
    {
        bool any = false;
        int used = Used();
        if (used > _bound) BindChannels(used);
        for (int i = 0; i < used; i++)
        {
            ConsumerChannel* channel = _channels + i;
            if (Volatile.Read(ref channel->Busy) != 0) continue;
            if (channel->HasFront != 0 || channel->Next != channel->Seen) channel->Seen = Volatile.Read(ref channel->Header->Head);
            any |= channel->Look(i);
            channel->Settled = channel->Seen;
        }
        return any;
    }

    /// <summary>Lowest ticket of all fronts; channels without a front are read anew.</summary>
    /// <returns>channel, or -1</returns>
    private int Lowest()
    {
        int lowest = -1;
        ulong ticket = ulong.MaxValue;
        int used = Used();
        if (used > _bound) BindChannels(used);
        for (int i = 0; i < used; i++)
        {
            ConsumerChannel* channel = _channels + i;
            if (Volatile.Read(ref channel->Busy) != 0 || !channel->Look(i) || channel->Ticket >= ticket) continue;
            ticket = channel->Ticket;
            lowest = i;
        }
        return lowest;
    }

    /// <summary>Issues records in ticket order as long as the lowest one was visible at the last scan.</summary>
    private void IssueSettled()
    {
        // This full pass after Scan is the one that must bring no lower ticket; a lower one that it brings is not settled and ends the loop.
        int lowest = Lowest();
        while (lowest >= 0)
        {
            ConsumerChannel* channel = _channels + lowest;
            if (channel->Next >= channel->Settled) return;
            Issue(lowest, channel);
            if (Volatile.Read(ref _gateState) != GateOpen || Volatile.Read(ref _stop) != 0) return;
            // Only this channel's front changed; but a channel that was empty may hold an older record by now, so all are looked at.
            lowest = Lowest();
        }
    }

    private void Issue(int index, ConsumerChannel* channel)
    {
        channel->CopyFront(index, _record);
        RecordHeader* record = _record;
        uint generation = channel->Header->Generation;
        _answer->Result = 0;
        _answer->LengthBytes = 0;
        Volatile.Write(ref _current, record->Call + 1);
        bool done = _handler.TryRun(index, generation, record, _answer);
        Volatile.Write(ref _current, 0);
        if (done)
        {
            channel->Advance(record->RecordBytes);
            if ((record->Flags & RecordHeader.WantsAnswer) != 0) Publish(channel->Header, record->Sequence, _answer);
            return;
        }
        PartnerThread partner = _partners[index] ??= new PartnerThread(this, index);
        Unsafe.CopyBlockUnaligned(partner.Record, record, record->RecordBytes);
        channel->Busy = 1;
        Interlocked.Increment(ref _busyPartners);
        partner.Post(generation);
    }

    /// <summary>Partner thread: runs the record, finishes it, frees the channel, then answers.</summary>
    internal void RunOnPartner(int index, uint generation, RecordHeader* record, AnswerBuffer* answer, PartnerThread partner)
    {
        answer->Result = 0;
        answer->LengthBytes = 0;
        _handler.Run(index, generation, record, answer);
        ConsumerChannel* channel = _channels + index;
        channel->Advance(record->RecordBytes);
        uint sequence = record->Sequence;
        bool wanted = (record->Flags & RecordHeader.WantsAnswer) != 0;
        AnswerBuffer copy = *answer;
        partner.Done();
        // Free before the answer shows: whatever follows from the answer finds the channel in the dispatcher's scan.
        Volatile.Write(ref channel->Busy, 0);
        if (wanted) Publish(channel->Header, sequence, &copy);
        Interlocked.Decrement(ref _busyPartners);
        PartnerFinished();
        // A new owner's record may stand behind this one (the old owner died in its wait).
        if (Volatile.Read(ref channel->Header->Head) != channel->Next) Wake();
    }

    private static void Publish(ChannelHeader* header, uint sequence, AnswerBuffer* answer)
    {
        int length = answer->LengthBytes;
        header->AnswerResult = answer->Result;
        header->AnswerLengthBytes = (uint)length;
        if (length > 0) Unsafe.CopyBlockUnaligned((byte*)header + ChannelHeader.AnswerOffset, answer->Bytes, (uint)length);
        Interlocked.Exchange(ref header->AnswerSequence, sequence);
        if (Volatile.Read(ref header->OwnerSleeps) != 0) Sys.FutexWake(&header->AnswerSequence, 1);
    }

    private void Idle()
    {
        for (int i = 0; i < Pauses; i++)
        {
            X86Base.Pause();
            if (Wanted()) return;
        }
        long end = Stopwatch.GetTimestamp() + YieldTicks;
        do
        {
            Sys.Yield();
            if (Wanted()) return;
        }
        while (Stopwatch.GetTimestamp() < end);
        SegmentControl* control = _segment.Control;
        uint doorbell = Volatile.Read(ref control->Doorbell);
        Interlocked.Exchange(ref control->DelegatorSleeps, 1); // full fence: the flag is visible before the channels are read once more
        if (!Wanted()) Sys.FutexWait(&control->Doorbell, doorbell, SleepSliceNs);
        Volatile.Write(ref control->DelegatorSleeps, 0);
    }

    /// <summary>True when a channel has something new or this thread is asked for.</summary>
    private bool Wanted()
    {
        if (Volatile.Read(ref _gateState) != GateOpen || Volatile.Read(ref _stop) != 0) return true;
        int used = Used();
        if (used > _bound) return true;
        for (int i = 0; i < used; i++)
        {
            ConsumerChannel* channel = _channels + i;
            if (Volatile.Read(ref channel->Busy) == 0 && Volatile.Read(ref channel->Header->Head) != channel->Next) return true;
        }
        return false;
    }

    /// <summary>Wakes the dispatcher thread out of its doorbell wait.</summary>
    private void Wake()
    {
        Interlocked.Increment(ref _segment.Control->Doorbell);
        Sys.FutexWake(&_segment.Control->Doorbell, 1);
        _open.Set();
    }

    /// <summary>Stops serving and ends the threads. What partner threads still run is abandoned after 2 s each.</summary>
    public void Dispose()
    {
        Volatile.Write(ref _stop, 1);
        Wake();
        bool ended = _thread is null || _thread.Join(TimeSpan.FromSeconds(5));
        bool idle = true;
        foreach (PartnerThread? partner in _partners) partner?.Dispose();
        idle = Volatile.Read(ref _busyPartners) == 0;
        if (!ended || !idle) return; // a thread still uses the memory
        NativeMemory.Free(_channels);
        NativeMemory.AlignedFree(_record);
        NativeMemory.Free(_answer);
    }
}
