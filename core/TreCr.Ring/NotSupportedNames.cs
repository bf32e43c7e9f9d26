using System.Text;

namespace TreCr.Ring;

/// <summary>Functions that the program called and that are not supported: a table in the segment's header, written by the program, read by the delegator for <c>trecr status</c>.</summary>
/// <remarks>
/// <see cref="SegmentHeader.NotSupportedCount"/> counts claimed places. A writer claims one, writes the name from its second byte on and its first byte last, so that a
/// reader sees a whole name or none. Zero in segments of builds without the table. The reader takes the bytes as hostile.
/// </remarks>
public static unsafe class NotSupportedNames
{
    /// <summary>Places; further names are only on stderr.</summary>
    public const int Most = 256;

    /// <summary>Bytes of a place, with the NUL.</summary>
    public const int NameBytes = 128;

    /// <summary>Adds a name; the caller adds each once.</summary>
    /// <remarks>Any thread of the program; does not block or allocate.</remarks>
    public static void Add(Segment segment, ReadOnlySpan<byte> name)
    {
        if (name.IsEmpty) return;
        uint at = Interlocked.Increment(ref segment.Header->NotSupportedCount) - 1;
        if (at >= Most) return;
        byte* place = (byte*)segment.Header + SegmentHeader.NotSupportedOffset + at * NameBytes;
        name = name[..Math.Min(name.Length, NameBytes - 1)];
        name[1..].CopyTo(new Span<byte>(place + 1, NameBytes - 2));
        Volatile.Write(ref *place, name[0]);
    }

    /// <summary>The names so far.</summary>
    /// <remarks>The delegator; allocates.</remarks>
    public static List<string> Read(Segment segment)
    {
        List<string> names = [];
        uint count = Math.Min(Volatile.Read(ref segment.Header->NotSupportedCount), Most);
        Span<byte> copy = stackalloc byte[NameBytes];
        for (uint at = 0; at < count; at++)
        {
            new ReadOnlySpan<byte>((byte*)segment.Header + SegmentHeader.NotSupportedOffset + at * NameBytes, NameBytes).CopyTo(copy);
            int length = copy.IndexOf((byte)0);
            // Text for terminals: nothing but what names are made of.
            if (length > 0 && !copy[..length].ContainsAnyExceptInRange((byte)' ', (byte)'~')) names.Add(Encoding.ASCII.GetString(copy[..length]));
        }
        return names;
    }
}
