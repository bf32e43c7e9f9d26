using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>
/// What cannot be saved at one moment and can be at the next: data for a connection that a server of the job is about to accept, which only the kernel has until then; a
/// netlink socket, which getaddrinfo(3) and getifaddrs(3) open for one question; a file of /proc that is just being read.
/// </summary>
internal static class PassingState
{
    private const int AF_NETLINK = 16;

    /// <summary>Whether a frozen job is in it. Cheap where the job has no sockets; where they cannot be listed the answer is no, and the capture says why.</summary>
    public static bool Is(IEnumerable<int> pids)
    {
        List<OpenDescriptor> sockets = [];
        try
        {
            foreach (int pid in pids)
                foreach (string entry in Directory.EnumerateFileSystemEntries($"/proc/{pid}/fd"))
                {
                    if (Sys.ReadLink(entry) is not { } link) continue;
                    if (link.StartsWith("/proc/", StringComparison.Ordinal)) return true;
                    if (link.StartsWith("socket:[", StringComparison.Ordinal)) sockets.Add(new() { Pid = pid, Number = int.Parse(Path.GetFileName(entry.AsSpan())), Link = link });
                }
            if (sockets.Count == 0) return false;
            HashSet<ulong> inside = [.. sockets.Select(s => s.LinkInode)];
            List<TcpEntry> tcp = [.. TcpTable.Read().All];
            List<UnixSocket> unix = [.. UnixSockets.Read().All];
            HashSet<ulong> listed = [.. tcp.Select(t => t.Inode), .. unix.Select(u => u.Inode)];
            // The socket itself is asked: a netlink socket is in no table until it has an address.
            return sockets.Any(s => !listed.Contains(s.LinkInode) && s.SocketDomain == AF_NETLINK)
                || tcp.Any(w => w is { Inode: 0, State: TcpInfo.Established, Unread: > 0 } && tcp.Any(l => l.State == TcpInfo.Listen && inside.Contains(l.Inode) && InternetSocketKind.IsAt(w.Local, l.Local)))
                || unix.Any(s => inside.Contains(s.Inode) && s.Pending.Any(p => !inside.Contains(p)));
        }
        catch (Exception e) when (e is LinuxException or IOException or UnauthorizedAccessException) { return false; }
    }
}
