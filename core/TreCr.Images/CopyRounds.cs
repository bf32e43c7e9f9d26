namespace TreCr.Images;

/// <summary>
/// How long copying goes on, before a stop, of what was written since it was copied: until a round copied little, or rounds do not become shorter any more because the program
/// writes as fast as it is copied.
/// </summary>
/// <param name="limitMs">no further round after this time, but for the first few</param>
public sealed class CopyRounds(long limitMs)
{
    private const int Most = 12, Least = 3, LittleBytes = 512 << 10;

    private readonly long _end = Environment.TickCount64 + limitMs;
    private long _before = long.MaxValue;

    /// <summary>Rounds that were made.</summary>
    public int Count { get; private set; }

    /// <summary>A round is done.</summary>
    /// <returns>whether another pays</returns>
    public bool Another(long bytesCopied)
    {
        Count++;
        bool shorter = bytesCopied <= _before / 10 * 9;
        _before = bytesCopied;
        return bytesCopied > LittleBytes && Count < Most && (Count <= Least || (shorter && Environment.TickCount64 <= _end));
    }
}
