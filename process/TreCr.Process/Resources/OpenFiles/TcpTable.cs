using System.Globalization;
using System.Net;

namespace TreCr.Process.Resources;

/// <summary>The TCP connections of this network namespace, as /proc/net/tcp shows them: also those that nobody has accepted or whose program closed them.</summary>
internal sealed class TcpTable
{
    private readonly List<TcpEntry> _all = [];

    public static TcpTable Read()
    {
        TcpTable table = new();
        HashSet<(string, string, ulong)> seen = []; // where connections come and go the kernel gives lines twice: it goes on by their number
        foreach (string file in (string[])["/proc/self/net/tcp", "/proc/self/net/tcp6"])
        {
            if (!File.Exists(file)) continue;
            foreach (string line in File.ReadLines(file).Skip(1))
            {
                string[] f = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                if (f.Length < 10) continue;
                int colon = f[4].IndexOf(':');
                TcpEntry entry = new(Address(f[1]), Address(f[2]), int.Parse(f[3], NumberStyles.HexNumber), long.Parse(f[4].AsSpan(colon + 1), NumberStyles.HexNumber), ulong.Parse(f[9]));
                if (seen.Add((entry.Local, entry.Remote, entry.Inode))) table._all.Add(entry);
            }
        }
        return table;
    }

    /// <summary>The end of a connection that has this name and that peer; null: there is none.</summary>
    public TcpEntry? Find(string local, string remote) => _all.Find(e => e.Local == local && e.Remote == remote);

    public IEnumerable<TcpEntry> All => _all;

    // Hexadecimal words in the order of this machine's bytes, then the port.
    private static string Address(string hex)
    {
        int colon = hex.IndexOf(':');
        byte[] bytes = Convert.FromHexString(hex[..colon]);
        for (int i = 0; i < bytes.Length; i += 4) Array.Reverse(bytes, i, 4);
        IPAddress address = new(bytes);
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        return new IPEndPoint(address, int.Parse(hex.AsSpan(colon + 1), NumberStyles.HexNumber)).ToString();
    }
}

/// <summary>One line.</summary>
/// <param name="State">TCP_ of netinet/tcp.h</param>
/// <param name="Unread">bytes; of a listening socket: connections to be accepted</param>
/// <param name="Inode">0: no program has it</param>
internal sealed record TcpEntry(string Local, string Remote, int State, long Unread, ulong Inode)
{
    /// <summary>Closed by its client before the server has accepted it: an accepted one would have an inode, or have been closed by the server as well.</summary>
    public bool IsOrphanToAccept => Inode == 0 && State == TcpInfo.CloseWait;
}
