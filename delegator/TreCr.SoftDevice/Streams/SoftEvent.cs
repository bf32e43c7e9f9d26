using TreCr.SoftDevice.Sharing;

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

    /// <summary>Other processes use it too: then this tells whether it was reached, not the fields above.</summary>
    public SharedEvent? Shared;

    public bool IsReached => Shared is { } shared ? shared.IsReached(shared.Last) : !Recorded || Stream is null || Stream.Completed >= Count;
}
