namespace TreCr.Ptx.Container;

/// <summary>Decoder of raw LZ4 blocks (no frame), the form nvcc puts into fat binaries. Source: LZ4 block format description, lz4_Block_format.md.</summary>
public static class Lz4Block
{
    /// <summary>Expands <paramref name="source"/> into <paramref name="target"/>.</summary>
    /// <returns>bytes written; -1 when the block is damaged or does not fit. Never reads or writes outside the spans.</returns>
    public static int Decode(ReadOnlySpan<byte> source, Span<byte> target)
    {
        int at = 0, to = 0;
        while (at < source.Length)
        {
            int token = source[at++];
            long literals = token >> 4;
            if (literals == 15 && !Extend(source, ref at, ref literals)) return -1;
            if (literals > source.Length - at || literals > target.Length - to) return -1;
            source.Slice(at, (int)literals).CopyTo(target[to..]);
            at += (int)literals;
            to += (int)literals;
            // The last sequence has literals only; a full target means the rest is padding.
            if (at >= source.Length || to == target.Length) return to;
            if (source.Length - at < 2) return -1;
            int distance = source[at] | source[at + 1] << 8;
            at += 2;
            long length = token & 15;
            if (length == 15 && !Extend(source, ref at, ref length)) return -1;
            length += 4;
            if (distance == 0 || distance > to || length > target.Length - to) return -1;
            // A match may overlap its own output: what is there is copied, then twice as much, until all is.
            for (int from = to - distance, end = to + (int)length; to < end;)
            {
                int some = Math.Min(to - from, end - to);
                target.Slice(from, some).CopyTo(target[to..]);
                to += some;
            }
        }
        return to;
    }

    static bool Extend(ReadOnlySpan<byte> source, ref int at, ref long count)
    {
        while (at < source.Length)
        {
            byte more = source[at++];
            count += more;
            if (more != 255) return true;
        }
        return false;
    }
}
