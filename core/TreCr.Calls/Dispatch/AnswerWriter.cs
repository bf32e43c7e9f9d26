using TreCr.Calls.Records;

namespace TreCr.Calls.Dispatch;

/// <summary>
/// Where a dispatch writes what a call gives back: all Out values in declaration order, each at a multiple of 8, whether the program's pointer was NULL or not;
/// behind them the OutBytes that travel inline, in declaration order, each at a multiple of 8.
/// </summary>
/// <param name="start">[<paramref name="capacityBytes"/>], the channel's answer area or, in replay, a private buffer</param>
public unsafe ref struct AnswerWriter(byte* start, int capacityBytes = RecordLimits.AnswerBytes)
{
    private readonly byte* _start = start;
    private readonly int _capacityBytes = capacityBytes;

    /// <summary>Bytes written: ChannelHeader.AnswerLengthBytes.</summary>
    public int LengthBytes { get; private set; }

    /// <summary>What has been written so far.</summary>
    public readonly ReadOnlySpan<byte> Bytes => new(_start, LengthBytes);

    /// <summary>Appends one value.</summary>
    /// <exception cref="InvalidOperationException">the answer area is too small: an error of the spec</exception>
    public void Write<T>(T value) where T : unmanaged
    {
        int at = LengthBytes, next = at + ((sizeof(T) + 7) & ~7);
        if (next > _capacityBytes) throw new InvalidOperationException("answer area too small");
        if (sizeof(T) % 8 != 0) *(ulong*)(_start + next - 8) = 0; // answers are compared byte by byte in replay
        *(T*)(_start + at) = value;
        LengthBytes = next;
    }

    /// <summary>Appends bytes.</summary>
    /// <returns>false: no room</returns>
    public bool TryWrite(byte* from, nuint bytes)
    {
        if (bytes > (nuint)(_capacityBytes - LengthBytes)) return false;
        new ReadOnlySpan<byte>(from, (int)bytes).CopyTo(new Span<byte>(_start + LengthBytes, (int)bytes));
        LengthBytes = Math.Min(_capacityBytes, (LengthBytes + (int)bytes + 7) & ~7);
        return true;
    }
}
