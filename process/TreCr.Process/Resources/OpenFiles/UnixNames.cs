using System.Text;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;

namespace TreCr.Process.Resources;

/// <summary>Names of Unix sockets: abstract ones, and paths, which are files that outlive their socket.</summary>
internal static class UnixNames
{
    /// <summary>Absolute path of the file; null: no name, or an abstract one.</summary>
    public static string? PathOf(SocketImage socket)
    {
        ReadOnlySpan<byte> name = socket.Name.Span;
        if (name.Length <= 2 || name[2] == 0) return null;
        ReadOnlySpan<byte> text = name[2..];
        int end = text.IndexOf((byte)0);
        return Path.Combine(socket.Directory, Encoding.UTF8.GetString(end < 0 ? text : text[..end]));
    }

    public static IEnumerable<string> CheckRestore(SocketImage socket)
    {
        if (PathOf(socket) is not { } path) yield break;
        if (!Directory.Exists(Path.GetDirectoryName(path))) yield return $"the directory of the program's Unix socket {path} is gone";
        else if (Sys.TryStatus(path, follow: false) is { IsSocket: false }) yield return $"{path}, where the program had a Unix socket, is something else now";
        else if (Sys.TryStatus(path, follow: false) is { } there && UnixSockets.Read().All.Any(s => s.FileInode == (uint)there.Inode && s.Path.EndsWith(Path.GetFileName(path), StringComparison.Ordinal)))
            yield return $"the program's Unix socket {path} is in use by another program";
    }

    /// <summary>Gives the socket its name; a file that an earlier run left there is replaced.</summary>
    public static void Bind(int fd, SocketImage socket)
    {
        string? path = PathOf(socket);
        if (path is not null) File.Delete(path);
        In(socket, () =>
        {
            long result = Sys.Bind(fd, socket.Name.Span);
            if (result == -98) throw new RefusedException([$"the name of the program's Unix socket {path ?? Describe(socket)} is in use by another program"]); // EADDRINUSE
            Sys.Check(result, "bind", path ?? Describe(socket));
        });
        if (path is not null && !socket.NameGone) File.SetUnixFileMode(path, (UnixFileMode)socket.NameMode);
    }

    private static string Describe(SocketImage socket) => "@" + Encoding.UTF8.GetString(socket.Name.Span[Math.Min(3, socket.Name.Length)..]);

    /// <summary>Connects to the name of a socket.</summary>
    public static void Connect(int fd, SocketImage to) => In(to, () => Sys.Check(Sys.Connect(fd, to.Name.Span), "connect", PathOf(to) ?? Describe(to)));

    /// <summary>Connects to the peer's name; a log daemon that is not there is no reason to fail.</summary>
    public static void TryConnect(int fd, SocketImage socket) => In(socket, () => Sys.Connect(fd, socket.PeerName.Span));

    public static void Unlink(SocketImage socket)
    {
        if (PathOf(socket) is { } path) File.Delete(path);
    }

    /// <summary>Runs something in the directory where a relative name starts; the name stays as the program gave it.</summary>
    public static void In(SocketImage socket, Action action)
    {
        ReadOnlySpan<byte> name = socket.Name.Length > 2 ? socket.Name.Span : socket.PeerName.Span;
        if (name.Length <= 2 || name[2] is 0 or (byte)'/')
        {
            action();
            return;
        }
        string before = Environment.CurrentDirectory;
        Environment.CurrentDirectory = socket.Directory;
        try { action(); }
        finally { Environment.CurrentDirectory = before; }
    }
}
