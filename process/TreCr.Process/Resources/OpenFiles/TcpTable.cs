using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using TreCr.Linux;
using TreCr.Process.Read;

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

    /// <summary>
    /// As <see cref="Read"/>, and with every connection and listening socket of a job in it: the kernel's list is read in pieces, and passes over lines where sockets beside them go meanwhile (tcp_seek_last_pos counts
    /// within a bucket).
    /// </summary>
    /// <param name="sockets">descriptors of the job, of any kind</param>
    public static TcpTable Read(IEnumerable<OpenDescriptor> sockets)
    {
        TcpTable table = Read();
        HashSet<ulong> done = [];
        foreach (OpenDescriptor d in sockets)
            if (d.SocketDomain is AF_INET or AF_INET6 && done.Add(d.LinkInode)) table.Complete(d);
        return table;
    }

    private const int AF_INET = 2, AF_INET6 = 10, SOL_SOCKET = 1, SO_TYPE = 3;

    private void Complete(OpenDescriptor d)
    {
        int fd = d.TryBorrow();
        if (fd < 0) return;
        try
        {
            if (Sys.GetOption(fd, SOL_SOCKET, SO_TYPE) != Sys.SOCK_STREAM) return;
            TcpInfo info = TcpInfo.Of(fd);
            string local = SocketNames.Address(Sys.SocketName(fd));
            if (info.State == TcpInfo.Listen)
            {
                if (!_all.Exists(e => e.Inode == d.LinkInode)) _all.Add(new TcpEntry(local, "", info.State, 0, d.LinkInode));
            }
            else if (info.IsConnection)
            {
                string remote = SocketNames.Address(Sys.SocketName(fd, peer: true));
                Find(local, remote);
                Find(remote, local);
            }
        }
        finally { Sys.Close(fd); }
    }

    /// <summary>The end of a connection that has this name and that peer; null: there is none. One that the list has not is asked for by itself.</summary>
    public TcpEntry? Find(string local, string remote)
    {
        if (_all.Find(e => e.Local == local && e.Remote == remote) is { } listed) return listed;
        if (!IPEndPoint.TryParse(local, out IPEndPoint? from) || !IPEndPoint.TryParse(remote, out IPEndPoint? to) || from.AddressFamily != to.AddressFamily) return null;
        TcpEntry? found = null;
        try { SocketDiagnosis.Ask(Request(from, to), all: false, m => found = Parse(m, local, remote)); }
        catch (LinuxException) { } // ENOENT
        if (found is not null) _all.Add(found);
        return found;
    }

    /// <summary>struct inet_diag_req_v2 of linux/inet_diag.h.</summary>
    private static byte[] Request(IPEndPoint from, IPEndPoint to)
    {
        const int TCP = 6;
        byte[] request = new byte[56];
        (request[0], request[1]) = ((byte)(from.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork ? AF_INET : AF_INET6), TCP);
        BitConverter.TryWriteBytes(request.AsSpan(4), uint.MaxValue); // in any state
        BinaryPrimitives.WriteUInt16BigEndian(request.AsSpan(8), (ushort)from.Port);
        BinaryPrimitives.WriteUInt16BigEndian(request.AsSpan(10), (ushort)to.Port);
        from.Address.TryWriteBytes(request.AsSpan(12), out _);
        to.Address.TryWriteBytes(request.AsSpan(28), out _);
        request.AsSpan(48).Fill(0xff); // any cookie
        return request;
    }

    /// <summary>struct inet_diag_msg. Where there is no such connection the kernel answers with a socket that listens at the name.</summary>
    private static TcpEntry? Parse(ReadOnlySpan<byte> message, string local, string remote)
    {
        const int State = 1, Unread = 56, Inode = 68;
        return message.Length < Inode + 4 || message[State] == TcpInfo.Listen ? null
            : new TcpEntry(local, remote, message[State], BitConverter.ToUInt32(message[Unread..]), BitConverter.ToUInt32(message[Inode..]));
    }

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
