using TreCr.Images;
using TreCr.Linux;
using TreCr.Rank;

namespace TreCr.Cli;

/// <summary>One process of the program and its delegator. It ends when the program's connection closes, when the same process connects again, or when the delegator dies.</summary>
internal sealed class Session(int number, int pid, int hostPid, int connectionDescriptor, DelegatorProcess delegator)
{
    public int Number => number;

    /// <summary>In the namespace.</summary>
    public int Pid => pid;

    public int HostPid { get; set; } = hostPid;

    /// <summary>Descriptor of the connection in the program.</summary>
    public int ConnectionDescriptor => connectionDescriptor;

    public DelegatorProcess Delegator => delegator;

    /// <summary>The engine was asked to let the delegator track what the process writes to pinned memory; once, whatever came of it.</summary>
    public bool AskedToTrack { get; set; }

    /// <summary>The delegator died by itself.</summary>
    public bool DelegatorLost { get; set; }

    /// <summary>soft or cuda.</summary>
    public string DeviceKind { get; set; } = "";

    public string DeviceName { get; set; } = "";

    /// <summary>Whether the program still holds its connection: after exec or close the session is over, although its delegator may not have noticed yet.</summary>
    public bool IsConnected => Sys.ReadLink($"/proc/{HostPid}/fd/{connectionDescriptor}")?.StartsWith("socket:", StringComparison.Ordinal) ?? false;

    public string ConnectionLink => Sys.ReadLink($"/proc/{HostPid}/fd/{connectionDescriptor}") ?? "";

    public ExternalSessionFacts Externals()
    {
        (ulong segment, ulong pinned) = SharedMappings();
        return new ExternalSessionFacts { Number = number, ConnectionLink = ConnectionLink, SegmentInode = segment, PinnedInode = pinned };
    }

    public SessionState Describe()
    {
        (ulong segment, ulong pinned) = SharedMappings();
        return new SessionState
        {
            Number = number, Pid = pid, ConnectionDescriptor = connectionDescriptor, ConnectionLink = ConnectionLink, SegmentInode = segment, PinnedInode = pinned,
            DeviceKind = DeviceKind, DeviceName = DeviceName,
        };
    }

    /// <summary>Inodes of the memfds that the program shares with its delegator; 0 where not mapped.</summary>
    private (ulong Segment, ulong Pinned) SharedMappings()
    {
        (ulong segment, ulong pinned) = (0, 0);
        try
        {
            foreach (string line in File.ReadLines($"/proc/{HostPid}/maps"))
            {
                if (!line.Contains("/memfd:trecr-", StringComparison.Ordinal)) continue;
                string[] fields = line.Split(' ', 6, StringSplitOptions.RemoveEmptyEntries);
                ulong inode = ulong.Parse(fields[4], System.Globalization.CultureInfo.InvariantCulture);
                // Of two mappings of the name the newer memfd is this session's: an older one was left by a session that is over.
                if (fields[5].StartsWith(Process.ExternalObjects.SegmentName, StringComparison.Ordinal)) segment = Math.Max(segment, inode);
                else if (fields[5].StartsWith(Process.ExternalObjects.PinnedName, StringComparison.Ordinal)) pinned = Math.Max(pinned, inode);
            }
        }
        catch (IOException) { } // the process ended
        return (segment, pinned);
    }
}
