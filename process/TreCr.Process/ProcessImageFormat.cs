namespace TreCr.Process;

/// <summary>Names and version of a saved process (core/TreCr.Images/process.proto).</summary>
public static class ProcessImageFormat
{
    /// <summary>Raised when a reader of the version before could not restore the image.</summary>
    public const uint Current = 4;

    /// <summary>Written where a process has become another user (<see cref="Images.ProcessImage.Credentials"/>): a reader before would give it those of who restarts it.</summary>
    public const uint WithCredentials = 4;

    /// <summary>Written where memory is shared by several ranks (<see cref="Images.SharedMemoryImage.Window"/>).</summary>
    public const uint WithWindows = 3;

    /// <summary>Written otherwise, which more readers can restore.</summary>
    public const uint Plain = 2;

    /// <summary>The record of the root process.</summary>
    public const string Record = "process";

    /// <summary>The record with the processes and what they share; missing in format 1.</summary>
    public const string TreeRecord = "tree";

    /// <summary>Record of a process.</summary>
    public static string RecordOf(int pid, int root) => pid == root ? Record : $"{Record}-{pid}";

    /// <summary>Part with the private pages of a process.</summary>
    public static string MemoryPartOf(int pid, int root) => pid == root ? MemoryPart : $"{MemoryPart}-{pid}";

    /// <summary>The part with private pages of the root process; offset = virtual address.</summary>
    public const string MemoryPart = "memory";

    /// <summary>Length of that part: all of user space with four-level paging.</summary>
    public const long MemoryPartBytes = 1L << 47;

    /// <summary>Options of the namespace in which a snapshot is restored: clocks inside go on where they were at the freeze.</summary>
    public static Launch.NamespaceOptions NamespaceFor(Images.ISnapshotReader reader, string initPath)
    {
        Images.ProcessImage image = Restore.SavedTree.Load(reader).Root;
        // A time namespace may not go below zero; CLOCK_MONOTONIC of a host that was started later is behind, so offsets are usually positive.
        return new Launch.NamespaceOptions
        {
            InitPath = initPath,
            MonotonicOffsetNs = image.MonotonicNs - Linux.Sys.ClockNs(1),
            BoottimeOffsetNs = image.BoottimeNs - Linux.Sys.ClockNs(7),
        };
    }
}
