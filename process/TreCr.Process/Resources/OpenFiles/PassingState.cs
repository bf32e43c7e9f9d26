using TreCr.Linux;

namespace TreCr.Process.Resources;

/// <summary>
/// What cannot be saved at one moment and can be at the next: data for a connection that a server of the job is about to accept. Only the kernel has it until then.
/// </summary>
internal static class PassingState
{
    /// <summary>Whether a frozen job is in it. Cheap where no such connection is on this machine.</summary>
    public static bool Is(IEnumerable<int> pids)
    {
        List<TcpEntry> tcp = [.. TcpTable.Read().All];
        List<TcpEntry> waiting = [.. tcp.Where(e => e is { Inode: 0, State: TcpInfo.Established, Unread: > 0 })];
        UnixSockets unix = UnixSockets.Read();
        List<UnixSocket> full = [.. unix.All.Where(s => s.Pending.Count > 0)];
        if (waiting.Count + full.Count == 0) return false;
        HashSet<ulong> inside = [];
        foreach (int pid in pids)
            foreach (string entry in Directory.EnumerateFileSystemEntries($"/proc/{pid}/fd"))
                if (Sys.ReadLink(entry) is { } link && link.StartsWith("socket:[", StringComparison.Ordinal) && ulong.TryParse(link.AsSpan(8, link.Length - 9), out ulong inode)) inside.Add(inode);
        return full.Any(s => inside.Contains(s.Inode) && s.Pending.Any(p => !inside.Contains(p)))
            || waiting.Any(w => tcp.Any(l => l.State == TcpInfo.Listen && inside.Contains(l.Inode) && InternetSocketKind.IsAt(w.Local, l.Local)));
    }
}
