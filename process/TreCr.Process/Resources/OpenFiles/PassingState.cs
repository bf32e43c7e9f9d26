using TreCr.Linux;

namespace TreCr.Process.Resources;

/// <summary>
/// What cannot be saved at one moment and can be at the next: data for a connection that a server of the job is about to accept, which only the kernel has until then; a
/// netlink socket, which getaddrinfo(3) and getifaddrs(3) open for one question.
/// </summary>
internal static class PassingState
{
    /// <summary>Whether a frozen job is in it. Cheap where the job has no sockets; where they cannot be listed the answer is no, and the capture says why.</summary>
    public static bool Is(IEnumerable<int> pids)
    {
        HashSet<ulong> inside = [];
        try
        {
            foreach (int pid in pids)
                foreach (string entry in Directory.EnumerateFileSystemEntries($"/proc/{pid}/fd"))
                    if (Sys.ReadLink(entry) is { } link && link.StartsWith("socket:[", StringComparison.Ordinal) && ulong.TryParse(link.AsSpan(8, link.Length - 9), out ulong inode)) inside.Add(inode);
            if (inside.Count == 0) return false;
            if (File.ReadLines("/proc/self/net/netlink").Skip(1).Any(l => ulong.TryParse(l.AsSpan().Trim()[(l.AsSpan().Trim().LastIndexOf(' ') + 1)..], out ulong inode) && inside.Contains(inode))) return true;
            List<TcpEntry> tcp = [.. TcpTable.Read().All];
            return tcp.Any(w => w is { Inode: 0, State: TcpInfo.Established, Unread: > 0 } && tcp.Any(l => l.State == TcpInfo.Listen && inside.Contains(l.Inode) && InternetSocketKind.IsAt(w.Local, l.Local)))
                || UnixSockets.Read().All.Any(s => inside.Contains(s.Inode) && s.Pending.Any(p => !inside.Contains(p)));
        }
        catch (Exception e) when (e is LinuxException or IOException or UnauthorizedAccessException) { return false; }
    }
}
