namespace TreCr.Process;

/// <summary>
/// What a program holds that ends outside it and that the supervisor gives again at a restart: its standard streams, and for each delegator a
/// connection and the shared mappings.
/// </summary>
public sealed class ExternalObjects
{
    /// <summary>Name of the memfd of a delegator's segment, of which the engine saves no bytes.</summary>
    public const string SegmentName = "/memfd:trecr-segment";

    /// <summary>Name of the memfd of pinned memory.</summary>
    public const string PinnedName = "/memfd:trecr-pinned";

    public List<ExternalStream> Streams { get; } = [];
    public List<ExternalSession> Sessions { get; } = [];
}

/// <summary>A standard stream.</summary>
/// <param name="Number">0, 1 or 2; at restore the key of the descriptor that is given</param>
/// <param name="Link">what /proc/PID/fd/N of the program shows: <c>pipe:[123]</c>, <c>/dev/pts/3</c>, <c>socket:[5]</c>, a path</param>
public readonly record struct ExternalStream(int Number, string Link);

/// <summary>A delegator of the program.</summary>
/// <param name="Number">from 0; at restore the key of the descriptors that are given</param>
/// <param name="ConnectionLink"><c>socket:[INODE]</c> as /proc/PID/fd shows it</param>
/// <param name="SegmentInode">of the memfd; 0: there is one session only, every mapping of the name is its</param>
/// <param name="PinnedInode">likewise</param>
public readonly record struct ExternalSession(int Number, string ConnectionLink, ulong SegmentInode = 0, ulong PinnedInode = 0);

/// <summary>Descriptors of the engine that become the program's at a restore; they stay the caller's.</summary>
public sealed class GivenDescriptors
{
    /// <summary>By stream number.</summary>
    public Dictionary<int, int> Streams { get; } = [];

    /// <summary>By session number; -1 where the image has none.</summary>
    public Dictionary<int, (int Connection, int Segment, int Pinned)> Sessions { get; } = [];

    /// <summary>Receives descriptors that somebody has to hold open as long as the program runs; who restores sends them there.</summary>
    public List<int> KeptTerminals { get; } = [];

    /// <summary>Where bundled programs and libraries are laid that this machine lacks; empty: nowhere.</summary>
    public string BundleDirectory { get; set; } = "";

    /// <summary>Where ranks that share memory find each other (<see cref="WindowFile"/>).</summary>
    public ulong Meeting { get; set; }

    /// <summary>Where the program's files lie here.</summary>
    public Restore.PathChanges Paths { get; } = new();
}
