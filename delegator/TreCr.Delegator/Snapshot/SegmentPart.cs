using TreCr.Images;
using TreCr.Ring;

namespace TreCr.Delegator.Snapshot;

/// <summary>
/// The segment as a part: header, header pages of the channels in use, and what stands between Tail and Head of their rings. Page 0 (control words)
/// and ring bytes that are free read as zero.
/// </summary>
internal static unsafe class SegmentPart
{
    public const string Name = "segment";
    private const int FrameBytes = ISnapshotWriter.FrameSizeBytes;

    /// <summary>Writes it. The gate is closed and the program frozen.</summary>
    public static long Write(Segment segment, ISnapshotWriter writer, FrameHashes? baseHashes, FrameHashes hashes)
    {
        List<(long Start, long End)> live = Live(segment);
        SortedSet<long> frames = [];
        foreach ((long start, long end) in live)
            for (long frame = start & -FrameBytes; frame < end; frame += FrameBytes) frames.Add(frame);
        return FramePart.Write(writer, Name, SegmentLayout.SegmentBytes, [.. frames], (offset, scratch) =>
        {
            new Span<byte>(scratch, FrameBytes).Clear();
            foreach ((long start, long end) in live)
            {
                long from = Math.Max(start, offset), to = Math.Min(end, offset + FrameBytes);
                if (from < to) Buffer.MemoryCopy(segment.Base + from, scratch + (from - offset), to - from, to - from);
            }
            return scratch;
        }, baseHashes, precopy: null, hashes);
    }

    /// <summary>Fills a fresh segment that nobody else has mapped.</summary>
    /// <exception cref="ImageException">damaged, or not a segment of this version</exception>
    public static void Read(Segment segment, ISnapshotReader reader, FrameHashes hashes)
    {
        if (!reader.Parts.Contains(Name)) throw new ImageException("no part segment");
        FramePart.Read(reader, Name, offset => offset >= 0 && offset < SegmentLayout.SegmentBytes, (offset, bytes) =>
        {
            long skip = offset == 0 ? SegmentLayout.PageBytes : 0;
            long count = Math.Min(FrameBytes, SegmentLayout.SegmentBytes - offset) - skip;
            Buffer.MemoryCopy(bytes + skip, segment.Base + offset + skip, count, count);
        }, hashes);
        SegmentHeader* header = segment.Header;
        if (header->Magic != SegmentLayout.Magic) throw new ImageException("part segment: no segment");
        if (header->ProtocolVersion != SegmentLayout.ProtocolVersion) throw new ImageException($"part segment: protocol version {header->ProtocolVersion}, this is {SegmentLayout.ProtocolVersion}");
        if (header->ChannelsUsed > SegmentLayout.MaxChannels) throw new ImageException("part segment: too many channels");
    }

    private static List<(long, long)> Live(Segment segment)
    {
        List<(long, long)> live = [(SegmentLayout.PageBytes, SegmentLayout.ChannelsOffset)];
        int used = (int)Math.Min(segment.Header->ChannelsUsed, SegmentLayout.MaxChannels);
        for (int i = 0; i < used; i++)
        {
            long start = (byte*)segment.Channel(i) - segment.Base, ring = start + SegmentLayout.PageBytes;
            live.Add((start, ring));
            ulong tail = segment.Channel(i)->Tail, head = segment.Channel(i)->Head;
            if (head == tail) continue;
            if (head - tail > SegmentLayout.RingBytes) throw new RingException($"channel {i}: head {head}, tail {tail}");
            long from = (long)(tail & (SegmentLayout.RingBytes - 1)), bytes = (long)(head - tail), first = Math.Min(bytes, SegmentLayout.RingBytes - from);
            live.Add((ring + from, ring + from + first));
            if (bytes > first) live.Add((ring, ring + bytes - first));
        }
        return live;
    }
}
