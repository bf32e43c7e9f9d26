using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using TreCr.Calls.Records;
using TreCr.Linux;

namespace TreCr.Ring;

/// <summary>How a wait in the program ended.</summary>
public enum WaitResult { Done, SessionDead }

/// <summary>
/// The program thread's end of a channel. Lives in native memory, one per thread; no managed allocation, no lock, no system call while there is
/// room and the delegator is awake.
/// </summary>
/// <remarks>
/// Use: <see cref="Begin"/> a record, fill header, arguments and payload, then <see cref="Publish"/> (enqueue) or <see cref="Call"/> (answer, blocking).
/// Waiting: 20 pauses, 50 yields, then futex in slices of 200 ms; after each slice the connection is looked at, so that the delegator's death is
/// noticed within a second (facts/nativeaot.md, section 5).
/// </remarks>
public unsafe struct ProducerChannel
{
    private const int Pauses = 20, Yields = 50;
    private const long SliceNs = 200_000_000;

    private ChannelHeader* _header;
    private byte* _ring;
    private SegmentControl* _control;
    private SegmentHeader* _segment;
    private ulong _head, _cachedTail;
    private uint _sequence;
    private int _connection;

    /// <summary>Binds to a claimed channel.</summary>
    /// <param name="connection">descriptor of the session's connection, polled for the delegator's death</param>
    public void Bind(Segment segment, int index, int connection)
    {
        _header = segment.Channel(index);
        _ring = (byte*)_header + SegmentLayout.PageBytes;
        _control = segment.Control;
        _segment = segment.Header;
        _head = Volatile.Read(ref _header->Head);
        _cachedTail = Volatile.Read(ref _header->Tail);
        _sequence = _header->LastSequence;
        _connection = connection;
    }

    public readonly bool IsBound => _header != null;

    public readonly ChannelHeader* Header => _header;

    /// <summary>Claims a free channel for a thread.</summary>
    /// <returns>index, or -1: all are taken</returns>
    public static int Claim(Segment segment, uint tid)
    {
        for (int i = 0; i < SegmentLayout.MaxChannels; i++)
        {
            ChannelHeader* channel = segment.Channel(i);
            if (Volatile.Read(ref channel->OwnerTid) != 0 || Interlocked.CompareExchange(ref channel->OwnerTid, tid, 0) != 0) continue;
            channel->Generation++;
            uint used;
            while ((used = Volatile.Read(ref segment.Header->ChannelsUsed)) <= i)
                Interlocked.CompareExchange(ref segment.Header->ChannelsUsed, (uint)i + 1, used);
            return i;
        }
        return -1;
    }

    /// <summary>Gives the channel back; records still in it are served.</summary>
    public void Release()
    {
        if (_header == null) return;
        Volatile.Write(ref _header->OwnerTid, 0);
        this = default;
    }

    /// <summary>Room for one record at the head; waits while the ring is full.</summary>
    /// <param name="recordBytes">a multiple of RecordHeader.Alignment, at most RecordLimits.MaxRecordBytes</param>
    /// <returns>where to write; null: the session is dead</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Begin(int recordBytes)
    {
        uint at = (uint)_head & (SegmentLayout.RingBytes - 1);
        if (at + (uint)recordBytes > SegmentLayout.RingBytes || _head + (uint)recordBytes - _cachedTail > SegmentLayout.RingBytes)
            return BeginSlow(recordBytes);
        return _ring + at;
    }

    /// <summary>Takes a ticket and publishes the record written at the last <see cref="Begin"/>. The delegator may run it from here on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Publish(RecordHeader* record)
    {
        _head += record->RecordBytes;
        record->Ticket = Interlocked.Increment(ref _segment->NextTicket);
        // The locked increment of the next publication orders nothing here: head must be visible before the sleep flag is read.
        Interlocked.Exchange(ref _header->Head, _head);
        if (Volatile.Read(ref _control->DelegatorSleeps) != 0) Ring();
    }

    /// <summary>Publishes and waits for the answer; result and Out bytes then lie in the channel's header page.</summary>
    public WaitResult Call(RecordHeader* record)
    {
        uint sequence = ++_sequence;
        _header->LastSequence = sequence;
        record->Sequence = sequence;
        record->Flags = RecordHeader.WantsAnswer;
        Publish(record);
        uint* word = &_header->AnswerSequence;
        for (int i = 0; i < Pauses; i++)
        {
            if (Volatile.Read(ref *word) == sequence) return WaitResult.Done;
            X86Base.Pause();
        }
        for (int i = 0; i < Yields; i++)
        {
            if (Volatile.Read(ref *word) == sequence) return WaitResult.Done;
            Sys.Yield();
        }
        return Sleep(word, sequence);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private WaitResult Sleep(uint* word, uint sequence)
    {
        try
        {
            while (true)
            {
                uint seen = Volatile.Read(ref *word);
                if (seen == sequence) return WaitResult.Done;
                Interlocked.Exchange(ref _header->OwnerSleeps, 1);
                if (Volatile.Read(ref *word) != seen) continue;
                if (Sys.FutexWait(word, seen, SliceNs) == -Errno.ETIMEDOUT && Volatile.Read(ref *word) == seen && PeerGone()) return WaitResult.SessionDead;
            }
        }
        finally { Volatile.Write(ref _header->OwnerSleeps, 0); }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private byte* BeginSlow(int recordBytes)
    {
        while (true)
        {
            uint at = (uint)_head & (SegmentLayout.RingBytes - 1);
            uint pad = at + (uint)recordBytes > SegmentLayout.RingBytes ? SegmentLayout.RingBytes - at : 0;
            uint needed = pad != 0 ? pad : (uint)recordBytes;
            for (int tries = 0; _head + needed - (_cachedTail = Volatile.Read(ref _header->Tail)) > SegmentLayout.RingBytes; tries++)
            {
                if (Volatile.Read(ref _control->DelegatorSleeps) != 0) Ring();
                if (tries < 200) X86Base.Pause();
                else if (tries < 2000) Sys.Yield();
                else
                {
                    // No word to sleep on: the ring is full, so the delegator is busy or gated. A futex wait on Tail's low half serves as a timed sleep.
                    Sys.FutexWait((uint*)&_header->Tail, (uint)_cachedTail, 1_000_000);
                    if (tries % 200 == 0 && PeerGone()) return null;
                }
            }
            if (pad == 0) return _ring + at;
            RecordHeader* filler = (RecordHeader*)(_ring + at);
            // A filler may be shorter than a header: only its first 16 bytes exist for certain.
            filler->RecordBytes = pad;
            filler->Call = RecordHeader.PadCall;
            filler->Flags = 0;
            filler->Ticket = 0;
            _head += pad;
            Interlocked.Exchange(ref _header->Head, _head);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private readonly void Ring()
    {
        if (Interlocked.Exchange(ref _control->DelegatorSleeps, 0) == 0) return;
        Interlocked.Increment(ref _control->Doorbell);
        Sys.FutexWake(&_control->Doorbell, 1);
    }

    private readonly bool PeerGone()
    {
        PollEntry entry = new() { Fd = _connection, Events = Sys.POLLIN };
        return Sys.Poll(new Span<PollEntry>(ref entry), 0) > 0 && (entry.Returned & (Sys.POLLHUP | Sys.POLLERR)) != 0;
    }
}
