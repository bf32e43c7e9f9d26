namespace TreCr.SoftDevice.Streams;

/// <summary>An event: the place in a stream where it was last recorded.</summary>
sealed class SoftEvent(uint flags)
{
    public uint Flags => flags;
    public bool HasTiming => (flags & 2) == 0;
    public bool Recorded;
    public SoftStream? Stream;
    /// <summary>items of <see cref="Stream"/> that must be done</summary>
    public long Count;
    /// <summary>nanoseconds of the device clock at the last completed record; 0 before</summary>
    public ulong TimeNs;

    public bool IsReached => !Recorded || Stream is null || Stream.Completed >= Count;
}
