using System.Net;
using System.Net.Sockets;
using TreCr.Linux;
using TreCr.Process.Read;
using TreCr.Process.Resources;

namespace TreCr.Process.Tests;

/// <summary>Connections that the kernel's list has passed over, because others beside them went while it was read: each is found all the same.</summary>
[TestFixture, Parallelizable(ParallelScope.Self)]
public sealed class TcpTableTests
{
    [TestCase("127.0.0.1", "127.0.0.1"), TestCase("::1", "::1"), TestCase("::", "127.0.0.1")]
    public void FindsWhatTheListHasNot(string listens, string connects)
    {
        using Socket listener = new(IPAddress.Parse(listens).AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        if (listens == "::") listener.DualMode = true;
        try { listener.Bind(new IPEndPoint(IPAddress.Parse(listens), 0)); } catch (SocketException e) when (listens != "127.0.0.1") { Assert.Ignore($"not to be had on this machine: IPv6: {e.Message}"); }
        listener.Listen(4);
        using Socket client = new(IPAddress.Parse(connects).AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(IPAddress.Parse(connects), ((IPEndPoint)listener.LocalEndPoint!).Port);
        client.Send("abc"u8);
        string local = client.LocalEndPoint!.ToString()!, remote = client.RemoteEndPoint!.ToString()!;
        TcpTable empty = new();
        TcpEntry? ours = empty.Find(local, remote), theirs = empty.Find(remote, local);
        Assert.That((ours?.State, ours?.Inode), Is.EqualTo((TcpInfo.Established, Inode(client))));
        Assert.That((theirs?.State, theirs?.Inode, theirs?.Unread), Is.EqualTo((TcpInfo.Established, 0UL, 3L)), "nobody has accepted it");
        Assert.That(empty.Find(remote, "127.0.0.1:1"), Is.Null, "the listening socket is not a connection");
        Assert.That(empty.All.Count(), Is.EqualTo(2));
        using Socket accepted = listener.Accept();
        Assert.That(new TcpTable().Find(remote, local)?.Inode, Is.EqualTo(Inode(accepted)));
        // What a capture asks for knows all sockets of the job, and their other ends.
        TcpTable whole = TcpTable.Read([.. OpenDescriptor.ReadAll(Environment.ProcessId).Where(d => d.LinkInode == Inode(listener) || d.LinkInode == Inode(client))]);
        Assert.That(whole.All.Select(e => e.Inode), Does.Contain(Inode(listener)).And.Contain(Inode(client)).And.Contain(Inode(accepted)));
    }

    private static ulong Inode(Socket socket) => ulong.Parse(Sys.ReadLink($"/proc/self/fd/{socket.Handle}")![8..^1]);
}
