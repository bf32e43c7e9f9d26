using System.Globalization;
using TreCr.Linux;

namespace TreCr.Process.Read;

/// <summary>One entry of /proc/PID/fd with its fdinfo.</summary>
internal sealed class OpenDescriptor
{
    public int Pid;
    public int Number;
    public string Link = "";
    public long Position;
    public uint Flags;
    public bool HasLock;
    public ulong EventCount;
    public bool EventSemaphore;
    public List<(int Number, uint Events, ulong Data)> EpollTargets = [];
    public string UserfaultApi = "";

    /// <summary>Lines of fdinfo.</summary>
    public List<string> Info = [];

    public bool IsPath => (Flags & Sys.O_PATH) != 0;
    /// <summary>A userfaultfd without the API handshake (no features): made by an engine that died, not by the program.</summary>
    public bool IsLeftover => Link == "anon_inode:[userfaultfd]" && UserfaultApi.Split(':') is [_, "0", ..];

    /// <summary>Kind, inode and device of the file; zeroes where it cannot be looked at.</summary>
    public FileFacts Facts;

    public bool CloseOnExec => (Flags & Sys.O_CLOEXEC) != 0;

    public bool CanWrite => !IsPath && (Flags & 3) != 0;

    /// <summary>All descriptors, ascending.</summary>
    public static List<OpenDescriptor> ReadAll(int pid)
    {
        List<OpenDescriptor> all = [];
        foreach (string entry in Directory.EnumerateFileSystemEntries($"/proc/{pid}/fd"))
        {
            int number = int.Parse(System.IO.Path.GetFileName(entry.AsSpan()));
            if (TryRead(pid, number) is { } d) all.Add(d);
        }
        all.Sort((a, b) => a.Number.CompareTo(b.Number));
        return all;
    }

    /// <returns>null: closed since</returns>
    private static OpenDescriptor? TryRead(int pid, int number)
    {
        string entry = $"/proc/{pid}/fd/{number}";
        if (Sys.ReadLink(entry) is not { } link) return null;
        OpenDescriptor d = new() { Pid = pid, Number = number, Link = link };
        try { foreach (string line in File.ReadLines($"/proc/{pid}/fdinfo/{number}")) d.ParseLine(line); }
        catch (IOException) { return null; }
        Sys.TryStat(entry, out d.Facts);
        return d;
    }

    /// <summary>Value of the first fdinfo line with this name; empty: none.</summary>
    public string Value(string name)
    {
        foreach (string line in Info)
            if (line.Length > name.Length && line[name.Length] == ':' && line.StartsWith(name, StringComparison.Ordinal)) return line[(name.Length + 1)..].Trim();
        return "";
    }

    /// <summary>A copy of the descriptor in this process, which shares its description; the caller closes it.</summary>
    /// <returns>a descriptor, or -errno (EBADF: closed meanwhile; EPERM: no ptrace access)</returns>
    public int TryBorrow()
    {
        int pidfd = Sys.PidfdOpen(Pid);
        if (pidfd < 0) return pidfd;
        try { return Sys.PidfdGetfd(pidfd, Number); }
        finally { Sys.Close(pidfd); }
    }

    /// <summary>AF_ of a socket; -1: not a socket, or closed meanwhile.</summary>
    public int SocketDomain
    {
        get
        {
            const int SOL_SOCKET = 1, SO_DOMAIN = 39;
            if (_domain is { } known) return known;
            if (!Link.StartsWith("socket:", StringComparison.Ordinal)) return -1;
            int fd = TryBorrow();
            _domain = fd < 0 ? -1 : Sys.GetOption(fd, SOL_SOCKET, SO_DOMAIN, otherwise: -1);
            Sys.Close(fd);
            return _domain.Value;
        }
    }

    private int? _domain;

    /// <summary>The inode of a socket or pipe: the number in its link.</summary>
    public ulong LinkInode => Link.IndexOf('[') is var at and > 0 && ulong.TryParse(Link.AsSpan(at + 1, Link.Length - at - 2), out ulong inode) ? inode : 0;

    /// <summary>One descriptor.</summary>
    /// <exception cref="IOException">closed</exception>
    public static OpenDescriptor Read(int pid, int number) => TryRead(pid, number) ?? throw new IOException($"descriptor {number} is closed");

    /// <inheritdoc cref="TryBorrow"/>
    /// <exception cref="LinuxException">as <see cref="TryBorrow"/> answers</exception>
    public int Borrow() => (int)Sys.Check(TryBorrow(), "pidfd_getfd", $"descriptor {Number} of process {Pid}");

    internal void ParseLine(string line)
    {
        Info.Add(line);
        int colon = line.IndexOf(':');
        if (colon < 0) return;
        string value = line[(colon + 1)..].Trim();
        switch (line[..colon].Trim())
        {
            case "pos": Position = long.Parse(value); break;
            case "flags": Flags = Convert.ToUInt32(value, 8); break;
            case "lock": HasLock = true; break;
            case "eventfd-count": EventCount = ulong.Parse(value, NumberStyles.HexNumber); break;
            case "eventfd-semaphore": EventSemaphore = value != "0"; break;
            case "API": UserfaultApi = value; break;
            case "tfd":
                string[] f = line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries); // tfd: N events: HEX data: HEX pos:.. ino:.. sdev:..
                EpollTargets.Add((int.Parse(f[1]), uint.Parse(f[3], NumberStyles.HexNumber), ulong.Parse(f[5], NumberStyles.HexNumber)));
                break;
        }
    }
}
