using System.Runtime.CompilerServices;
using TreCr.Calls.Records;

namespace TreCr.Ring;

/// <summary>The delegator's private state of one channel, in native memory.</summary>
/// <remarks>Touched by the dispatcher only, except <see cref="Busy"/>: set by the dispatcher, cleared by the partner thread after it has moved <see cref="Next"/>.</remarks>
internal unsafe struct ConsumerChannel
{
    private const ulong RingMask = SegmentLayout.RingBytes - 1;

    /// <summary>Shared header page.</summary>
    public ChannelHeader* Header;

    /// <summary>Position of the first record that is not finished.</summary>
    public ulong Next;

    /// <summary>Head as it was at the last scan that the order rule counts from: records below it were visible then.</summary>
    public ulong Settled;

    /// <summary>Head as last read.</summary>
    public ulong Seen;

    /// <summary>Ticket of the record at <see cref="Next"/>; meaningful while <see cref="HasFront"/>.</summary>
    public ulong Ticket;

    /// <summary>1 while a record stands at <see cref="Next"/> and its ticket is known.</summary>
    public uint HasFront;

    /// <summary>1 while the partner thread runs the record at <see cref="Next"/>.</summary>
    public uint Busy;

    public readonly byte* Ring => (byte*)Header + SegmentLayout.PageBytes;

    public void Bind(ChannelHeader* header)
    {
        this = default;
        Header = header;
        Next = Seen = Settled = Volatile.Read(ref header->Tail);
    }

    /// <summary>Looks for a record at <see cref="Next"/>, reading Head anew when nothing known is left.</summary>
    /// <returns>true: there is one</returns>
    /// <exception cref="RingException">impossible positions or sizes</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Look(int index)
    {
        if (HasFront != 0) return true;
        if (Next == Seen)
        {
            Seen = Volatile.Read(ref Header->Head);
            if (Next == Seen) return false;
        }
        return Front(index);
    }

    private bool Front(int index)
    {
        while (Next != Seen)
        {
            ulong available = Seen - Next;
            if (available > SegmentLayout.RingBytes) throw new RingException($"channel {index}: head {Seen} is beyond what the ring holds (tail {Next})");
            // A filler may be shorter than a header: read its first 16 bytes only.
            RecordHeader* record = (RecordHeader*)(Ring + (Next & RingMask));
            uint bytes = Volatile.Read(ref record->RecordBytes);
            ushort call = record->Call;
            uint room = SegmentLayout.RingBytes - (uint)(Next & RingMask);
            if (bytes < RecordHeader.Alignment || bytes % RecordHeader.Alignment != 0 || bytes > available || bytes > room)
                throw new RingException($"channel {index}: a record of {bytes} bytes at {Next} cannot be (published {available}, to the ring's end {room})");
            if (call == RecordHeader.PadCall)
            {
                Next += bytes;
                Volatile.Write(ref Header->Tail, Next);
                continue;
            }
            if (bytes < RecordHeader.SizeBytes || bytes > RecordLimits.MaxRecordBytes)
                throw new RingException($"channel {index}: a record of {bytes} bytes");
            Ticket = record->Ticket;
            HasFront = 1;
            return true;
        }
        return false;
    }

    /// <summary>Copies the record at <see cref="Next"/> into private memory and checks its sizes there.</summary>
    /// <param name="into">[RecordLimits.MaxRecordBytes]</param>
    /// <exception cref="RingException">sizes inside the record contradict each other</exception>
    public readonly void CopyFront(int index, RecordHeader* into)
    {
        byte* from = Ring + (Next & RingMask);
        uint bytes = Volatile.Read(ref ((RecordHeader*)from)->RecordBytes);
        uint room = SegmentLayout.RingBytes - (uint)(Next & RingMask);
        if (bytes < RecordHeader.SizeBytes || bytes > RecordLimits.MaxRecordBytes || bytes > room || bytes > Seen - Next || bytes % RecordHeader.Alignment != 0)
            throw new RingException($"channel {index}: the record at {Next} changed its length to {bytes}");
        Unsafe.CopyBlockUnaligned(into, from, bytes);
        into->RecordBytes = bytes;
        if (RecordHeader.SizeBytes + 8L * into->ArgumentCount + into->PayloadBytes > bytes)
            throw new RingException($"channel {index}: call 0x{into->Call:x4} names {into->ArgumentCount} arguments and {into->PayloadBytes} payload bytes in {bytes}");
    }

    /// <summary>The record at <see cref="Next"/> is finished.</summary>
    public void Advance(uint recordBytes)
    {
        Next += recordBytes;
        HasFront = 0;
        Volatile.Write(ref Header->Tail, Next);
    }
}
