using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>
/// What cannot be saved at one moment and can be at the next: a connection that is being made, or that a server of the job is about to accept and its client has sent data to or closed again, which only
/// the kernel has until then; a netlink socket, which getaddrinfo(3) and getifaddrs(3) open for one question; a file of /proc that is just being read.
/// </summary>
internal static class PassingState
{
    private const int AF_NETLINK = 16;

    /// <summary>
    /// Processes that have to run on for it to pass; the others may stay frozen, so that nothing new of the kind comes meanwhile. Empty: the frozen job is not in it. Cheap where the job has no sockets; where they
    /// cannot be listed the answer is none, and the capture says why.
    /// </summary>
    public static HashSet<int> WhoMustRun(IReadOnlyList<FrozenProcess> processes)
    {
        HashSet<int> pids = [.. Connecting(processes).Select(t => t.Pid)];
        List<OpenDescriptor> sockets = [];
        try
        {
            foreach (int pid in processes.Select(p => p.Pid))
                foreach (string entry in Directory.EnumerateFileSystemEntries($"/proc/{pid}/fd"))
                {
                    if (Sys.ReadLink(entry) is not { } link) continue;
                    if (link.StartsWith("/proc/", StringComparison.Ordinal)) pids.Add(pid);
                    if (link.StartsWith("socket:[", StringComparison.Ordinal)) sockets.Add(new() { Pid = pid, Number = int.Parse(Path.GetFileName(entry.AsSpan())), Link = link });
                }
            if (sockets.Count == 0) return pids;
            ILookup<ulong, OpenDescriptor> inside = sockets.ToLookup(s => s.LinkInode);
            List<TcpEntry> tcp = [.. TcpTable.Read(sockets).All];
            List<UnixSocket> unix = [.. UnixSockets.Read().All];
            HashSet<ulong> listed = [.. tcp.Select(t => t.Inode), .. unix.Select(u => u.Inode)];
            void Add(ulong inode) => pids.UnionWith(inside[inode].Select(d => d.Pid));
            // The socket itself is asked: a netlink socket is in no table until it has an address.
            pids.UnionWith(sockets.Where(s => !listed.Contains(s.LinkInode) && s.SocketDomain == AF_NETLINK).Select(s => s.Pid));
            TcpEntry[] listening = [.. tcp.Where(l => l.State == TcpInfo.Listen && inside.Contains(l.Inode))];
            foreach (TcpEntry e in tcp)
            {
                bool connects = e.State == TcpInfo.SynSent && inside.Contains(e.Inode);
                if (connects) Add(e.Inode);
                if (connects || e is { Inode: 0, State: TcpInfo.Established, Unread: > 0 } || e.IsOrphanToAccept)
                    foreach (TcpEntry l in listening)
                        if (InternetSocketKind.IsAt(connects ? e.Remote : e.Local, l.Local)) Add(l.Inode);
            }
            foreach (UnixSocket s in unix)
                if (s.Pending.Count > 0 && inside.Contains(s.Inode) && s.Pending.Any(p => inside[p].FirstOrDefault() is not { } client || HasSent(client))) Add(s.Inode);
        }
        catch (Exception e) when (e is LinuxException or IOException or UnauthorizedAccessException) { }
        return pids;
    }

    /// <summary>
    /// A thread in connect(2) whose TCP connection is there already (the stop made the call give up, after which the other side answered): called again on this socket it succeeds, on one that
    /// was restored it would be EISCONN.
    /// </summary>
    public static IEnumerable<(int Pid, int Tid)> Connecting(IReadOnlyList<FrozenProcess> processes)
    {
        const int SOL_SOCKET = 1, SO_TYPE = 3, AF_INET = 2, AF_INET6 = 10;
        foreach (FrozenProcess process in processes)
            foreach (Tracee thread in process.Threads)
            {
                if ((long)thread.Registers.OrigRax != (long)SyscallNumber.Connect || (long)thread.Registers.Rax is not (-512 or -513)) continue; // ERESTARTSYS, ERESTARTNOINTR
                OpenDescriptor d = new() { Pid = process.Pid, Number = (int)thread.Registers.Rdi, Link = Sys.ReadLink($"/proc/{process.Pid}/fd/{(int)thread.Registers.Rdi}") ?? "" };
                if (d.SocketDomain is not (AF_INET or AF_INET6) || d.TryBorrow() is not (var fd and >= 0)) continue;
                bool begun = Sys.GetOption(fd, SOL_SOCKET, SO_TYPE) == Sys.SOCK_STREAM && TcpInfo.Of(fd).State != TcpInfo.Close;
                Sys.Close(fd);
                if (begun) yield return (process.Pid, thread.Tid);
            }
    }

    /// <summary>Whether a client of a Unix socket has sent what its peer has not received.</summary>
    private static bool HasSent(OpenDescriptor client)
    {
        int fd = client.TryBorrow();
        if (fd < 0) return false;
        try { return UnixSocketKind.Outstanding(fd) > 0; }
        finally { Sys.Close(fd); }
    }
}
