namespace TreCr.Linux;

/// <summary>Unix sockets with descriptor passing: socket(2), unix(7), sendmsg(2), recvmsg(2), poll(2).</summary>
public static unsafe partial class Sys
{
    public const int AF_UNIX = 1, SOCK_STREAM = 1, SOCK_SEQPACKET = 5, SOCK_CLOEXEC = 0x80000;
    public const short POLLIN = 1, POLLOUT = 4, POLLERR = 8, POLLHUP = 16;
    private const int SOL_SOCKET = 1, SCM_RIGHTS = 1, SO_PEERCRED = 17, MSG_NOSIGNAL = 0x4000, MSG_CMSG_CLOEXEC = 0x40000000;

    /// <summary>Most descriptors one message may carry: the kernel's limit (SCM_MAX_FD).</summary>
    public const int MaxPassedDescriptors = 253;

    private struct MessageHeader
    {
        public void* Name; public uint NameLength; public IoVector* Vectors; public nuint VectorCount;
        public void* Control; public nuint ControlLength; public int Flags;
    }

    private struct UnixAddress
    {
        public ushort Family;
        public fixed byte Path[108];
    }

    /// <summary>socketpair(2) of Unix sockets, close-on-exec.</summary>
    /// <param name="type"><see cref="SOCK_STREAM"/> or <see cref="SOCK_SEQPACKET"/></param>
    public static (int A, int B) SocketPair(int type = SOCK_SEQPACKET)
    {
        int* ends = stackalloc int[2];
        Check(Raw(SyscallNumber.Socketpair, AF_UNIX, type | SOCK_CLOEXEC, 0, (long)ends), "socketpair");
        return (ends[0], ends[1]);
    }

    /// <summary>Binds and listens on a Unix socket path; the caller has made the directory private (0700).</summary>
    /// <param name="path">at most 107 bytes</param>
    /// <exception cref="LinuxException">EADDRINUSE (98), ENAMETOOLONG, ENOENT.</exception>
    public static int ListenUnix(string path, int type = SOCK_SEQPACKET)
    {
        int fd = (int)Check(Raw(SyscallNumber.Socket, AF_UNIX, type | SOCK_CLOEXEC, 0), "socket");
        try
        {
            UnixAddress address; int length = Fill(&address, path);
            Check(Raw(SyscallNumber.Bind, fd, (long)&address, length), "bind", path);
            Check(Raw(SyscallNumber.Listen, fd, 64), "listen", path);
            return fd;
        }
        catch { Close(fd); throw; }
    }

    /// <summary>Connects to a Unix socket path.</summary>
    /// <returns>a descriptor, or -errno (ENOENT, ECONNREFUSED: nobody listens)</returns>
    public static int ConnectUnix(string path, int type = SOCK_SEQPACKET)
    {
        long fd = Raw(SyscallNumber.Socket, AF_UNIX, type | SOCK_CLOEXEC, 0);
        if (fd < 0) return (int)fd;
        UnixAddress address; int length = Fill(&address, path);
        long r = Raw(SyscallNumber.Connect, fd, (long)&address, length);
        if (r >= 0) return (int)fd;
        Close((int)fd);
        return (int)r;
    }

    /// <summary>shutdown(2) of both directions: whoever waits on the socket, at either end, sees its end; the descriptor stays.</summary>
    public static void ShutdownBoth(int fd) => Raw(SyscallNumber.Shutdown, fd, 2);

    /// <summary>accept4(2), close-on-exec, repeated on EINTR.</summary>
    /// <returns>a descriptor, or -errno</returns>
    public static int Accept(int listener)
    {
        long fd;
        do fd = Raw(SyscallNumber.Accept4, listener, 0, 0, SOCK_CLOEXEC); while (fd == -Errno.EINTR);
        return (int)fd;
    }

    /// <summary>Process and user at the other end, as they were at connect (SO_PEERCRED, unix(7)).</summary>
    public static (int Pid, uint Uid, uint Gid) PeerCredentials(int fd)
    {
        int* credentials = stackalloc int[3]; int length = 12;
        Check(Raw(SyscallNumber.Getsockopt, fd, SOL_SOCKET, SO_PEERCRED, (long)credentials, (long)&length), "getsockopt(SO_PEERCRED)");
        return (credentials[0], (uint)credentials[1], (uint)credentials[2]);
    }

    /// <summary>Sends one message with descriptors. Blocks while the socket is full; no SIGPIPE.</summary>
    /// <returns>bytes sent, or -errno (EPIPE: the peer is gone, EMSGSIZE 90: too long for the socket buffer)</returns>
    public static long Send(int socket, ReadOnlySpan<byte> bytes, ReadOnlySpan<int> descriptors = default)
    {
        byte* control = stackalloc byte[16 + 4 * MaxPassedDescriptors];
        fixed (byte* p = bytes)
        {
            IoVector vector = new() { Base = (ulong)p, LengthBytes = (ulong)bytes.Length };
            MessageHeader header = new() { Vectors = &vector, VectorCount = 1 };
            if (descriptors.Length > 0)
            {
                if (descriptors.Length > MaxPassedDescriptors) throw new ArgumentException("too many descriptors", nameof(descriptors));
                *(ulong*)control = (ulong)(16 + 4 * descriptors.Length);
                *(int*)(control + 8) = SOL_SOCKET;
                *(int*)(control + 12) = SCM_RIGHTS;
                for (int i = 0; i < descriptors.Length; i++) ((int*)(control + 16))[i] = descriptors[i];
                header.Control = control;
                header.ControlLength = (nuint)((16 + 4 * descriptors.Length + 7) & ~7);
            }
            long n;
            do n = Raw(SyscallNumber.Sendmsg, socket, (long)&header, MSG_NOSIGNAL); while (n == -Errno.EINTR);
            return n;
        }
    }

    /// <summary>Receives one message with the descriptors that came along (close-on-exec). Blocks.</summary>
    /// <param name="descriptors">filled from the start; the rest is untouched</param>
    /// <param name="descriptorCount">how many came</param>
    /// <returns>bytes received, 0 when the peer closed, or -errno</returns>
    public static long Receive(int socket, Span<byte> into, Span<int> descriptors, out int descriptorCount)
    {
        byte* control = stackalloc byte[16 + 4 * MaxPassedDescriptors];
        descriptorCount = 0;
        fixed (byte* p = into)
        {
            IoVector vector = new() { Base = (ulong)p, LengthBytes = (ulong)into.Length };
            MessageHeader header = new() { Vectors = &vector, VectorCount = 1, Control = control, ControlLength = 16 + 4 * MaxPassedDescriptors };
            long n;
            do n = Raw(SyscallNumber.Recvmsg, socket, (long)&header, MSG_CMSG_CLOEXEC); while (n == -Errno.EINTR);
            if (n < 0 || header.ControlLength < 20 || *(int*)(control + 8) != SOL_SOCKET || *(int*)(control + 12) != SCM_RIGHTS) return n;
            int came = (int)((*(ulong*)control - 16) / 4);
            for (int i = 0; i < came; i++)
            {
                int fd = ((int*)(control + 16))[i];
                if (i < descriptors.Length) descriptors[descriptorCount++] = fd; else Close(fd);
            }
            return n;
        }
    }

    /// <summary>poll(2), repeated on EINTR with the full timeout.</summary>
    /// <param name="timeoutMs">negative: no end</param>
    /// <returns>number of ready entries, 0 on timeout, or -errno</returns>
    public static int Poll(Span<PollEntry> entries, int timeoutMs)
    {
        fixed (PollEntry* p = entries)
        {
            long n;
            do n = Raw(SyscallNumber.Poll, (long)p, entries.Length, timeoutMs); while (n == -Errno.EINTR);
            return (int)n;
        }
    }

    private static int Fill(UnixAddress* address, string path)
    {
        byte[] bytes = CString(path);
        if (bytes.Length > 108) throw new LinuxException("bind/connect", Errno.ENAMETOOLONG, path);
        *address = default;
        address->Family = AF_UNIX;
        bytes.CopyTo(new Span<byte>(address->Path, 108));
        return 2 + bytes.Length;
    }
}

/// <summary>struct pollfd.</summary>
public struct PollEntry
{
    public int Fd;
    public short Events;
    public short Returned;
}
