namespace TreCr.Linux;

/// <summary>What is behind a descriptor: fstat(2), fcntl(2), socket options and names, messages with addresses.</summary>
public static unsafe partial class Sys
{
    public const int S_IFIFO = 0x1000, S_IFSOCK = 0xc000;

    /// <summary>fstat(2) of any descriptor, O_PATH too.</summary>
    /// <exception cref="LinuxException">EBADF</exception>
    public static ObjectStatus Status(int fd)
    {
        byte* stat = stackalloc byte[144]; // struct stat of x86-64
        Check(Raw(SyscallNumber.Fstat, fd, (long)stat), "fstat", $"fd {fd}");
        return StatusOf(stat);
    }

    /// <summary>stat(2), or lstat(2) where links are not followed.</summary>
    /// <returns>null: no such file, or no way to it</returns>
    public static ObjectStatus? TryStatus(string path, bool follow = true)
    {
        byte* stat = stackalloc byte[144];
        fixed (byte* p = CString(path))
            return Raw(follow ? SyscallNumber.Stat : SyscallNumber.Lstat, (long)p, (long)stat) < 0 ? null : StatusOf(stat);
    }

    private static ObjectStatus StatusOf(byte* s) => new(*(ulong*)s, *(ulong*)(s + 8), *(ulong*)(s + 16), *(uint*)(s + 24), *(uint*)(s + 28), *(uint*)(s + 32), *(ulong*)(s + 40), *(long*)(s + 48));

    /// <summary>pread(2) until the span is full or the file ends.</summary>
    /// <returns>bytes read</returns>
    /// <exception cref="LinuxException">EIO, EISDIR …</exception>
    public static int ReadAt(int fd, Span<byte> into, long offset)
    {
        fixed (byte* p = into)
            for (int done = 0; ; )
            {
                if (done == into.Length) return done;
                long n = Check(Raw(SyscallNumber.Pread64, fd, (long)(p + done), into.Length - done, offset + done), "pread");
                if (n == 0) return done;
                done += (int)n;
            }
    }

    /// <summary>pwrite(2) of all of it.</summary>
    /// <exception cref="LinuxException">ENOSPC, EIO, EBADF …</exception>
    public static void WriteAt(int fd, ReadOnlySpan<byte> from, long offset)
    {
        fixed (byte* p = from)
            for (int done = 0; done < from.Length;) done += (int)Check(Raw(SyscallNumber.Pwrite64, fd, (long)(p + done), from.Length - done, offset + done), "pwrite");
    }

    /// <summary>fcntl(2) with a number.</summary>
    /// <returns>the result, or -errno</returns>
    public static long Control(int fd, int command, long argument = 0) => Raw(SyscallNumber.Fcntl, fd, command, argument);

    /// <summary>getsockopt(2).</summary>
    /// <returns>bytes of the value, or -errno</returns>
    public static int GetOption(int socket, int level, int name, Span<byte> value)
    {
        int length = value.Length;
        fixed (byte* p = value)
        {
            long r = Raw(SyscallNumber.Getsockopt, socket, level, name, (long)p, (long)&length);
            return r < 0 ? (int)r : length;
        }
    }

    /// <summary>getsockopt(2) of an int.</summary>
    /// <returns>the value, or <paramref name="otherwise"/> where the socket has no such option</returns>
    public static int GetOption(int socket, int level, int name, int otherwise = 0)
    {
        int value = 0;
        return GetOption(socket, level, name, new Span<byte>(&value, 4)) < 0 ? otherwise : value;
    }

    /// <summary>setsockopt(2).</summary>
    /// <returns>0, or -errno</returns>
    public static long SetOption(int socket, int level, int name, ReadOnlySpan<byte> value)
    {
        fixed (byte* p = value) return Raw(SyscallNumber.Setsockopt, socket, level, name, (long)p, value.Length);
    }

    /// <summary>setsockopt(2) of an int.</summary>
    /// <returns>0, or -errno</returns>
    public static long SetOption(int socket, int level, int name, int value) => SetOption(socket, level, name, new ReadOnlySpan<byte>(&value, 4));

    /// <summary>getsockname(2), or getpeername(2).</summary>
    /// <returns>struct sockaddr; empty: none</returns>
    public static byte[] SocketName(int socket, bool peer = false)
    {
        byte* name = stackalloc byte[128];
        int length = 128;
        return Raw(peer ? SyscallNumber.Getpeername : SyscallNumber.Getsockname, socket, (long)name, (long)&length) < 0 ? [] : new ReadOnlySpan<byte>(name, Math.Min(length, 128)).ToArray();
    }

    /// <summary>socket(2), close-on-exec.</summary>
    /// <returns>a descriptor, or -errno</returns>
    public static int Socket(int domain, int type, int protocol) => (int)Raw(SyscallNumber.Socket, domain, type | SOCK_CLOEXEC, protocol);

    /// <summary>bind(2).</summary>
    /// <returns>0, or -errno</returns>
    public static long Bind(int socket, ReadOnlySpan<byte> name) { fixed (byte* p = name) return Raw(SyscallNumber.Bind, socket, (long)p, name.Length); }

    /// <summary>connect(2).</summary>
    /// <returns>0, or -errno</returns>
    public static long Connect(int socket, ReadOnlySpan<byte> name) { fixed (byte* p = name) return Raw(SyscallNumber.Connect, socket, (long)p, name.Length); }

    /// <summary>recvmsg(2) with an address and control data.</summary>
    /// <param name="flags">MSG_</param>
    /// <param name="source">struct sockaddr of the sender; its length in <paramref name="sourceBytes"/></param>
    /// <param name="control">struct cmsghdr one after another; their length in <paramref name="controlBytes"/></param>
    /// <param name="resultFlags">MSG_EOR, MSG_TRUNC, MSG_CTRUNC …</param>
    /// <returns>bytes, or -errno</returns>
    public static long ReceiveMessage(int socket, Span<byte> into, int flags, Span<byte> source, out int sourceBytes, Span<byte> control, out int controlBytes, out int resultFlags)
    {
        fixed (byte* p = into, s = source, c = control)
        {
            IoVector vector = new() { Base = (ulong)p, LengthBytes = (ulong)into.Length };
            MessageHeader header = new() { Name = s, NameLength = (uint)source.Length, Vectors = &vector, VectorCount = 1, Control = c, ControlLength = (nuint)control.Length };
            long n;
            do n = Raw(SyscallNumber.Recvmsg, socket, (long)&header, flags); while (n == -Errno.EINTR);
            (sourceBytes, controlBytes, resultFlags) = n < 0 ? (0, 0, 0) : ((int)header.NameLength, (int)header.ControlLength, header.Flags);
            return n;
        }
    }

    /// <summary>sendmsg(2) with control data, no SIGPIPE.</summary>
    /// <param name="target">struct sockaddr; empty: the connected peer</param>
    /// <param name="control">struct cmsghdr one after another</param>
    /// <param name="flags">MSG_</param>
    /// <returns>bytes, or -errno</returns>
    public static long SendMessage(int socket, ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> target, ReadOnlySpan<byte> control, int flags = 0)
    {
        fixed (byte* p = bytes, t = target, c = control)
        {
            IoVector vector = new() { Base = (ulong)p, LengthBytes = (ulong)bytes.Length };
            MessageHeader header = new() { Name = t, NameLength = (uint)target.Length, Vectors = &vector, VectorCount = 1, Control = c, ControlLength = (nuint)control.Length };
            long n;
            do n = Raw(SyscallNumber.Sendmsg, socket, (long)&header, flags | MSG_NOSIGNAL); while (n == -Errno.EINTR);
            return n;
        }
    }

    /// <summary>sendto(2), no SIGPIPE.</summary>
    /// <param name="target">struct sockaddr; empty: the connected peer</param>
    /// <param name="flags">MSG_</param>
    /// <returns>bytes, or -errno</returns>
    public static long SendTo(int socket, ReadOnlySpan<byte> bytes, int flags = 0, ReadOnlySpan<byte> target = default)
    {
        fixed (byte* p = bytes, t = target)
        {
            long n;
            do n = Raw(SyscallNumber.Sendto, socket, (long)p, bytes.Length, flags | MSG_NOSIGNAL, (long)t, target.Length); while (n == -Errno.EINTR);
            return n;
        }
    }
}

/// <summary>struct stat.</summary>
/// <param name="Links">names that lead to it; 0: deleted</param>
/// <param name="Mode">kind and permissions</param>
/// <param name="DeviceNumber">of a device file</param>
public readonly record struct ObjectStatus(ulong Device, ulong Inode, ulong Links, uint Mode, uint User, uint Group, ulong DeviceNumber, long LengthBytes)
{
    public bool IsRegular => (Mode & Sys.S_IFMT) == Sys.S_IFREG;
    public bool IsFifo => (Mode & Sys.S_IFMT) == Sys.S_IFIFO;
    public bool IsDirectory => (Mode & Sys.S_IFMT) == Sys.S_IFDIR;
    public bool IsSocket => (Mode & Sys.S_IFMT) == Sys.S_IFSOCK;
}
